"""What a unit of a service loop knows: which tick it is, and what it remembers from one tick to the next."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from time import time
from typing import Any


@dataclass(frozen=True)
class Tick:
    """One turn of a service loop.

    Parameters
    ----------
    number
        From 0; what was left out is counted too.
    due
        When it should have begun, in seconds since 1970.
    late
        How many seconds later it began.
    merged
        How many ticks it stands for: more than one where the loop was too slow and `overrun` is ``merge``.
    """

    number: int
    due: float
    late: float = 0.0
    merged: int = 1


_tick: ContextVar[Tick | None] = ContextVar("kyrios_tick", default=None)
_memory: ContextVar[dict[str, Any] | None] = ContextVar("kyrios_memory", default=None)
_kept: ContextVar[Mapping[str, Any] | None] = ContextVar("kyrios_kept", default=None)


def tick() -> Tick:
    """Return the tick that runs; where no loop runs, tick 0, due now."""
    return _tick.get() or Tick(0, time())


def memory() -> dict[str, Any]:
    """Return what the running unit remembers: a dict of its own, the same one at every tick and after a reload.

    Where no loop runs, it is empty and forgotten.
    """
    found = _memory.get()
    return {} if found is None else found


def checkpointed() -> Mapping[str, Any]:
    """Return what the running unit remembered at the last checkpoint that is durable; nothing before the first.

    What lies outside may be told now that all up to there is done: after a crash the unit begins again right here. A
    reader of a channel commits the position that stands in it.
    """
    return _kept.get() or {}


def begin(now: Tick | None) -> None:
    """Let `tick` return `now` from here on."""
    _tick.set(now)


def remember(held: dict[str, Any] | None, kept: Mapping[str, Any] | None = None) -> None:
    """Let `memory` return `held` from here on, and `checkpointed` what is `kept`."""
    _memory.set(held)
    _kept.set(kept)
