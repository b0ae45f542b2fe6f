"""Where runs go: the store, mirrors beside it, and the store of their artifacts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from exia._house.backends import BackendURL, load_backend, open_backend
from exia._house.config import home, load_config
from exia.blobs import BlobStore
from exia.blobs.file import FileBlobs
from exia.errors import BlobNotFound
from exia.runs.port import RunSink
from exia.settings import NOWHERE, SETTINGS


@dataclass(frozen=True)
class Place:
    """One place that runs are delivered to.

    Attributes
    ----------
    port
        ``runs``, or ``mirror``, which gets the artifacts' bytes as well.
    name
        The URL without its password; equal names are one place.
    open
        Connects; raises `BackendUnavailable` where it does not answer.
    ours
        Whether what was opened is ours to close.
    nameable
        Whether another process could open it too, by its name.
    """

    port: str
    name: str
    open: Callable[[], RunSink]
    ours: bool = True
    nameable: bool = True

    @property
    def key(self) -> str:
        """The place as a file name."""
        return hashlib.sha256(f"{self.port} {self.name}".encode()).hexdigest()[:16]

    def carry(self, sink: RunSink, said: Mapping[str, Any]) -> None:
        """Bring the bytes of the artifacts that an entry names to where they belong."""
        artifacts: Mapping[str, Mapping[str, Any]] = said.get("values", {}).get("artifacts", {})
        for name, facts in artifacts.items():
            if self.port == "runs":
                _upload(facts["digest"])
            elif (attach := getattr(sink, "attach", None)) is not None:
                with suppress(BlobNotFound):  # removed since: there is nothing to mirror
                    attach(said["run"], name, fetch(facts["digest"]))


def place_of(url: str | None) -> Place:
    """Return the store at `url`, or the configured one.

    Raises
    ------
    UnknownBackend, MissingExtra, BadInput
        If it can never be opened; whether it answers is not asked.
    """
    return _place("runs", load_config(SETTINGS, {"runs": url}).text("runs"))


def place_with(store: RunSink) -> Place:
    """Return an open store as a place; it stays open."""
    url = getattr(store, "url", None)
    if isinstance(url, BackendURL):
        return Place("runs", str(_settled(url)), lambda: store, ours=False)
    return Place("runs", f"object {id(store)}", lambda: store, ours=False, nameable=False)


def mirrors() -> list[Place]:
    """Return the mirrors that are configured."""
    url = load_config(SETTINGS).text("mirror")
    return [] if url == NOWHERE else [_place("mirror", url)]


def open_artifacts() -> BlobStore:
    """Open the configured store of artifacts: ``EXIA_ARTIFACTS``, by default ``artifacts`` of Exia's home."""
    url = BackendURL.parse(load_config(SETTINGS).text("artifacts"))
    if url.scheme == "file":
        return FileBlobs(url.file_path(home() / "artifacts"))
    return cast(BlobStore, open_backend("blobs", url))


def keep(data: bytes) -> str:
    """Keep the bytes of an artifact durably on this disk, and return their digest."""
    return (_spool() if _far() else open_artifacts()).put(data)


def fetch(digest: str) -> bytes:
    """Return the bytes of an artifact; raise `BlobNotFound`."""
    if _far() and _spool().has(digest):
        return _spool().get(digest)
    store = open_artifacts()
    try:
        return store.get(digest)
    finally:
        store.close()


def root() -> Path:
    """Return the folder of the logs of this machine's runs."""
    return home() / "log" / "runs"


def _place(port: str, text: str) -> Place:
    url = _settled(BackendURL.parse(text))
    adapter = load_backend(port, url.scheme)
    return Place(port, str(url), lambda: cast(RunSink, adapter(url)))


def _settled(url: BackendURL) -> BackendURL:
    """Return `url` so that it names one place whenever it is opened: a file by its whole path."""
    if url.scheme != "sqlite":
        return url
    return replace(url, path=str(url.file_path(home() / "runs.db").absolute()))


def _far() -> bool:
    return BackendURL.parse(load_config(SETTINGS).text("artifacts")).scheme != "file"


def _spool() -> FileBlobs:
    return FileBlobs(home() / "log" / "artifacts")


def _upload(digest: str) -> None:
    if not _far() or not _spool().has(digest):
        return
    store = open_artifacts()
    try:
        store.put(_spool().get(digest))
    finally:
        store.close()
    _spool().delete(digest)
