"""Where tables lie between units and after a run: bytes under keys."""

from __future__ import annotations

from typing import Any, Protocol


class Data(Protocol):
    """Bytes under keys such as ``<run_id>/outputs/adjust.prices.arrow``."""

    @property
    def url(self) -> str:
        """The address that opens the same place again, without a password."""

    def put(self, key: str, data: bytes) -> None:
        """Keep `data` under `key` in the place of what was there, all or nothing, durable on return."""

    def get(self, key: str) -> Any:
        """Return what is under `key` as a buffer; raise `NotFound` if there is nothing."""

    def has(self, key: str) -> bool:
        """Tell whether there is something under `key`."""

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys that begin with `prefix`, sorted."""

    def where(self, key: str) -> str:
        """Return the path or URL under which another program finds `key`."""
