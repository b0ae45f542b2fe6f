"""A caller in the queue of a pool, and how long it has left."""

from __future__ import annotations

import math
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

from exia.errors import BadInput

if TYPE_CHECKING:
    from exia.pooling.entry import Entry

#: Seconds after which a waiting caller looks whether an object was dropped instead of returned.
PATIENCE = 0.5


class Waiter:
    """One waiting caller; `bell` is released once, after `entry` was set (None: the pool has closed)."""

    __slots__ = ("bell", "entry")

    def __init__(self) -> None:
        self.bell = threading.Lock()
        self.bell.acquire()
        self.entry: Entry[Any] | None = None

    def wait(self, deadline: float) -> bool:
        """Wait until `deadline` (monotonic seconds) or for `PATIENCE`; tell whether the bell rang."""
        return self.bell.acquire(True, max(0.0, min(PATIENCE, deadline - monotonic())))


def seconds(value: float, name: str) -> float:
    """Return `value` as seconds, infinity included; raise `BadInput` if it is negative or no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value) or value < 0:
        raise BadInput(f"{name} must be 0 or more seconds, not {value!r}", hint=f"{name}=2.5; math.inf has no end")
    return float(value)


def whole(value: int, name: str, least: int) -> int:
    """Return `value`; raise `BadInput` if it is no whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise BadInput(f"{name} must be a whole number of at least {least}, not {value!r}", hint=f"{name}={least or 8}")
    return value
