"""The rules of a pool that can be exchanged, each an object with one method."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from exia.errors import BadInput
from exia.pooling.waiting import seconds, whole

Moment = Literal["create", "lease", "return", "idle"]
MOMENTS: tuple[Moment, ...] = ("create", "lease", "return", "idle")


class Order(Protocol):
    """Which idle object is lent next."""

    def taker(self, idle: deque[Any]) -> Callable[[], Any]:
        """Return what takes one out of `idle`, atomically, and raises `IndexError` if there is none.

        What came back last lies at the right.
        """


class Validation(Protocol):
    """When the factory's ``validate`` is asked."""

    def due(self, moment: Moment, rested: float) -> bool:
        """Tell whether to ask now of an object that lies idle for `rested` seconds."""


class Growth(Protocol):
    """How many objects are made in the background, before somebody needs them."""

    def wanted(self, idle: int, size: int, waiting: int) -> int:
        """Return how many to make now, in addition to `size`."""


class Eviction(Protocol):
    """How many idle objects go because nobody needs them."""

    def surplus(self, unused: int, over: float) -> int:
        """Return how many to destroy now; at least `unused` lay idle at every moment of the last `over` seconds.

        The count begins anew after an answer above 0.
        """


class Leak(Protocol):
    """From when on a lease counts as leaked."""

    def leaked(self, held: float) -> bool:
        """Tell whether a lease that is out for `held` seconds is reported."""


class Lifo:
    """Lend what came back last: it is warm, and what is not needed stays idle."""

    def taker(self, idle: deque[Any]) -> Callable[[], Any]:
        """Return ``idle.pop``."""
        return idle.pop


class Fifo:
    """Lend what is idle longest: all are used alike."""

    def taker(self, idle: deque[Any]) -> Callable[[], Any]:
        """Return ``idle.popleft``."""
        return idle.popleft


@dataclass(frozen=True)
class Rested:
    """Ask at the moments named; at a lease, a return or while idle only after `after` seconds of rest."""

    after: float = 0.5
    at: tuple[Moment, ...] = ("lease",)

    def __post_init__(self) -> None:
        seconds(self.after, "validate_after")
        unknown = set(self.at) - set(MOMENTS)
        if unknown:
            raise BadInput(f"validation knows no moment {min(unknown)!r}", hint=f"it knows {', '.join(MOMENTS)}")

    def due(self, moment: Moment, rested: float) -> bool:
        """Tell whether `moment` is one of `at` and the rest was long enough."""
        return moment in self.at and (moment in ("create", "return") or rested >= self.after)


@dataclass(frozen=True)
class KeepIdle:
    """Keep `least` objects idle."""

    least: int = 0

    def __post_init__(self) -> None:
        whole(self.least, "min_idle", 0)

    def wanted(self, idle: int, size: int, waiting: int) -> int:
        """Return what is missing of `least`; nothing while callers wait, for they are served first."""
        return 0 if waiting else max(0, self.least - idle)


@dataclass(frozen=True)
class UnusedMinimum:
    """Destroy what nobody needed for `window` seconds: the least that lay idle at any time in it."""

    window: float = 600.0

    def __post_init__(self) -> None:
        seconds(self.window, "window")

    def surplus(self, unused: int, over: float) -> int:
        """Return `unused` once the window is over."""
        return unused if over >= self.window else 0


@dataclass(frozen=True)
class HeldFor:
    """Report a lease that is out for `limit` seconds."""

    limit: float = 120.0

    def __post_init__(self) -> None:
        seconds(self.limit, "limit")

    def leaked(self, held: float) -> bool:
        """Tell whether `limit` is reached."""
        return held >= self.limit
