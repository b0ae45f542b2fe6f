"""Tokens of ``kyrios serve``: on disk are an id and a hash, never the secret."""

from __future__ import annotations

import fcntl
import hmac
import json
import os
import secrets
import string
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from zlib import crc32

from kyrios._house.errors import nearest
from kyrios._house.files import make_folder, replacing
from kyrios.errors import BadInput, ConfigError, NotFound
from kyrios.settings import home

#: What a token may do: look at flows and runs; start, go on with and cancel runs; write rendered files.
SCOPES = ("read", "run", "render")

_LETTERS = string.ascii_letters + string.digits
_PREFIX = "kyrios"


@dataclass(frozen=True)
class Token:
    """What is kept of a token; its text is ``kyrios_<id>_<secret>_<crc32>``.

    Attributes
    ----------
    sha256
        Of the secret: 43 random letters and digits, 256 bits, which need no salt.
    scopes
        Words of `SCOPES`.
    created, expires
        Seconds since 1970, UTC; `expires` is None for one that never does.
    """

    id: str
    name: str
    sha256: str
    scopes: tuple[str, ...]
    created: float
    expires: float | None = None

    @property
    def valid(self) -> bool:
        """Whether its time is not over; a token that is revoked has an end too."""
        return self.expires is None or time.time() < self.expires


class Tokens:
    """The tokens in one file, for any number of processes: a change counts from the next request on.

    One that was revoked stays in the file, so that a server which has asked for tokens goes on to ask.

    Parameters
    ----------
    path
        By default ``tokens.json`` in Kyrios' home.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home() / "tokens.json"
        self._seen: tuple[int, ...] = ()
        self._known: dict[str, Token] = {}

    def all(self) -> dict[str, Token]:
        """Return every token by its id, oldest first.

        Raises
        ------
        ConfigError
            If the file cannot be read; nobody is let in meanwhile.
        """
        try:
            found = self.path.stat()
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
            if seen != self._seen:
                rows = json.loads(self.path.read_bytes())
                self._known = {row["id"]: Token(**{**row, "scopes": tuple(row["scopes"])}) for row in rows}
                self._seen = seen
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise ConfigError(f"{self.path} cannot be read: {exc}", hint="restore it from a backup") from None
        return self._known

    def create(self, name: str, scopes: Sequence[str] = SCOPES, days: float | None = 90.0) -> tuple[Token, str]:
        """Make a token; return what is kept of it, and its text, which nobody can get again.

        Raises
        ------
        BadInput
            If the name, a scope or the days make no sense.
        """
        if not name.strip() or not name.isprintable():
            raise BadInput(f"a token cannot be called {name!r}")
        for scope in scopes:
            if scope not in SCOPES:
                raise BadInput(
                    f"there is no scope {scope!r}", hint=nearest(scope, SCOPES) or f"scopes: {', '.join(SCOPES)}"
                )
        if not scopes:
            raise BadInput("a token needs a scope", hint=f"scopes: {', '.join(SCOPES)}")
        if days is not None and not 0 < days < 36_525:
            raise BadInput(f"days must be above 0 and at most 100 years, not {days}")
        secret = "".join(secrets.choice(_LETTERS) for _ in range(43))
        now = time.time()
        with self._changing() as known:
            id = next(word for word in iter(lambda: secrets.token_hex(4), None) if word not in known)
            expires = None if days is None else now + days * 86_400
            made = Token(id, name, sha256(secret.encode()).hexdigest(), tuple(scopes), now, expires)
            known[id] = made
        body = f"{_PREFIX}_{id}_{secret}"
        return made, f"{body}_{_check(body)}"

    def rotate(self, id: str, *, overlap: float = 86_400.0, days: float | None = 90.0) -> tuple[Token, str]:
        """Make a token of the same name and scopes; the old one stays valid for `overlap` seconds.

        Raises
        ------
        NotFound
            If there is no token `id`.
        """
        old = self._get(id)
        made = self.create(old.name, old.scopes, days)
        self._end(id, time.time() + overlap)
        return made

    def revoke(self, id: str) -> Token:
        """End a token now, in every process; raise `NotFound` if there is none."""
        self._get(id)
        return self._end(id, time.time())

    def find(self, text: str) -> Token | None:
        """Return the valid token of this text, or None."""
        body, _, check = text.rpartition("_")
        words = body.split("_")
        if not text.isascii() or len(words) != 3 or words[0] != _PREFIX or check != _check(body):
            return None
        token = self.all().get(words[1])
        # Compared even where there is none, so that the time taken says nothing of which ids exist.
        same = hmac.compare_digest(sha256(words[2].encode()).hexdigest(), token.sha256 if token else "0" * 64)
        return token if token is not None and same and token.valid else None

    def _get(self, id: str) -> Token:
        found = self.all().get(id)
        if found is None:
            raise NotFound(f"there is no token {id!r}", hint="kyrios token list")
        return found

    def _end(self, id: str, at: float) -> Token:
        with self._changing() as known:
            before = known[id].expires
            known[id] = replace(known[id], expires=at if before is None else min(at, before))
            return known[id]

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Token]]:
        make_folder(self.path.parent)
        with self.path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = dict(self.all())
            yield known
            rows = [asdict(token) for token in known.values()]
            with replacing(self.path) as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(json.dumps(rows, indent=1, ensure_ascii=False).encode())


def _check(body: str) -> str:
    """Return the checksum that tells a mistyped token before anything is asked."""
    return f"{crc32(body.encode()):08x}"
