"""Where the bytes of models are kept; opened by URL."""

from __future__ import annotations

from typing import cast

from exia._house.backends import open_backend
from exia._house.config import home, load_config
from exia.blobs.cache import CachedBlobs
from exia.blobs.port import BlobInfo, BlobStore
from exia.settings import SETTINGS

__all__ = ["BlobInfo", "BlobStore", "CachedBlobs", "open_blobs"]


def open_blobs(url: str | None = None) -> BlobStore:
    """Open the bytes of models at `url`, or as configured: ``EXIA_BLOBS``, ``jiyuan.toml``, ``file://``.

    A store across a network comes with a local copy of what was read, in ``cache`` of Exia's home;
    each read checks the copy against its SHA-256 again.

    Raises
    ------
    UnknownBackend
        If no store has this URL scheme.
    MissingExtra
        If its driver is not installed.
    BackendUnavailable
        If it does not answer.
    """
    store = cast(BlobStore, open_backend("blobs", load_config(SETTINGS, {"blobs": url}).text("blobs")))
    return CachedBlobs(store, home() / "cache" / "blobs") if store.remote else store
