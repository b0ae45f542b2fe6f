"""The pool itself: a lock-free way for the common lease and return, a locked one for all else."""

from __future__ import annotations

import random
import threading
from collections import deque
from itertools import count
from time import monotonic
from types import TracebackType
from typing import Literal, TypeVar

from exia.errors import BadInput, FactoryError, ForeignLease
from exia.methods import MethodTable, methods_of
from exia.pooling.care import Care
from exia.pooling.entry import EMPTY, Entry, Lease
from exia.pooling.factory import Verbs
from exia.pooling.keeper import Keeper
from exia.pooling.limits import Limits
from exia.pooling.named import dismiss, enroll
from exia.pooling.places import SLOW, Places
from exia.pooling.statistics import Histogram, PoolStats
from exia.pooling.waiting import seconds, whole

T = TypeVar("T")
ForkPolicy = Literal["rebuild", "forbid"]


class Pool(Places[T]):
    """Objects that are made once and lent many times; open one with `exia.pool`.

    Idle objects lie in a deque. A lease pops one and a return pushes it, without a lock, as long as
    nobody waits; a caller who must wait queues, and each object that comes back goes to the oldest
    waiter. No verb of the factory ever runs under a lock.
    """

    __slots__ = ("_floor", "_fork", "_hold", "_keeper", "_methods", "_ticket", "_wait")

    def __init__(
        self,
        verbs: Verbs[T],
        limits: Limits,
        *,
        name: str,
        chosen: bool = False,
        order: Literal["lifo", "fifo"] = "lifo",
        fork: ForkPolicy = "rebuild",
        methods: MethodTable | None = None,
    ) -> None:
        if order not in ("lifo", "fifo"):
            raise BadInput(f"order must be 'lifo' or 'fifo', not {order!r}")
        if fork not in ("rebuild", "forbid"):
            raise BadInput(f"fork must be 'rebuild' or 'forbid', not {fork!r}")
        super().__init__(Care(verbs, name), limits, name, order)
        self._methods = methods
        self._fork = fork
        self._floor = 0  # entries of an older generation belong to the process that forked this one
        self._wait = Histogram()
        self._hold = Histogram()
        self._ticket = count()
        self._keeper: Keeper | None = None
        enroll(self, chosen=chosen)
        try:
            while limits.min_idle and self._top_up():
                pass
        except BaseException:
            self.close(0)
            raise
        self._keep()

    @property
    def max_size(self) -> int:
        """The most objects that exist at once."""
        return self._limits.max_size

    @property
    def closed(self) -> bool:
        """Whether the pool gives no more objects."""
        return bool(self._closed)

    def lease(self, timeout: float | None = None) -> Entry[T]:
        """Borrow an object for one ``with`` statement: ``with pool.lease() as obj``.

        Parameters
        ----------
        timeout
            Seconds to wait at most, the pool's own by default; 0 does not wait.

        Raises
        ------
        PoolTimeout
            If no object came free in time.
        PoolBusy
            If ``max_waiting`` callers wait already.
        PoolClosed
            If the pool is closed.
        FactoryError
            If a new object could not be made.
        """
        if timeout is not None:
            seconds(timeout, "timeout")
        if not self._waiters:
            take = self._take
            try:
                entry = take()
            except IndexError:
                return self._obtain(timeout)
            gate = self._gate
            # The same int object, not only the same number: _regate passes it on, and `is` is quicker.
            if entry._generation is gate:
                entry._held = gate
                return entry
            return self._obtain(timeout, entry)
        return self._obtain(timeout)

    def acquire(self, timeout: float | None = None) -> Lease[T]:
        """Borrow an object until `Lease.release`; parameters and errors as in `lease`."""
        return Lease(self.lease(timeout))

    def release(self, lease: Lease[T]) -> None:
        """Give `lease` back.

        Raises
        ------
        ForeignLease
            If it is no lease of this pool.
        LeaseReturned
            If it was given back before.
        """
        if not isinstance(lease, Lease) or lease.pool is not self:
            raise ForeignLease(
                f"{lease!r} is no lease of pool {self.name!r}", hint="give back what pool.acquire() returned"
            )
        lease.release()

    def clear(self) -> int:
        """Destroy the objects that are idle; return how many. Leased ones stay."""
        return self._drop_idle("clear")

    def resize(self, max_size: int) -> None:
        """Change how many objects may exist; surplus ones go now if idle, else when they return."""
        self._change(self._limits.changed(max_size=whole(max_size, "max_size", 1)))

    def set_max_idle(self, max_idle: int | None) -> None:
        """Change how many objects may be idle: 0 makes it an empty pool, None sets no limit."""
        self._change(self._limits.changed(max_idle=max_idle))

    def methods(self) -> MethodTable:
        """Return the methods of the pooled objects, name to ``{"signature", "summary"}``."""
        if self._methods is None:
            with self.lease() as obj:
                return self.methods_of(obj)
        return self._methods

    def methods_of(self, obj: T) -> MethodTable:
        """Return the loader's method table, or that of `obj` itself."""
        return methods_of(obj) if self._methods is None else self._methods

    def stats(self) -> PoolStats:
        """Return what the pool holds and what it has done."""
        self._reclaim()
        self._tend()
        with self._lock:
            idle = len(self._idle)
            size = len(self._entries)
            sampled = self._limits.sample > 0
            return PoolStats(
                name=self.name,
                max_size=self._limits.max_size,
                size=size,
                idle=idle,
                in_use=max(0, size - idle),
                waiting=0 if self._closed else len(self._waiters),
                leases=self._retired + sum(entry.uses for entry in self._entries),
                created=self._created,
                destroyed=dict(self._destroyed),
                timeouts=self._timeouts,
                refused=self._refused,
                failures=self._care.failures(),
                wait=self._wait.copy() if sampled else None,
                hold=self._hold.copy() if sampled else None,
            )

    def close(self, timeout: float = 5.0) -> int:
        """Give no more objects, fail whoever waits, and destroy each object when it is back.

        Parameters
        ----------
        timeout
            Seconds to wait for leased objects.

        Returns
        -------
        int
            How many are still out; each is destroyed when it comes back. Closing again only waits.
        """
        deadline = monotonic() + seconds(timeout, "timeout")
        with self._lock:
            if not self._closed:
                self._shut("is closed")
        dismiss(self)
        if self._keeper:
            self._keeper.stop()
        self._drop_idle("close")
        self._reclaim()
        with self._lock:
            self._note_empty()
        self._empty.wait(min(threading.TIMEOUT_MAX, max(0.0, deadline - monotonic())))
        return len(self._entries)

    def __enter__(self) -> Pool[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self._entries)} of {self._limits.max_size}"
        return f"<Pool {self.name!r} {state}>"

    def _obtain(self, timeout: float | None, entry: Entry[T] | None = None) -> Entry[T]:
        """Lease the long way: wait in turn, make what is missing, check what was idle."""
        limit = self._limits.timeout if timeout is None else timeout
        began = monotonic()
        if entry is not None and self._waiters:
            self._put(entry)  # it is somebody else's turn
            self._serve()
            entry = None
        while True:
            if entry is None:
                entry = self._next(began + limit, limit)
            if self._ready(entry):
                break
            entry = None
        self._tend()
        entry.since = 0.0
        if self._limits.sample and next(self._ticket) % self._limits.sample == 0:
            entry.since = monotonic()
            with self._lock:
                self._wait.add(entry.since - began)
        entry._held = entry._generation
        return entry

    def _ready(self, entry: Entry[T]) -> bool:
        """Fill a fresh entry or check an idle one; False if it was unfit and is gone."""
        fresh = entry.object is EMPTY
        if fresh:
            self._fill(entry)
        try:
            cause = None if fresh else self._stale(entry) or self._invalid(entry)
            if cause is None:
                self._care.activate(entry.object)
                return True
        except BaseException as exc:
            self._discard(entry, "activate")
            if fresh or not isinstance(exc, FactoryError):
                raise
            return False
        self._discard(entry, cause)
        return False

    def _invalid(self, entry: Entry[T]) -> str | None:
        rested = not entry.since or monotonic() - entry.since >= self._limits.validate_after
        return self._care.invalid(entry.object) if rested else None

    def _fill(self, entry: Entry[T]) -> None:
        try:
            entry.object = self._care.make()
        except BaseException:
            self._forget(entry, None)
            raise
        if self._limits.max_lifetime is not None:
            # Spread, so that objects made together do not all leave together.
            entry.expires = monotonic() + self._limits.max_lifetime * random.uniform(0.95, 1.0)
        with self._lock:
            self._created += 1

    def _give(self, entry: Entry[T], error: BaseException | None) -> None:
        """Take back the long way: judge, tidy, and keep, hand on or destroy."""
        if entry._generation < self._floor:
            return
        if self._owned():
            self._orphans.append((entry, error))
            return
        try:
            if self._limits.sample and entry.since:
                with self._lock:
                    self._hold.add(monotonic() - entry.since)
            cause = None if error is None else self._care.judge(entry.object, error)
            cause = cause or self._stale(entry) or self._care.tidy(entry.object)
        except BaseException:
            self._discard(entry, "error")
            raise
        if cause is None:
            entry.since = monotonic()
            most = self._limits.max_idle
            if most is None or most >= self._limits.max_size:
                self._put(entry)
                if self._waiters:
                    self._serve()
                return
            with self._lock:
                if self._waiters or len(self._idle) < most:
                    self._put(entry)
                    self._match()
                else:
                    cause = "idle"
        if cause is None:
            self._serve()
        else:
            self._discard(entry, cause)

    def _discard(self, entry: Entry[T], cause: str) -> None:
        self._destroy(entry, cause)
        if self._keeper and not self._closed:
            self._keeper.wake()

    def _change(self, limits: Limits) -> None:
        with self._lock:
            self._limits = limits
            self._regate()
            self._match()
            most = limits.max_size if limits.max_idle is None else limits.max_idle
            surplus = max(len(self._entries) - limits.max_size, len(self._idle) - most)
            leaving: list[Entry[T]] = []
            while surplus > len(leaving) and self._idle:
                leaving.append(self._take())
        for entry in leaving:
            self._destroy(entry, "resize" if len(self._entries) > limits.max_size else "idle")

    def _keep(self) -> None:
        if self._keeper is None and not self._closed and self._limits.min_idle:
            self._keeper = Keeper(self)

    def _top_up(self) -> bool:
        """Make one object if fewer than ``min_idle`` lie idle; tell whether it made one."""
        with self._lock:
            if self._closed or self._waiters or len(self._idle) >= self._limits.min_idle:
                return False
            entry = self._reserve()
        if entry is None:
            return False
        self._fill(entry)
        self._put(entry)
        if self._waiters:
            self._serve()
        return True

    def _after_fork(self) -> None:
        self._lock = threading.RLock()
        self._orphans.clear()
        self._care.after_fork()
        self._idle.clear()  # the parent owns and destroys them
        self._entries = []
        self._waiters = deque()
        self._empty = threading.Event()
        self._generation += 1
        self._floor = self._generation
        self._keeper = None
        self._gate = SLOW
        with self._lock:
            if self._closed or self._fork == "forbid":
                self._shut(self._closed or "was opened before this process forked, and is not for it")
            self._regate()
        self._keep()
