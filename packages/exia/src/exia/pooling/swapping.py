"""Replacing the version that a pool lends, while it lends."""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from exia.errors import BadInput, Conflict, ExiaError, SwapRefused
from exia.pooling.version import Line, Version
from exia.pooling.waiting import seconds, whole

if TYPE_CHECKING:
    from exia.pooling.entry import Entry
    from exia.pooling.pool import Pool

T = TypeVar("T")
State = Literal["canary", "promoting", "watching", "done", "undone"]
#: Errors are judged as a share of so many leases at least: the first failure alone proves nothing.
FEWEST = 20
_log = logging.getLogger("exia")


class Trial(Generic[T]):
    """A version on trial: it has places of its own and gets a share of the leases."""

    __slots__ = ("asked", "idle", "lent", "line", "places", "share")

    def __init__(self, line: Line[T], share: float, places: int) -> None:
        self.line = line
        self.share = share
        self.places = places
        self.idle: deque[Entry[T]] = deque()
        self.asked = 0  #: Leases since it began, of both versions.
        self.lent = 0  #: Leases of the version on trial.

    @property
    def due(self) -> bool:
        """Whether the next lease is its own."""
        return self.lent < self.share * self.asked


@dataclass(frozen=True)
class SwapRules:
    """What `Pool.swap` takes as numbers; see there."""

    canary: float = 0.0
    trial: int = 100
    max_errors: float = 0.05
    watch: float = 30.0
    probe: Callable[[Any], object] | None = None

    def __post_init__(self) -> None:
        for name, most in (("canary", "less than 1"), ("max_errors", "at most 1")):
            share = getattr(self, name)
            number = isinstance(share, int | float) and not isinstance(share, bool)
            if not number or not 0 <= share <= 1 or (name == "canary" and share == 1):
                raise BadInput(f"{name} is a share from 0 to {most}, not {share!r}", hint=f"{name}=0.1")
        whole(self.trial, "trial", 1)
        seconds(self.watch, "watch")
        if self.probe is not None and not callable(self.probe):
            raise BadInput("probe is a callable that takes one object", hint="probe=lambda obj: obj.ready()")


