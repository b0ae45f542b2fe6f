"""What a pool has done; counted on the entries and under the pool's lock, summed when asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Histogram:
    """Durations in buckets that double: bucket ``i`` holds those below ``2**i`` ns and not below half of it."""

    __slots__ = ("buckets", "total")

    def __init__(self, buckets: list[int] | None = None, total: float = 0.0) -> None:
        self.buckets = buckets or [0] * 64
        self.total = total  #: The sum of all durations, in seconds.

    def add(self, seconds: float) -> None:
        """Count one duration, in seconds."""
        self.total += seconds
        self.buckets[min(63, int(seconds * 1e9).bit_length())] += 1

    @property
    def count(self) -> int:
        """How many durations it holds."""
        return sum(self.buckets)

    def quantile(self, q: float) -> float:
        """Return a bound in seconds that the share `q` (0 to 1) stays below; at most twice the true value."""
        left = q * self.count
        for i, n in enumerate(self.buckets):
            left -= n
            if n and left <= 0:
                return 2.0**i / 1e9
        return 0.0

    def copy(self) -> Histogram:
        """Return one that no longer changes."""
        return Histogram(list(self.buckets), self.total)


class Used(NamedTuple):
    """One version that a pool has lent."""

    version: str  #: Such as ``momentum@1.2.0``; the target's name alone where it has no versions.
    digest: str  #: ``sha256:`` and the digest of the package; empty where the source keeps none.
    leases: int  #: Those that have ended, and those that run.


@dataclass(frozen=True)
class PoolStats:
    """A pool at one moment.

    Attributes
    ----------
    size, idle, in_use, waiting
        Objects in all (those being made included), objects at rest, objects leased or being
        made, callers in the queue.
    leases
        Leases that have ended since the pool opened.
    created
        Objects made since the pool opened.
    destroyed
        Objects destroyed since then, by cause: ``clear``, ``close``, ``drain``, ``error``, ``evicted``,
        ``idle``, ``lifetime``, ``lost``, ``params``, ``resize``, ``swap``, ``uses``, or the factory verb
        that failed.
    timeouts, refused
        Callers who waited in vain, and callers turned away by ``max_waiting``.
    failures
        Exceptions that the factory raised, by verb.
    wait, hold
        How long callers waited and kept objects, in seconds, one lease of ``sample``; None unless
        the pool samples.
    version, generation
        What new leases get.
    errors
        Leases that ended with an exception.
    leaked, returned
        Leases that were reported as leaked, and those of them that came back after all.
    """

    name: str
    max_size: int
    size: int
    idle: int
    in_use: int
    waiting: int
    leases: int
    created: int
    destroyed: dict[str, int] = field(default_factory=dict)
    timeouts: int = 0
    refused: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    wait: Histogram | None = None
    hold: Histogram | None = None
    version: str = ""
    generation: int = 0
    errors: int = 0
    leaked: int = 0
    returned: int = 0
