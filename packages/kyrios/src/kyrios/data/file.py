"""``file:///srv/kyrios``: a folder on this machine, or one that all machines mount."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kyrios._house.backends import BackendURL
from kyrios._house.files import write_durably
from kyrios.data._keys import checked
from kyrios.data.port import Data
from kyrios.errors import BackendUnavailable, NotFound
from kyrios.settings import home


class FileData:
    """One file for each key below a folder; readers map it into memory."""

    def __init__(self, url: BackendURL) -> None:
        self.root = url.file_path(home() / "data").absolute()

    @property
    def url(self) -> str:
        """``file://`` and the absolute folder."""
        return f"file://{quote(str(self.root))}"

    def put(self, key: str, data: bytes) -> None:
        """Keep `data` under `key`, all or nothing, durable on return."""
        with _translated():
            write_durably(self._path(key), data)

    def get(self, key: str) -> Any:
        """Return what is under `key`, mapped and not copied."""
        import mmap

        path = self._path(key)
        with _translated(key):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                if not os.fstat(descriptor).st_size:
                    return b""
                return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
            finally:
                os.close(descriptor)

    def has(self, key: str) -> bool:
        """Tell whether there is something under `key`."""
        return self._path(key).is_file()

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys that begin with `prefix`, sorted."""
        start = self.root / prefix.rpartition("/")[0]
        found = (p.relative_to(self.root).as_posix() for p in start.rglob("*") if p.is_file() and p.name[0] != ".")
        return sorted(key for key in found if key.startswith(prefix))

    def where(self, key: str) -> str:
        """Return the absolute path of `key`."""
        return str(self._path(key))

    def _path(self, key: str) -> Path:
        return self.root / checked(key)


@contextmanager
def _translated(key: str = "") -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as exc:
        raise NotFound(f"there is nothing under {key!r}", hint="kyrios runs list") from exc
    except OSError as exc:
        raise BackendUnavailable(f"file: {exc}", hint="kyrios doctor") from exc


if TYPE_CHECKING:
    _fits: type[Data] = FileData
