"""How much of this machine an isolated model may take: memory, processors, and the time of a call."""

from __future__ import annotations

import os
import random
import resource
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

# Processes that are started one after the other get processors one after the other, so that the objects of a
# pool do not share one; where the first begins is left to chance, since other programs do the same.
_turn = count(random.randrange(1024))


class Limits(NamedTuple):
    """What one process may take."""

    memory: int  #: Bytes of address space, and of one answer; 0 for no limit.
    processors: int  #: 0 for all.
    timeout: float  #: Seconds of one call, and of loading; 0 for no limit.


def configured() -> Limits:
    """Return the settings ``isolate_memory``, ``isolate_processors`` and ``isolate_timeout``; raise `BadInput`."""
    from exia._house.config import load_config
    from exia.errors import BadInput
    from exia.settings import SETTINGS

    config = load_config(SETTINGS)
    found = Limits(*(config[f"isolate_{name}"] for name in Limits._fields))  # type: ignore[arg-type]
    for name, value in found._asdict().items():
        if not 0 <= value < float("inf"):
            raise BadInput(f"isolate_{name} must be 0 or more, not {value:g}", hint="0 sets no limit")
    return found


def processors(most: int) -> list[int]:
    """Return which processors the next process may use; none where it may use all."""
    if not most or not hasattr(os, "sched_getaffinity"):
        return []
    there = sorted(os.sched_getaffinity(0))
    first = next(_turn) * most
    return sorted({there[(first + n) % len(there)] for n in range(min(most, len(there)))})


def confine(memory: int, processors: Sequence[int]) -> None:
    """Set the limits of this process; none of them can be raised again by a process that has no rights."""
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_FSIZE, (memory, memory))  # also of the file that answers lie in
    if processors:
        os.sched_setaffinity(0, processors)
