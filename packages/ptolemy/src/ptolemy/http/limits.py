"""How often a token may call: a bucket for each, filled by a clock that nobody can set back."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from ptolemy.errors import RateLimited

_KEPT = 10_000  # buckets; one that was forgotten begins full, and it takes this many others to be forgotten


@dataclass(frozen=True)
class Quota:
    """What is left to a caller.

    Parameters
    ----------
    limit
        Calls a minute; 0 means any number.
    remaining
        Calls that would be answered at once.
    reset
        Seconds until all of `limit` are there again.
    """

    limit: int
    remaining: int
    reset: float


class Limits:
    """A token bucket per caller: full at first, one call more every ``60 / rate`` seconds.

    Parameters
    ----------
    clock
        Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what is left, and when

    def take(self, caller: str, rate: int) -> Quota:
        """Take one call from the bucket of `caller`; raise `RateLimited` if it is empty."""
        if not rate:
            return Quota(0, 0, 0.0)
        left, now = self._left(caller, rate)
        if left < 1:
            raise RateLimited(rate, (1 - left) * 60 / rate)
        self._buckets[caller] = (left - 1, now)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > _KEPT:
            self._buckets.popitem(last=False)
        return Quota(rate, int(left - 1), (rate - left + 1) * 60 / rate)

    def quota(self, caller: str, rate: int) -> Quota:
        """Return what is left to `caller` without taking a call."""
        left, _ = self._left(caller, rate) if rate else (0.0, 0.0)
        return Quota(rate, int(left), (rate - left) * 60 / rate if rate else 0.0)

    def _left(self, caller: str, rate: int) -> tuple[float, float]:
        now = self._clock()
        left, then = self._buckets.get(caller, (float(rate), now))
        return min(float(rate), left + (now - then) * rate / 60), now
