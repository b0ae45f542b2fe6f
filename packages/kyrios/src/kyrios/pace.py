"""A fixed rate: when each tick of a loop is due, how late it began, and what becomes of those that were missed."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, time

from kyrios.ticks import Tick

OVERRUNS = ("skip", "queue", "merge")

_LONGEST_QUEUE = 1000  # ticks that may wait: a loop that is too slow for good must not remember all of them
_STEP = 1e-5  # seconds; how finely lateness is counted
_STEPS = 20_000


class Spread:
    """Counts durations in steps of 10 us up to 0.2 s, so that a loop may run for months."""

    def __init__(self) -> None:
        self._counts = [0] * (_STEPS + 1)
        self.count = 0
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self._counts[min(max(int(seconds / _STEP), 0), _STEPS)] += 1
        self.count += 1
        self.longest = max(self.longest, seconds)

    def share(self, part: float) -> float:
        """Return the seconds that `part` of all, from 0 to 1, do not exceed."""
        left = part * self.count
        for step, count in enumerate(self._counts):
            left -= count
            if left <= 0:
                return round(min((step + 1) * _STEP, self.longest), 6) if step < _STEPS else round(self.longest, 6)
        return 0.0


class Pace:
    """Says when to begin each tick; whoever runs them sleeps while some time is `remaining`, and takes the `next`.

    Due times lie on a grid that begins with the first tick, so lateness never adds up. Where a tick took so long that
    others are overdue by a whole period, `overrun` says what becomes of these: ``skip`` leaves them out, ``queue`` runs
    them one after another without a pause, ``merge`` lets one stand for all.
    """

    def __init__(
        self,
        every: float,
        overrun: str = "skip",
        *,
        first: int = 0,
        clock: Callable[[], float] = monotonic,
        wall: Callable[[], float] = time,
    ) -> None:
        self.every, self.overrun = every, overrun
        self.late = Spread()
        self.skipped = 0
        self.merged = 0
        self._clock, self._wall = clock, wall
        self._number = first  # of the next tick
        self._due = clock()

    def begin(self) -> None:
        """Let the next tick be due now, or a period after the one that has been."""
        self._due = self._clock() + (self.every if self._number else 0.0)

    def change(self, every: float, overrun: str) -> None:
        """Take another rate from the next tick on."""
        if every != self.every:
            self._due += every - self.every
        self.every, self.overrun = every, overrun

    def remaining(self) -> float:
        """Return the seconds until the next tick is due; none are left where it is late."""
        return self._due - self._clock()

    def next(self) -> Tick:
        """Return the tick that begins now; the one before it is over."""
        now = self._clock()
        behind = max(0, int((now - self._due) / self.every))
        stands_for = 1
        if behind and self.overrun == "queue":
            self._leave_out(max(0, behind - _LONGEST_QUEUE))
        elif behind:
            self._leave_out(behind, merged=self.overrun == "merge")
            stands_for = behind + 1 if self.overrun == "merge" else 1
        late = max(0.0, now - self._due)
        tick = Tick(self._number, self._wall() - late, late, stands_for)
        self.late.add(late)
        self._number += 1
        self._due += self.every
        return tick

    def _leave_out(self, count: int, *, merged: bool = False) -> None:
        self._number += count
        self._due += count * self.every
        if merged:
            self.merged += count
        else:
            self.skipped += count
