"""``memory://``: nothing outlives the process; ``memory:name`` is shared by all that name it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kyrios._house.backends import BackendURL
from kyrios.data._keys import checked
from kyrios.data.port import Data
from kyrios.errors import NotFound

_shared: dict[str, dict[str, bytes]] = {}


class MemoryData:
    """A dictionary."""

    def __init__(self, url: BackendURL) -> None:
        name = url.host or url.path.strip("/")
        self._name = name
        self._kept: dict[str, bytes] = _shared.setdefault(name, {}) if name else {}

    @property
    def url(self) -> str:
        """``memory:`` and the name, if it has one."""
        return f"memory:{self._name}" if self._name else "memory://"

    def put(self, key: str, data: bytes) -> None:
        """Keep `data` under `key`."""
        self._kept[checked(key)] = bytes(data)

    def get(self, key: str) -> Any:
        """Return what is under `key`."""
        try:
            return self._kept[checked(key)]
        except KeyError:
            raise NotFound(f"there is nothing under {key!r}", hint="kyrios runs list") from None

    def has(self, key: str) -> bool:
        """Tell whether there is something under `key`."""
        return checked(key) in self._kept

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys that begin with `prefix`, sorted."""
        return sorted(key for key in self._kept if key.startswith(prefix))

    def where(self, key: str) -> str:
        """Return a URL that names `key` in this process."""
        return f"memory:{self._name}/{checked(key)}"


if TYPE_CHECKING:
    _fits: type[Data] = MemoryData
