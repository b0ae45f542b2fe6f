# Written by scripts/async-pool from pooling/places.py; change that, and run it.
"""A pool's places: which objects exist, which are idle, who waits, and who gets what is free."""

from __future__ import annotations

import logging
import sys
import threading
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Generic, TypeVar

from exia.errors import PoolBusy, PoolClosed, PoolTimeout
from exia.notices import tell as tell_watchers
from exia.notices import watchers
from exia.pooling.asynchronous.care import Care, Failures
from exia.pooling.asynchronous.entry import EMPTY, Entry
from exia.pooling.asynchronous.hand import Bell, Waiter
from exia.pooling.asynchronous.swapping import Trial
from exia.pooling.asynchronous.version import Line, Version
from exia.pooling.borrowers import shown
from exia.pooling.events import Event, Listener
from exia.pooling.limits import Limits

T = TypeVar("T")
_log = logging.getLogger("exia")


class Places(ABC, Generic[T]):
    """At most ``max_size`` entries of a version; a free one goes to the oldest waiter and to nobody else.

    Lock-free: ``_take`` and ``_put`` on the idle deque while nobody waits. Whoever puts looks for
    waiters afterwards, and whoever waits queues first and looks at the deque afterwards, so that
    one of the two sees the other. All else happens under the lock, and no factory verb ever does.

    The garbage collector may end a generator that holds a lease, in the midst of this thread's own
    bookkeeping. Such a return only notes itself in ``_orphans``, and `_tend` does it a moment later.
    """

    __slots__ = (
        "__weakref__",
        "_closed",
        "_created",
        "_destroyed",
        "_empty",
        "_entries",
        "_failures",
        "_gate",
        "_idle",
        "_leases",
        "_leaving",
        "_limits",
        "_line",
        "_listeners",
        "_lock",
        "_low",
        "_orphans",
        "_parked",
        "_period",
        "_put",
        "_refused",
        "_retired",
        "_sample",
        "_take",
        "_timeouts",
        "_trial",
        "_waiters",
        "name",
    )

    def __init__(self, version: Version[T], failures: Failures, limits: Limits, name: str, params: Any) -> None:
        self.name = name
        self._failures = failures
        self._limits = limits
        self._period, self._sample = limits.period, limits.looked
        self._idle: deque[Entry[T]] = deque()
        self._put = self._idle.append
        self._take: Callable[[], Entry[T]] = limits.taking.taker(self._idle)
        self._line: Line[T] = Line(version, 0, params, 0)
        self._trial: Trial[T] | None = None
        self._parked: deque[Entry[T]] = deque()  # of the version before, as long as a way back is open
        self._leaving: deque[tuple[Entry[T], str]] = deque()  # for the keeper to destroy, and why
        self._low = 0  # the fewest idle objects since the eviction rule last asked
        self._retired = self._created = self._timeouts = self._refused = 0
        self._destroyed: Counter[str] = Counter()
        self._leases: Counter[tuple[str, str]] = Counter()  # of objects that exist no more: by label and digest
        self._closed = ""  # why, once it is
        self._lock = threading.RLock()
        self._orphans: deque[tuple[Entry[T] | None, BaseException | None, Line[T] | None]] = deque()
        self._waiters: deque[Waiter] = deque()
        self._entries: list[Entry[T]] = []
        self._listeners: tuple[Listener, ...] = ()
        self._empty = Bell()
        self._gate: Line[T] | None = None  # entries of this line take the lock-free way; None: no entry does
        self._regate()

    async def _next(self, deadline: float, limit: float) -> Entry[T]:
        """Return an idle entry or a fresh, empty one, in turn with the other callers."""
        waiter = Waiter()
        try:
            with self._lock:
                self._refuse_if_closed()
                if not self._waiters:
                    entry = self._free()
                    if entry is not None:
                        return entry
                most = self._limits.max_waiting
                if limit > 0 and most is not None and len(self._waiters) >= most:
                    self._refused += 1
                    raise PoolBusy(f"pool {self.name!r} is busy: {self._state()}", hint="raise max_size or max_waiting")
                self._waiters.append(waiter)
                self._match()
            await self._tend()
            while not await waiter.wait(deadline):
                await self._reclaim()
                self._give_up(waiter, deadline, limit)
            if waiter.entry is None:
                self._refuse_if_closed()
            found, waiter.entry = waiter.entry, None
            assert found is not None
            return found
        except BaseException as exc:
            await self._abandon(waiter)
            if (self._listeners or watchers) and isinstance(exc, PoolBusy | PoolTimeout):
                self._tell("refused" if isinstance(exc, PoolBusy) else "timeout", waiting=len(self._waiters))
            raise

    def _give_up(self, waiter: Waiter, deadline: float, limit: float) -> None:
        """Raise `PoolTimeout` if `waiter` has waited for its time and was given nothing."""
        with self._lock:
            if waiter.entry is not None or monotonic() < deadline or waiter not in self._waiters:
                return
            self._waiters.remove(waiter)
            self._timeouts += 1
            raise PoolTimeout(
                f"no object of pool {self.name!r} within {limit:g} s: {self._state()}",
                hint="raise max_size or the timeout, or hold each lease for less time",
            )

    async def _abandon(self, waiter: Waiter) -> None:
        """Take `waiter` out of the queue; what it was already given goes to the next."""
        with self._lock:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            entry, waiter.entry = waiter.entry, None
            if entry is not None and entry.object is EMPTY:
                self._remove(entry)
            elif entry is not None:
                self._shelve(entry)
            self._match()
            self._note_empty()
        await self._tend()
        if self._closed:
            await self._drop_idle("close")

    async def _serve(self) -> None:
        """Hand idle objects to those who wait."""
        if self._owned():
            self._orphans.append((None, None, None))
        elif self._closed:
            await self._drop_idle("close")
        else:
            with self._lock:
                self._match()
            await self._tend()

    def _owned(self) -> bool:
        """Tell whether this thread is in the midst of its own bookkeeping."""
        owned: bool = self._lock._is_owned()  # type: ignore[attr-defined]  # as threading.Condition asks it
        return owned

    async def _tend(self) -> None:
        """Do what finalizers had to put off."""
        while self._orphans and not self._owned():
            try:
                entry, error, held = self._orphans.popleft()
            except IndexError:
                return
            if entry is None:
                await self._serve()
            else:
                await self._give(entry, error, held)

    @abstractmethod
    async def _give(self, entry: Entry[T], error: BaseException | None, held: Line[T] | None) -> None:
        """Take `entry` back the long way."""

    def _match(self) -> None:
        """Give what is free to the oldest waiters; the lock is held."""
        while self._waiters and not self._closed:
            entry = self._free()
            if entry is None:
                return
            waiter = self._waiters.popleft()
            waiter.entry = entry
            waiter.bell.release()

    def _free(self) -> Entry[T] | None:
        """Return an idle entry, or reserve a fresh one; the lock is held."""
        trial = self._trial
        if trial is not None:
            trial.asked += 1
            if trial.due:
                entry = trial.idle.popleft() if trial.idle else self._reserve(trial.line, trial.places)
                if entry is not None:
                    trial.lent += 1
                    return entry
        try:
            return self._take()
        except IndexError:
            self._low = 0
            found = self._reserve(self._line, self._limits.max_size)
            if found is None and trial is not None:
                trial.asked -= 1
            return found

    def _reserve(self, line: Line[T], most: int) -> Entry[T] | None:
        if line.version.size >= most:
            return None
        # In the list before it is filled, so that _reclaim finds it if its borrower dies in between.
        line.version.size += 1
        entry: Entry[T] = Entry(self, line, self._period)
        self._entries.append(entry)
        return entry

    def _shelve(self, entry: Entry[T]) -> None:
        """Lay `entry` among the idle ones of its version; the lock is held."""
        trial = self._trial
        if trial is not None and entry._line.version is trial.line.version:
            trial.idle.append(entry)
        else:
            self._put(entry)

    def _remove(self, entry: Entry[T]) -> None:
        """Take `entry` off the list; the lock is held."""
        self._entries.remove(entry)
        version = entry._line.version
        version.size -= 1
        version.retired += entry.uses
        self._retired += entry.uses
        self._leases[version.label, version.digest] += entry.uses

    async def _destroy(self, entry: Entry[T], cause: str) -> None:
        try:
            await self._care(entry).destroy(entry.object)
        finally:
            await self._forget(entry, cause)

    async def _forget(self, entry: Entry[T], cause: str | None) -> None:
        """Take `entry` out of the pool; its place goes to whoever waits."""
        with self._lock:
            if entry not in self._entries:
                return
            self._remove(entry)
            if cause is not None:
                self._destroyed[cause] += 1
            self._regate()
            self._match()
            self._note_empty()
        if cause is not None and (self._listeners or watchers):
            self._tell("destroyed", cause=cause, version=entry._line.version.label, uses=entry.uses)
        await self._tend()

    async def _drop_idle(self, cause: str) -> int:
        dropped = 0
        for entry in self._all_idle():
            await self._destroy(entry, cause)
            dropped += 1
        return dropped

    def _all_idle(self) -> list[Entry[T]]:
        """Take out all that is idle, of every version."""
        found: list[Entry[T]] = []
        with self._lock:
            for _ in range(len(self._idle)):
                try:
                    found.append(self._take())
                except IndexError:
                    break
            trial = self._trial
            for other in (self._parked, *([trial.idle] if trial is not None else [])):
                found.extend(other)
                other.clear()
        return found

    async def _reclaim(self) -> None:
        """Destroy the objects whose lease was dropped instead of given back.

        An interrupt between two instructions of a lease or a return loses an entry as well. Nobody
        holds such an entry but the pool's own list, so its reference count tells it apart.
        """
        with self._lock:
            lost = [entry for entry in self._entries if sys.getrefcount(entry) <= _UNHELD]
        for entry in lost:
            if entry.object is EMPTY:
                await self._forget(entry, None)
                continue
            by = entry._by
            who = f", borrowed at {shown(by)[0]}" if by is not None and by[0] == entry.uses and shown(by) else ""
            _log.warning("pool %r: a lease was dropped without a return%s; its object is destroyed", self.name, who)
            await self._destroy(entry, "lost")

    def _stale(self, entry: Entry[T]) -> str | None:
        """Return why `entry` must leave the pool, or None."""
        limits = self._limits
        line, most = self._line, limits.max_size
        if self._closed:
            return "close"
        trial = self._trial
        if trial is not None and entry._line.version is trial.line.version:
            line, most = trial.line, trial.places
        if entry._line.version is not line.version:
            return "swap"
        if entry._line.epoch != line.epoch:
            return "drain"
        if limits.max_uses is not None and entry.uses >= limits.max_uses:
            return "uses"
        if entry.expires and monotonic() >= entry.expires:
            return "lifetime"
        return "resize" if line.version.size > most else None

    async def _renew(self, entry: Entry[T]) -> str | None:
        """Bring `entry` to the newest generation of its version; return why it must go instead, or None."""
        trial = self._trial
        line = trial.line if trial is not None and trial.line.version is entry._line.version else self._line
        if entry._line.version is not line.version:
            return None  # made for a version that was replaced meanwhile: its one lease ends on it
        if entry._line.params is not line.params:
            cause = await self._care(entry).renew(entry.object, line.params)
            if cause is not None:
                return cause
        if entry._line.generation != line.generation:
            entry._rearm(self._period)
        entry._line = line
        return None

    def _care(self, entry: Entry[T]) -> Care[T]:
        return entry._line.version.care

    def _regate(self) -> None:
        """Set which entries may take the lock-free way; the lock is held."""
        limits, version = self._limits, self._line.version
        plain = not self._closed and limits.plain and version.care.plain and self._trial is None
        self._gate = self._line if plain and version.size <= limits.max_size else None

    def _shut(self, why: str) -> None:
        """Fail whoever waits, now and from now on; the lock is held."""
        self._closed = why
        self._gate = None
        waiting = list(self._waiters)
        self._waiters.clear()
        # One that nobody answers: it keeps every later lease and return off the lock-free way.
        self._waiters.append(Waiter())
        for waiter in waiting:
            waiter.bell.release()

    def _note_empty(self) -> None:
        if self._closed and not self._entries:
            self._empty.set()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise PoolClosed(f"pool {self.name!r} {self._closed}", hint="open it again with exia.async_pool()")

    def _resting(self) -> int:
        trial = self._trial
        return len(self._idle) + len(self._parked) + len(self._leaving) + (0 if trial is None else len(trial.idle))

    def _state(self) -> str:
        leased = max(0, len(self._entries) - self._resting())
        return f"{leased} of {self._limits.max_size} leased, {len(self._waiters)} waiting"

    def _tell(self, kind: str, **facts: Any) -> None:
        """Tell the listeners; the lock is not held."""
        for listener in self._listeners:
            try:
                listener(Event(kind, self.name, facts))
            except Exception as exc:
                self._failures.count("listener")
                _log.warning("pool %r: a listener raised %s: %s", self.name, type(exc).__name__, exc)
        tell_watchers("pool", kind, {"pool": self.name, **facts})


def _count_unheld() -> int:
    """Return what `sys.getrefcount` says in `Places._reclaim` of an entry that only the list holds."""
    entries: list[Any] = [object()]
    return [sys.getrefcount(entry) for entry in entries][0]  # noqa: RUF015 - the same form as there, or it counts else


_UNHELD = _count_unheld()