class Swap(Generic[T]):
    """A change of version; `Pool.swap` returns it once the new version is lent, to all or on trial.

    Attributes
    ----------
    old, new
        Labels of the two versions, such as ``momentum@1.2.0``.
    state
        ``canary``: a share of the leases gets the new version. ``promoting``: the rest of its objects
        is being made. ``watching``: all leases get it, and the old objects are kept for the way back.
        ``done``: the old version is gone. ``undone``: the old version is lent again.
    reason
        Why it was undone; empty otherwise.
    """

    def __init__(self, pool: Pool[T], version: Version[T], params: Mapping[str, Any] | None, rules: SwapRules) -> None:
        self._pool = pool
        self._version = version
        self._own = params
        self._rules = rules
        self._before = pool._line
        self._until = math.inf
        self._over = threading.Event()
        self.old = pool._line.version.label
        self.new = version.label
        self.state: State = "canary"
        self.reason = ""

    @property
    def calls(self) -> int:
        """Leases of the new version that have ended."""
        with self._pool._lock:
            alive = sum(e.uses for e in self._pool._entries if e._line.version is self._version)
            return self._version.retired + alive

    @property
    def errors(self) -> int:
        """Those of them whose block raised an exception."""
        return self._version.errors

    def wait(self, timeout: float | None = None) -> State:
        """Wait until it is ``done`` or ``undone``, or for `timeout` seconds; return the state."""
        self._over.wait(timeout)
        return self.state

    def promote(self) -> None:
        """End the trial now and lend the new version to all.

        Raises
        ------
        Conflict
            If it is not on trial.
        FactoryError
            If the rest of the objects cannot be made; the swap is undone then.
        """
        with self._pool._lock:
            if self.state != "canary":
                raise Conflict(f"the swap to {self.new} is not on trial: it is {self.state}")
            self.state = "promoting"
        try:
            built = self._build(self._wanted() - self._version.size)
        except BaseException as exc:
            self._go_back(f"making its objects failed: {exc}")
            raise
        self._switch(built)

    def undo(self, reason: str = "by request") -> None:
        """Lend the old version again; raise `Conflict` if it is gone."""
        if not self._go_back(reason, logging.INFO):
            raise Conflict(
                f"the swap to {self.new} is {self.state}; there is no way back",
                hint="swap to the old version instead",
            )

    def __repr__(self) -> str:
        return f"<Swap {self.old} -> {self.new} {self.state}>"

    def _begin(self) -> None:
        """Check the new version, then put it on trial or in the place of the old one."""
        share, pool = self._rules.canary, self._pool
        wanted = self._wanted()
        line = Line(self._version, next(pool._numbers), self._params(), pool._line.epoch)
        first = self._check(line)
        if not share:
            try:
                built = self._build(wanted - 1, line)
            except ExiaError as exc:
                self._drop(first)
                raise SwapRefused(f"{self.new} is not swapped in: {exc}", hint="the pool goes on as it was") from exc
            except BaseException:
                self._drop(first)
                raise
            self._switch([first, *built])
            return
        with pool._lock:
            pool._settle_swap()
            pool._swap = self
            pool._trial = Trial(line, share, max(1, math.ceil(share * pool.max_size)))
            pool._trial.idle.append(first)
            pool._regate()
            pool._match()
        pool._keep()
        pool._tell("canary", old=self.old, new=self.new, share=share)

    def _params(self) -> Mapping[str, Any] | None:
        return self._pool._line.params if self._own is None else self._own

    def _wanted(self) -> int:
        """Return how many new objects are made before the switch: as many as there are old ones."""
        limits, now = self._pool._limits, self._pool._line.version.size
        most = limits.max_size if limits.max_idle is None else min(limits.max_size, limits.max_idle)
        return max(1, min(now, most))

    def _check(self, line: Line[T]) -> Entry[T]:
        """Make the first object and prove that it works; raise `SwapRefused` if it does not."""
        pool, care = self._pool, self._version.care
        try:
            entry = self._make(line)
        except ExiaError as exc:
            raise SwapRefused(f"{self.new} is not swapped in: {exc}", hint="the pool goes on as it was") from exc
        why: str | None = None
        cause: BaseException | None = None
        try:
            care.activate(entry.object)
            why = care.invalid(entry.object)
            if why is None and self._rules.probe is not None and self._rules.probe(entry.object) is False:
                why = "the probe returned False"
            why = why or care.tidy(entry.object)
        except Exception as exc:
            why, cause = f"{type(exc).__name__}: {exc}", exc
        except BaseException:
            pool._destroy(entry, "swap")
            raise
        if why is not None:
            pool._destroy(entry, "swap")
            text = "its validate() said no" if why == "validate" else why
            raise SwapRefused(f"{self.new} is not swapped in: {text}", hint="the pool goes on as it was") from cause
        return entry

    def _build(self, n: int, line: Line[T] | None = None) -> list[Entry[T]]:
        if line is None:
            line = Line(self._version, next(self._pool._numbers), self._params(), self._pool._line.epoch)
        built: list[Entry[T]] = []
        try:
            for _ in range(n):
                built.append(self._make(line))
        except BaseException:
            for entry in built:
                self._drop(entry)
            raise
        return built

    def _make(self, line: Line[T]) -> Entry[T]:
        with self._pool._lock:
            self._pool._refuse_if_closed()
            entry = self._pool._reserve(line, self._pool.max_size + 1)
        assert entry is not None
        self._pool._fill(entry)
        return entry

    def _drop(self, entry: Entry[T]) -> None:
        self._pool._destroy(entry, "swap")

    def _switch(self, built: list[Entry[T]]) -> None:
        """Lend the new version from now on; `built` are its first objects."""
        pool = self._pool
        with pool._lock:
            shut = bool(pool._closed)
            if not shut:
                pool._settle_swap(self)
                pool._swap = self
                self._before = pool._line
                trial, pool._trial = pool._trial, None
                if trial is not None:
                    built = [*built, *trial.idle]
                line = Line(self._version, next(pool._numbers), self._params(), pool._line.epoch)
                self._take_over(line, built, pool._parked)
                self.state = "watching"
                self._until = monotonic() + self._rules.watch
        if shut:
            for entry in built:
                self._drop(entry)
            pool._refuse_if_closed()
        pool._tell("swapped", old=self.old, new=self.new, generation=line.generation)
        if self._rules.watch:
            pool._keep()
            pool._wake()
        else:
            pool._settle_swap()
            pool._clear_out()

    def _go_back(self, reason: str, level: int = logging.WARNING) -> bool:
        """Lend the old version again, if it is still there."""
        pool = self._pool
        with pool._lock:
            if self.state in ("done", "undone") or pool._closed:
                return False
            gone: deque[Entry[T]] = deque()
            if self.state == "watching":
                before = self._before
                line = Line(before.version, next(pool._numbers), before.params, before.epoch)
                back = list(pool._parked)
                pool._parked.clear()
                self._take_over(line, back, gone)
            elif pool._trial is not None:
                gone = pool._trial.idle
                pool._trial = None
                pool._regate()
                pool._match()
            self.state, self.reason = "undone", reason
            pool._leaving.extend((entry, "swap") for entry in gone)
            self._over.set()
        _log.log(level, "pool %r: back to %s from %s: %s", pool.name, self.old, self.new, reason)
        pool._tell("undone", old=self.old, new=self.new, reason=reason)
        pool._keep()
        pool._wake()
        return True

    def _take_over(self, line: Line[T], fresh: list[Entry[T]], gone: deque[Entry[T]]) -> None:
        """Make `line` the pool's own, with `fresh` idle and what was idle in `gone`; the lock is held."""
        pool = self._pool
        pool._line = line
        pool._regate()
        for _ in range(len(pool._idle)):
            try:
                gone.append(pool._take())
            except IndexError:
                break
        for entry in fresh:
            if entry._line.params is line.params and entry._line.epoch == line.epoch:
                entry._line = line
            pool._put(entry)
        pool._match()

    def _note(self, error: BaseException | None) -> None:
        """Judge the new version after one of its leases has ended."""
        failed, calls = self.errors, self.calls
        if error is not None and failed > self._rules.max_errors * max(calls, FEWEST):
            self._go_back(f"{failed} of {calls} leases failed, the last with {type(error).__name__}: {error}")
        elif self.state == "canary" and calls >= self._rules.trial:
            self._pool._wake()

    def _step(self) -> None:
        """Do what is due: end the trial, or close the way back."""
        if self.state == "canary" and self.calls >= self._rules.trial:
            try:
                self.promote()
            except ExiaError as exc:
                _log.warning("pool %r: %s is not promoted: %s", self._pool.name, self.new, exc)
        elif self.state == "watching" and monotonic() >= self._until:
            self._pool._settle_swap()

    def _settle(self) -> None:
        """Close the way back; the lock is held."""
        pool = self._pool
        self.state = "done"
        pool._leaving.extend((entry, "swap") for entry in pool._parked)
        pool._parked.clear()
        self._over.set()
