"""``file://``: blobs as read-only files of one folder, each named by its SHA-256.

Not spread over subfolders, as git does it: the first blob in each would cost another fsync, and the
file systems of today find a name among a million at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from exia._house.backends import BackendURL
from exia._house.config import home
from exia._house.files import replacing
from exia.blobs.port import BlobInfo, BlobStore, checked_digest, digest_of, verified
from exia.errors import BackendUnavailable, BlobNotFound

_DIGITS = 64


class FileBlobs:
    """The embedded store; a blob is written, fsynced and renamed before `put` returns."""

    remote = False

    def __init__(self, url: BackendURL | Path) -> None:
        self._root = url if isinstance(url, Path) else url.file_path(home() / "models" / "blobs")

    def put(self, data: bytes) -> str:
        digest = digest_of(data)
        path = self._path(digest)
        with self._translated():
            # One that was damaged meanwhile is written anew, so that to put again is the way to mend.
            if path.is_file() and path.stat().st_size == len(data) and digest_of(path.read_bytes()) == digest:
                os.utime(path)  # a sweep of what is not used spares what is young
                return digest
            with replacing(path) as file:
                os.fchmod(file.fileno(), 0o444)
                file.write(data)
        return digest

    def get(self, digest: str) -> bytes:
        with self._translated():
            try:
                data = self._path(digest).read_bytes()
            except FileNotFoundError:
                raise BlobNotFound(
                    f"blob {digest[:12]}... is not in {self._root}", hint="exia config show --origin"
                ) from None
        return verified(data, digest, str(self._root))

    def has(self, digest: str) -> bool:
        return self._path(digest).is_file()

    def delete(self, digest: str) -> None:
        with self._translated():
            self._path(digest).unlink(missing_ok=True)

    def blobs(self) -> Iterator[BlobInfo]:
        with self._translated():
            for path in self._root.glob("*"):
                if len(path.name) != _DIGITS:  # what a killed writer has left
                    continue
                try:
                    found = path.stat()
                except FileNotFoundError:  # deleted since it was listed
                    continue
                yield BlobInfo(path.name, found.st_size, found.st_mtime)

    def ping(self) -> str:
        with self._translated():
            there = next((p for p in (self._root, *self._root.parents) if p.exists()), self._root)
            if not os.access(there, os.W_OK):
                raise BackendUnavailable(f"{there} cannot be written", hint=f"chown or chmod {there}")
        return f"files in {self._root}"

    def close(self) -> None:
        """Nothing is kept open."""

    def _path(self, digest: str) -> Path:
        return self._root / checked_digest(digest)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except BackendUnavailable:  # an OSError too
            raise
        except OSError as exc:
            raise BackendUnavailable(
                f"{exc.filename or self._root}: {exc.strerror or exc}", hint="is there space, and may you write?"
            ) from exc


if TYPE_CHECKING:
    _fits: type[BlobStore] = FileBlobs
