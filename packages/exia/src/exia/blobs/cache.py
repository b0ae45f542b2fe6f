"""A local copy of what was read from a store across a network, checked at each read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from exia.blobs.file import FileBlobs
from exia.blobs.port import BlobInfo, BlobStore
from exia.errors import BackendUnavailable, BlobNotFound, Damaged

_log = logging.getLogger("exia")


class CachedBlobs:
    """`store` with a folder of verified copies in front; what is in the folder needs no network."""

    remote = True

    def __init__(self, store: BlobStore, folder: Path) -> None:
        self._store = store
        self._near = FileBlobs(folder)

    def put(self, data: bytes) -> str:
        digest = self._store.put(data)
        self._keep(data)
        return digest

    def get(self, digest: str) -> bytes:
        try:
            return self._near.get(digest)
        except Damaged:
            self._near.delete(digest)  # only a copy: the store has the bytes
        except (BlobNotFound, BackendUnavailable):
            pass
        data = self._store.get(digest)
        self._keep(data)
        return data

    def has(self, digest: str) -> bool:
        return self._store.has(digest)

    def delete(self, digest: str) -> None:
        self._store.delete(digest)
        self._near.delete(digest)

    def blobs(self) -> Iterator[BlobInfo]:
        return self._store.blobs()

    def ping(self) -> str:
        return self._store.ping()

    def close(self) -> None:
        self._store.close()

    def _keep(self, data: bytes) -> None:
        try:
            self._near.put(data)
        except BackendUnavailable as exc:  # a full disk costs the copy, not the model
            _log.warning("no local copy: %s", exc)


if TYPE_CHECKING:
    _fits: type[BlobStore] = CachedBlobs
