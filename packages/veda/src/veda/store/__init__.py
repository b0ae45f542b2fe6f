"""Stores of packages, opened by URL."""

from __future__ import annotations

from pathlib import Path

from veda._house.backends import open_backend
from veda.settings import store_url
from veda.store.port import Store

__all__ = ["Store", "open_store"]


def open_store(url: str | None = None, *, home: Path | str | None = None) -> Store:
    """Open the store at `url`, by default the configured one; ``file://`` is a folder in `home`."""
    address = store_url(url, home)
    if address.scheme == "file":
        # Without a look at all that is installed, which takes longer than most of what is asked of a folder.
        from veda.store.file import FileStore

        return FileStore(address)
    store: Store = open_backend("store", address)
    return store
