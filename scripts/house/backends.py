"""Open an adapter by URL: adapters are entry points, ours by the same door as a stranger's."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from .errors import DISTRIBUTION, LIBRARY, BadInput, MissingExtra, UnknownBackend, nearest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

_SECRET = re.compile("password|passwd|pwd|secret|token|key|credential|signature", re.IGNORECASE)


@dataclass(frozen=True)
class BackendURL:
    """A backend's address, such as ``minio://key:***@127.0.0.1:9000/bucket?secure=false``.

    A bare word is a URL too: ``sqlite`` is ``sqlite://``, the library's default place. A path is
    absolute after three slashes (``file:///srv/store``) and relative without any (``file:store``).
    ``str()`` never shows a password, nor a query value whose name says that it is a secret.
    """

    scheme: str
    host: str = ""
    port: int | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    path: str = ""
    query: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, text: str) -> BackendURL:
        """Parse `text`; raise `BadInput` if it is no URL."""
        hint = "write it as scheme://user:password@host:port/path; in a password, # is %23, ? is %3F, @ is %40"
        # urlsplit drops control characters without a word, and '#' would cut a path or a password short.
        if not text.isprintable() or "#" in text:
            raise BadInput(f"{_masked(text)!r} holds '#' or a control character, which no URL may", hint=hint)
        try:
            parts = urlsplit(text if ":" in text else f"{text}://")
            port = parts.port
        except ValueError:  # its message would quote a part of the password
            raise BadInput(f"{_masked(text)!r} is not a URL", hint=hint) from None
        if not parts.scheme or not text:
            raise BadInput(f"{_masked(text)!r} is not a URL", hint=hint)
        return cls(
            scheme=parts.scheme,
            host=unquote(parts.hostname or ""),
            port=port,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            path=unquote(parts.path),
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        )

    def file_path(self, default: Path) -> Path:
        """Return the path of a file-like URL, or `default` where the URL names none."""
        if self.host:
            raise BadInput(
                f"{self} names a host, but {self.scheme} is a place on this machine",
                hint=f"{self.scheme}:///absolute/path or {self.scheme}:relative/path",
            )
        return Path(self.path).expanduser() if self.path else default

    def __str__(self) -> str:
        user = quote(self.user, safe="") + (":***" if self.password else "") + "@" if self.user or self.password else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port is not None else ""
        shown = "&".join(f"{quote(k)}={'***' if _SECRET.search(k) else quote(v)}" for k, v in self.query.items())
        slashes = "" if self.path and not self.path.startswith("/") else "//"
        return f"{self.scheme}:{slashes}{user}{host}{port}{quote(self.path)}" + (f"?{shown}" if shown else "")


def known_backends(port: str) -> list[str]:
    """Return the URL schemes that `port` answers to, sorted."""
    return sorted(_adapters(port).names)


def open_backend(port: str, url: str | BackendURL) -> Any:
    """Open the adapter of `port` that `url` names.

    An adapter is an entry point of the group ``<library>.<port>``: a callable that takes one
    `BackendURL`. Drivers are imported when the entry point is loaded, never before.

    Raises
    ------
    UnknownBackend
        If no adapter has this scheme.
    MissingExtra
        If the adapter's driver is not installed.
    """
    address = BackendURL.parse(url) if isinstance(url, str) else url
    return load_backend(port, address.scheme)(address)


def load_backend(port: str, scheme: str) -> Callable[[BackendURL], Any]:
    """Import the adapter of `port` for `scheme`, and its driver with it; errors as in `open_backend`."""
    known = _adapters(port)
    if scheme not in known.names:
        words = ", ".join(sorted(known.names))
        raise UnknownBackend(
            f"no {port} backend is called {scheme!r}; known: {words}",
            hint=nearest(scheme, known.names) or f"{LIBRARY} config show --origin",
        )
    try:
        adapter: Callable[[BackendURL], Any] = known[scheme].load()
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] == LIBRARY:
            raise  # our own broken import, not a missing driver
        raise MissingExtra(
            f"{port} backend {scheme!r} needs {exc.name}, which is not installed",
            hint=f"pip install '{DISTRIBUTION}[{scheme}]'",
        ) from exc
    return adapter


def _adapters(port: str) -> EntryPoints:
    from importlib.metadata import entry_points  # 20 ms to import, and `--help` opens nothing

    return entry_points(group=f"{LIBRARY}.{port}")


def _masked(text: str) -> str:
    """Return as much of a text that did not parse as surely holds no password."""
    scheme, colon, _ = text.partition(":")
    return f"{scheme}:***" if colon else text.rpartition("@")[2].partition("?")[0]
