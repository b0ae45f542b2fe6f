"""The pool itself: a lock-free way for the common lease and return, a locked one for all else."""

from __future__ import annotations

import logging
import os
import random
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable
from itertools import count
from time import monotonic
from types import TracebackType
from typing import Generic, Literal, TypeVar

from exia.errors import BadInput, FactoryError, ForeignLease, PoolBusy, PoolClosed, PoolTimeout
from exia.methods import MethodTable, methods_of
from exia.pooling.entry import EMPTY, Entry, Lease
from exia.pooling.factory import Verbs
from exia.pooling.keeper import Keeper
from exia.pooling.limits import Limits
from exia.pooling.named import dismiss, enroll
from exia.pooling.statistics import Histogram, PoolStats
from exia.pooling.waiting import Waiter, seconds, whole

T = TypeVar("T")
ForkPolicy = Literal["rebuild", "forbid"]
_log = logging.getLogger("exia")
_SLOW = -1  #: A gate that no entry's generation equals.


class Pool(Generic[T]):
    """Objects that are made once and lent many times; open one with `exia.pool`.

    Idle objects lie in a deque. A lease pops one and a return pushes it, without a lock, as long as
    nobody waits; a caller who must wait queues, and each object that comes back goes to the oldest
    waiter. No verb of the factory ever runs under the lock.
    """

    __slots__ = (
        "__weakref__",
        "_closed",
        "_created",
        "_destroyed",
        "_empty",
        "_entries",
        "_failures",
        "_fork",
        "_gate",
        "_generation",
        "_hold",
        "_idle",
        "_keeper",
        "_limits",
        "_lock",
        "_methods",
        "_owner",
        "_put",
        "_refused",
        "_retired",
        "_take",
        "_ticket",
        "_timeouts",
        "_verbs",
        "_wait",
        "_waiters",
        "name",
    )

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
        self.name = name
        self._verbs = verbs
        self._limits = limits
        self._methods = methods
        self._fork = fork
        self._owner = os.getpid()
        self._idle: deque[Entry[T]] = deque()
        self._put = self._idle.append
        self._take: Callable[[], Entry[T]] = self._idle.pop if order == "lifo" else self._idle.popleft
        self._generation = 0
        self._retired = 0
        self._created = 0
        self._timeouts = 0
        self._refused = 0
        self._destroyed: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._wait = Histogram()
        self._hold = Histogram()
        self._ticket = count()
        self._closed = False
        self._keeper: Keeper | None = None
        self._begin()
        enroll(self, chosen=chosen)
        try:
            while limits.min_idle and self._top_up():
                pass
        except BaseException:
            self.close(0)
            raise
        self._keep()

    # -- what a user calls ------------------------------------------------------------------

    @property
    def max_size(self) -> int:
        """The most objects that exist at once."""
        return self._limits.max_size

    @property
    def closed(self) -> bool:
        """Whether the pool gives no more objects."""
        return self._closed

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
        if not self._waiters:
            take = self._take
            try:
                entry = take()
            except IndexError:
                return self._obtain(timeout)
            if entry._generation == self._gate:
                entry._taken = True
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
                failures=dict(self._failures),
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
                self._closed = True
                self._gate = _SLOW
                waiting, self._waiters = self._waiters, deque([Waiter()])
                for waiter in waiting:
                    waiter.bell.release()
        dismiss(self)
        if self._keeper:
            self._keeper.stop()
        self._drop_idle("close")
        self._reclaim()
        with self._lock:
            if not self._entries:
                self._empty.set()
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

    # -- lease, the long way ----------------------------------------------------------------

    def _obtain(self, timeout: float | None, entry: Entry[T] | None = None) -> Entry[T]:
        limit = self._limits.timeout if timeout is None else seconds(timeout, "timeout")
        began = monotonic()
        if entry is not None and self._waiters:
            self._put(entry)  # it was not this caller's turn
            entry = None
        while True:
            if entry is None:
                entry = self._next(began + limit, limit)
            if self._ready(entry):
                break
            entry = None
        if self._limits.sample and next(self._ticket) % self._limits.sample == 0:
            entry.since = monotonic()
            with self._lock:
                self._wait.add(entry.since - began)
        else:
            entry.since = 0.0
        entry._taken = True
        return entry

    def _next(self, deadline: float, limit: float) -> Entry[T]:
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
                # Whoever gave back between the look above and this line saw no waiter.
                self._match()
            while not waiter.wait(deadline):
                self._reclaim()
                with self._lock:
                    if waiter.entry is None and monotonic() >= deadline and waiter in self._waiters:
                        state = self._state(but=1)
                        self._waiters.remove(waiter)
                        self._timeouts += 1
                        raise PoolTimeout(
                            f"no object of pool {self.name!r} within {limit:g} s: {state}",
                            hint="raise max_size or the timeout, or hold each lease for less time",
                        )
            if waiter.entry is None:
                self._refuse_if_closed()
            entry, waiter.entry = waiter.entry, None
            assert entry is not None
            return entry
        except BaseException:
            self._abandon(waiter)
            raise

    def _abandon(self, waiter: Waiter) -> None:
        """Take `waiter` out of the queue; what it was already given goes to the next."""
        with self._lock:
            if waiter in self._waiters and not self._closed:
                self._waiters.remove(waiter)
            entry, waiter.entry = waiter.entry, None
            if entry is not None:
                if entry.object is EMPTY:
                    self._entries.remove(entry)
                else:
                    self._put(entry)
                self._match()
        if self._closed:
            self._drop_idle("close")

    def _ready(self, entry: Entry[T]) -> bool:
        """Fill a fresh entry or check an idle one; False if it was unfit and is gone."""
        fresh = entry.object is EMPTY
        if fresh:
            self._fill(entry)
            cause = None
        else:
            cause = self._stale(entry) or self._invalid(entry)
        verbs = self._verbs
        if cause is None and verbs.activate is not None:
            try:
                verbs.activate(entry.object)
            except BaseException as exc:
                self._failed("activate", exc)
                self._destroy(entry, "activate")
                if fresh or not isinstance(exc, Exception):
                    raise self._error("activate", exc) from exc
                return False
        if cause is not None:
            self._destroy(entry, cause)
        return cause is None

    def _fill(self, entry: Entry[T]) -> None:
        try:
            made = self._verbs.make()
            if made is None:
                raise FactoryError(
                    f"the factory of pool {self.name!r} returned None", hint="make() must return the new object"
                )
            if self._limits.max_lifetime is not None:
                # Spread, so that objects made together do not all leave together.
                entry.expires = monotonic() + self._limits.max_lifetime * random.uniform(0.95, 1.0)
            entry.object = made
            with self._lock:
                self._created += 1
        except BaseException as exc:
            self._failed("make", exc)
            if entry.object is EMPTY:
                self._forget(entry, None)
            else:
                self._destroy(entry, "make")
            raise self._error("make", exc) from exc.__cause__ if isinstance(exc, FactoryError) else exc

    def _invalid(self, entry: Entry[T]) -> str | None:
        check = self._verbs.validate
        if check is None or (entry.since and monotonic() - entry.since < self._limits.validate_after):
            return None
        try:
            return None if check(entry.object) else "validate"
        except BaseException as exc:
            self._failed("validate", exc)
            if not isinstance(exc, Exception):
                self._destroy(entry, "validate")
                raise
            return "validate"

    # -- return, the long way ---------------------------------------------------------------

    def _give(self, entry: Entry[T], error: BaseException | None) -> None:
        if self._owner != os.getpid() or entry not in self._entries:
            return  # leased before a fork: the object is the parent's
        if self._limits.sample and entry.since:
            with self._lock:
                self._hold.add(monotonic() - entry.since)
        try:
            cause = None if error is None else self._judge(entry, error)
            cause = cause or self._stale(entry)
            if cause is None and self._verbs.passivate is not None:
                cause = self._tidy(entry)
        except BaseException:
            self._destroy(entry, "error")
            raise
        if cause is None:
            entry.since = monotonic()
            with self._lock:
                most = self._limits.max_idle
                if self._closed:
                    cause = "close"
                elif self._waiters or most is None or len(self._idle) < most:
                    self._put(entry)
                    self._match()
                    return
                else:
                    cause = "idle"
        self._destroy(entry, cause)

    def _judge(self, entry: Entry[T], error: BaseException) -> str | None:
        """Ask the factory what becomes of an object whose borrower raised `error`."""
        try:
            verdict = self._verbs.on_error(error)
        except Exception as exc:
            self._failed("on_error", exc)
            return "on_error"
        if verdict == "keep":
            return None
        if verdict != "reset":
            return "error"
        verbs = self._verbs
        try:
            for verb in (verbs.passivate, verbs.activate):
                if verb is not None:
                    verb(entry.object)
            return None if verbs.validate is None or verbs.validate(entry.object) else "error"
        except Exception as exc:
            self._failed("reset", exc)
            return "error"

    def _tidy(self, entry: Entry[T]) -> str | None:
        assert self._verbs.passivate is not None
        try:
            self._verbs.passivate(entry.object)
        except Exception as exc:
            self._failed("passivate", exc)
            return "passivate"
        return None

    def _stale(self, entry: Entry[T]) -> str | None:
        """Return why `entry` must leave the pool, or None."""
        limits = self._limits
        if self._closed:
            return "close"
        if entry._generation != self._generation:
            return "clear"
        if limits.max_uses is not None and entry.uses >= limits.max_uses:
            return "uses"
        if entry.expires and monotonic() >= entry.expires:
            return "lifetime"
        return "resize" if len(self._entries) > limits.max_size else None

    # -- what both need ---------------------------------------------------------------------

    def _serve(self) -> None:
        """Hand idle objects to those who wait."""
        if self._closed:
            self._drop_idle("close")
            return
        with self._lock:
            self._match()

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
        try:
            return self._take()
        except IndexError:
            if len(self._entries) >= self._limits.max_size:
                return None
        # Reserved before it is filled, so that a borrower who dies in between is found by _reclaim.
        entry: Entry[T] = Entry(self, self._generation)
        self._entries.append(entry)
        return entry

    def _destroy(self, entry: Entry[T], cause: str) -> None:
        try:
            if self._verbs.destroy is not None:
                self._verbs.destroy(entry.object)
        except Exception as exc:
            self._failed("destroy", exc)
        finally:
            self._forget(entry, cause)

    def _forget(self, entry: Entry[T], cause: str | None) -> None:
        """Take `entry` out of the pool; its place goes to whoever waits."""
        with self._lock:
            try:
                self._entries.remove(entry)
            except ValueError:
                return
            self._retired += entry.uses
            if cause is not None:
                self._destroyed[cause] += 1
            self._regate()
            self._match()
            if self._closed and not self._entries:
                self._empty.set()
        if self._keeper and not self._closed:
            self._keeper.wake()

    def _drop_idle(self, cause: str) -> int:
        dropped = 0
        for _ in range(len(self._idle)):
            try:
                entry = self._take()
            except IndexError:
                break
            self._destroy(entry, cause)
            dropped += 1
        return dropped

    def _reclaim(self) -> None:
        """Destroy the objects whose lease was dropped instead of given back.

        An interrupt between two instructions of a lease or a return loses an entry as well. Nobody
        holds such an entry but the pool's own list, so its reference count tells it apart.
        """
        with self._lock:
            lost = [entry for entry in self._entries if sys.getrefcount(entry) <= _UNHELD]
        for entry in lost:
            _log.warning("pool %r: a lease was dropped without a return; its object is destroyed", self.name)
            self._destroy(entry, "lost")

    def _change(self, limits: Limits) -> None:
        with self._lock:
            self._limits = limits
            self._regate()
            self._match()
            surplus = len(self._entries) - limits.max_size
            most = limits.max_size if limits.max_idle is None else limits.max_idle
            surplus = max(surplus, len(self._idle) - most)
            leaving = []
            while surplus > len(leaving) and self._idle:
                leaving.append(self._take())
        for entry in leaving:
            self._destroy(entry, "resize" if len(self._entries) > limits.max_size else "idle")
        self._keep()

    def _regate(self) -> None:
        """Set which entries may take the lock-free way; the lock is held."""
        verbs = self._verbs
        plain = (
            not self._closed
            and self._limits.plain
            and verbs.activate is verbs.passivate is verbs.validate is None
            and len(self._entries) <= self._limits.max_size
        )
        self._gate = self._generation if plain else _SLOW

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._waiters: deque[Waiter] = deque()
        self._entries: list[Entry[T]] = []
        self._empty = threading.Event()
        self._regate()

    def _after_fork(self) -> None:
        self._idle.clear()  # the parent owns and destroys them
        self._generation += 1
        self._begin()
        self._owner = os.getpid()
        if self._fork == "forbid":
            self._closed = True
            self._gate = _SLOW
            self._waiters.append(Waiter())
        self._keeper = None
        self._keep()

    def _keep(self) -> None:
        if self._keeper is None and not self._closed and self._limits.min_idle:
            self._keeper = Keeper(self)

    def _top_up(self) -> bool:
        """Make one object if fewer than ``min_idle`` lie idle; tell whether it made one."""
        with self._lock:
            if self._closed or self._waiters or len(self._idle) >= self._limits.min_idle:
                return False
            if len(self._entries) >= self._limits.max_size:
                return False
            entry: Entry[T] = Entry(self, self._generation)
            self._entries.append(entry)
        self._fill(entry)
        self._put(entry)
        if self._waiters:
            self._serve()
        return True

    def _failed(self, verb: str, exc: BaseException) -> None:
        with self._lock:
            self._failures[verb] += 1
        if verb not in ("make", "activate"):  # those two reach the borrower
            _log.warning("pool %r: %s raised %s: %s", self.name, verb, type(exc).__name__, exc)

    def _error(self, verb: str, exc: BaseException) -> BaseException:
        if isinstance(exc, FactoryError) or not isinstance(exc, Exception):
            return exc
        return FactoryError(f"{verb} of pool {self.name!r} raised {type(exc).__name__}: {exc}")

    def _refuse_if_closed(self) -> None:
        if self._closed and self._fork == "forbid" and not self._entries and self._created:
            raise PoolClosed(f"pool {self.name!r} is closed", hint="a pool with fork='forbid' also closes in a child")
        if self._closed:
            raise PoolClosed(f"pool {self.name!r} is closed", hint="open it again with exia.pool()")

    def _state(self, but: int = 0) -> str:
        leased = len(self._entries) - len(self._idle)
        return f"{leased} of {self._limits.max_size} leased, {len(self._waiters) - but} waiting"


def _count_unheld() -> int:
    """Return what `sys.getrefcount` says in `Pool._reclaim` of an entry that only the list holds."""
    return [sys.getrefcount(entry) for entry in [object()]][0]


_UNHELD = _count_unheld()
