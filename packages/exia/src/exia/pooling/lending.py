"""One lease, from its beginning to its end: the long way, which every object takes now and then."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count
from time import monotonic
from typing import Any, TypeVar

from exia.errors import FactoryError
from exia.notices import watchers
from exia.pooling.borrowers import mark
from exia.pooling.care import Failures
from exia.pooling.entry import EMPTY, Entry
from exia.pooling.limits import Limits
from exia.pooling.places import Places
from exia.pooling.statistics import Histogram
from exia.pooling.swapping import Swap
from exia.pooling.version import Line, Version

T = TypeVar("T")
#: Seconds of waiting from which on the borrower is always noted: a pool that runs dry is what leaks lead to.
_LONG = 0.001


class Lending(Places[T]):
    """Readies what is lent and judges what comes back; no verb of the factory runs under the lock."""

    __slots__ = ("_errors", "_floor", "_hold", "_leaks", "_numbers", "_seen", "_swap", "_wait")

    def __init__(self, version: Version[T], failures: Failures, limits: Limits, name: str, params: Any) -> None:
        super().__init__(version, failures, limits, name, params)
        self._floor = 0  # entries of an older generation belong to the process that forked this one
        self._numbers = count(1)
        self._errors = 0
        self._wait = Histogram()
        self._hold = Histogram()
        self._swap: Swap[T] | None = None
        self._seen: dict[int, tuple[int, float]] = {}  # by id of a leased entry: its uses, and when first seen so
        self._leaks: dict[int, tuple[int, float]] = {}  # those of them that were reported

    def _obtain(self, timeout: float | None, entry: Entry[T] | None = None) -> Entry[T]:
        """Lease the long way: wait in turn, make what is missing, check what was idle."""
        limits = self._limits
        limit = limits.timeout if timeout is None else timeout
        began = monotonic()
        if entry is not None and (self._waiters or self._trial is not None):
            with self._lock:
                self._shelve(entry)  # it is somebody else's turn, or another version's
            self._serve()
            entry = None
        while True:
            if entry is None:
                entry = self._next(began + limit, limit)
            line = entry._line
            closely = entry.object is EMPTY or line is line.twin
            if self._ready(entry):
                break
            entry = None
        self._tend()
        entry._held = entry._line
        if limits.track != "off":
            now = monotonic()
            if limits.track == "full" or closely:
                entry._by = mark(entry.uses)
            elif now - began > _LONG:
                entry._by = mark(entry.uses, 5)
            if closely and limits.looked:
                entry.since = now
                entry._held = entry._line.twin  # so that its return takes the long way too
                with self._lock:
                    self._wait.add(now - began)
        return entry

    def _ready(self, entry: Entry[T]) -> bool:
        """Fill a fresh entry or check an idle one; False if it was unfit and is gone."""
        fresh = entry.object is EMPTY
        if fresh:
            self._fill(entry)
        try:
            cause = (None if fresh else self._stale(entry)) or self._renew(entry)
            cause = cause or (None if fresh else self._unfit(entry))
            if cause is None:
                self._care(entry).activate(entry.object)
                return True
        except BaseException as exc:
            self._discard(entry, "activate")
            if fresh or not isinstance(exc, FactoryError):
                raise
            return False
        self._discard(entry, cause)
        return False

    def _unfit(self, entry: Entry[T]) -> str | None:
        rested = monotonic() - entry.since if entry.since else float("inf")
        return self._care(entry).invalid(entry.object) if self._limits.asking.due("lease", rested) else None

    def _fill(self, entry: Entry[T]) -> None:
        line = entry._line
        try:
            entry.object = line.version.care.make(line.params)
        except BaseException:
            self._forget(entry, None)
            raise
        limits = self._limits
        if limits.asking.due("create", 0.0) and self._care(entry).invalid(entry.object):
            self._destroy(entry, "validate")
            raise FactoryError(f"a new object of pool {self.name!r} is not valid: validate() said no")
        if limits.max_lifetime is not None:
            # Spread, so that objects made together do not all leave together.
            entry.expires = monotonic() + limits.max_lifetime * random.uniform(0.95, 1.0)
        with self._lock:
            self._created += 1
        if self._listeners or watchers:
            self._tell("created", version=line.version.label, generation=line.generation)

    def _give(self, entry: Entry[T], error: BaseException | None, held: Line[T] | None) -> None:
        """Take back the long way: judge, tidy, and keep, hand on or destroy."""
        if entry._line.generation < self._floor:
            return
        if self._owned():
            self._orphans.append((entry, error, held))
            return
        limits, version = self._limits, entry._line.version
        try:
            if held is not None and held is held.twin:
                self._look(entry)
            if isinstance(error, Exception):
                with self._lock:
                    version.errors += 1
                    self._errors += 1
            swap = self._swap
            if swap is not None and version is swap._version and swap.state in ("canary", "watching"):
                swap._note(error if isinstance(error, Exception) else None)
            cause = None if error is None else self._care(entry).judge(entry.object, error)
            cause = cause or self._stale(entry) or self._care(entry).tidy(entry.object)
            if cause is None and limits.asking.due("return", 0.0):
                cause = self._care(entry).invalid(entry.object)
        except BaseException:
            self._discard(entry, "error")
            raise
        if cause is None:
            entry.since = 0.0 if self._care(entry).plain else monotonic()
            entry._by = None
            with self._lock:
                most = limits.max_idle
                if self._waiters or most is None or len(self._idle) < most:
                    self._shelve(entry)
                    self._match()
                else:
                    cause = "idle"
        if cause is None:
            self._serve()
        else:
            self._discard(entry, cause)

    def _look(self, entry: Entry[T]) -> None:
        """Note how long a lease took that was looked at closely, and whether it was reported as leaked."""
        if entry.since:
            with self._lock:
                self._hold.add(monotonic() - entry.since)
        seen = self._leaks.pop(id(entry), None)
        if seen is not None:
            self._came_back(monotonic() - seen[1])

    def _came_back(self, held: float) -> None:
        """Say that a lease has ended, after `held` seconds, that was reported as leaked."""

    def _discard(self, entry: Entry[T], cause: str) -> None:
        if cause == "swap":
            with self._lock:
                swap = self._swap
                way_back = swap is not None and swap.state == "watching" and not self._closed
                if way_back and swap is not None and swap._before.version is entry._line.version:
                    self._parked.append(entry)
                    return
        self._destroy(entry, cause)
        self._wake()

    def _wake(self) -> None:
        """Let the keeper, if there is one, look at the pool now."""

    def _aged(self, change: Callable[[Line[T]], Line[T]]) -> Line[T]:
        """Begin a new generation of the version lent; return it."""
        with self._lock:
            line = self._line = change(self._line)
            trial = self._trial
            if trial is not None:
                now = trial.line
                trial.line = Line(now.version, next(self._numbers), line.params, line.epoch)
            self._regate()
        return line
