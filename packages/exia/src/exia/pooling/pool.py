"""The pool itself: a lock-free way for the common lease and return, a locked one for all else."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from threading import get_ident
from time import monotonic
from types import TracebackType
from typing import Any, TypeVar, cast

from exia.errors import ForeignLease, PoolTimeout, SwapUnderWay
from exia.methods import MethodTable, methods_of
from exia.pooling.care import Care, Failures
from exia.pooling.elsewhere import Where
from exia.pooling.entry import Entry, Lease
from exia.pooling.events import Listener
from exia.pooling.factory import Factory
from exia.pooling.keeper import Keeper, background
from exia.pooling.limits import Limits
from exia.pooling.named import dismiss, enroll
from exia.pooling.statistics import PoolStats
from exia.pooling.swapping import Swap, SwapRules
from exia.pooling.targets import Target, resolved
from exia.pooling.tending import Tending
from exia.pooling.version import Line, Version
from exia.pooling.waiting import seconds, whole

T = TypeVar("T")


class Pool(Tending[T]):
    """Objects that are made once and lent many times; open one with `exia.pool`.

    Idle objects lie in a deque. A lease pops one and a return pushes it, without a lock, as long as
    nobody waits; a caller who must wait queues, and each object that comes back goes to the oldest
    waiter. No verb of the factory ever runs under a lock.
    """

    __slots__ = ("_checking", "_cold", "_keeper", "_where")

    def __init__(
        self,
        target: Target[T],
        limits: Limits,
        *,
        name: str,
        chosen: bool = False,
        params: Mapping[str, Any] | None = None,
        background: bool = False,
        where: Where = "here",
    ) -> None:
        failures = Failures()
        care = Care(target.verbs, name, failures)
        if params is not None:
            care.check_params(params)
        version = Version(care, target.label, target.methods, target.digest)
        super().__init__(version, failures, limits, name, params)
        self._keeper: Keeper | None = None
        self._checking = False
        self._where = where
        enroll(self, chosen=chosen)
        self._cold = not background and limits.min_idle > 0
        self._warm()  # sync only
        if limits.track == "full":
            self.__class__ = cast(Any, TrackedPool)

    @property
    def max_size(self) -> int:
        """The most objects that exist at once."""
        return self._limits.max_size

    @property
    def closed(self) -> bool:
        """Whether the pool gives no more objects."""
        return bool(self._closed)

    @property
    def version(self) -> str:
        """What new leases get, such as ``momentum@1.2.0``."""
        return self._line.version.label

    @property
    def generation(self) -> int:
        """A number that grows with each change of version or parameters, and with each drain."""
        return self._line.generation

    @property
    def params(self) -> Mapping[str, Any]:
        """The parameters of new leases; see `set_params`."""
        return dict(self._line.params or {})

    @property
    def settings(self) -> Limits:
        """The settings in force; see `configure`."""
        return self._limits

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
            if entry._line is gate:
                entry._held = gate
                return entry
            return self._obtain(timeout, entry)
        return self._obtain(timeout)

    def acquire(self, timeout: float | None = None) -> Lease[T]:
        """Borrow an object until `Lease.release`; parameters and errors as in `lease`."""
        entry = self.lease(timeout)
        if self._limits.track == "sampled":
            # One frame is cheap enough to note it always; the kept lease is the one that leaks.
            frame = sys._getframe(1)
            entry._by = (entry._next - entry._left, 0, frame.f_code, frame.f_lasti)
        return Lease(entry)

    def try_acquire(self) -> Lease[T] | None:
        """Borrow an object if one lies idle, else return None; never waits, and never makes one itself.

        Where none is idle but there is room, one is made in the background.
        """
        if not self._waiters:
            try:
                return Lease(self._obtain(0.0, self._take()))
            except (IndexError, PoolTimeout):
                pass
        with self._lock:
            self._refuse_if_closed()
            room = self._line.version.size < self._limits.max_size
        if room:
            self._grow_once()
        return None

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

    def configure(self, **settings: Any) -> None:
        """Change settings of `exia.pool` while the pool runs: all together, or none.

        All but `name`, `params` and `background` can be changed. Surplus objects go now if idle, else
        when they return.

        Raises
        ------
        BadInput
            If there is no such setting, or the values make no sense together.
        """
        self._change(self._limits.changed(**settings))

    def resize(self, max_size: int) -> None:
        """Change how many objects may exist; surplus ones go now if idle, else when they return."""
        self._change(self._limits.changed(max_size=whole(max_size, "max_size", 1)))

    def set_max_idle(self, max_idle: int | None) -> None:
        """Change how many objects may be idle: 0 makes it an empty pool, None sets no limit."""
        self._change(self._limits.changed(max_idle=max_idle))

    def drain(self) -> int:
        """Replace every object: idle ones now, leased ones when they return; return the new generation."""
        line = self._aged(lambda old: Line(old.version, next(self._numbers), old.params, old.epoch + 1))
        with self._lock:
            trial = self._trial
            for idle in (self._idle, *([] if trial is None else [trial.idle])):
                while idle:
                    try:
                        self._leaving.append((idle.popleft(), "drain"))
                    except IndexError:
                        break
        self._clear_out()
        self._tell("drained", generation=line.generation)
        self._wake()
        return line.generation

    def set_params(self, params: Mapping[str, Any]) -> int:
        """Give every object new parameters at its next lease, and none during one.

        The factory's ``apply_params(obj, snapshot)`` does it, or the object's own method
        ``apply_params(snapshot)``; objects of a class without it are made anew.

        Parameters
        ----------
        params
            All parameters, not only those that change.

        Returns
        -------
        int
            The generation from which on they hold.

        Raises
        ------
        WrongArguments
            If the class or callable does not take them; nothing changes.
        BadInput
            If the factory has no ``apply_params``; nothing changes.
        """
        snapshot = dict(params)
        self._line.version.care.check_params(snapshot)
        line = self._aged(lambda old: Line(old.version, next(self._numbers), snapshot, old.epoch))
        self._tell("params", generation=line.generation)
        return line.generation

    def swap(
        self,
        target: str | Callable[..., T] | Factory[T],
        *,
        params: Mapping[str, Any] | None = None,
        canary: float = 0.0,
        trial: int = 100,
        max_errors: float = 0.05,
        watch: float = 30.0,
        probe: Callable[[T], object] | None = None,
    ) -> Swap[T]:
        """Lend another version from now on; no call is lost, and running ones end on the old one.

        The first new object is made and checked (activate, validate, `probe`, passivate) before
        anything changes, and as many as there are old ones are made before the switch, so that
        nobody waits for them. Until the old ones have returned, up to twice ``max_size`` objects exist.

        Parameters
        ----------
        target
            What `exia.pool` takes: a ref such as ``"momentum@1.3.0"``, a class, a callable or a factory.
        params
            Parameters of the new version; by default the pool's own.
        canary
            Share of the leases that gets the new version at first; 0 switches all at once.
        trial
            Leases of the new version after which a canary is promoted.
        max_errors
            Share of its leases (counted as 20 at least) that may end with an exception; with more of
            them the pool goes back to the old version by itself.
        watch
            Seconds after the switch during which the old objects are kept for the way back.
        probe
            Called with the first new object; what raises or returns False stops the swap.

        Returns
        -------
        Swap
            What became of it so far: its state, its errors, and the ways to end it by hand.

        Raises
        ------
        SwapRefused
            If the new version failed its check; nothing has changed.
        SwapUnderWay
            If another swap is not decided yet.
        RefNotFound
            If nothing is published under the ref.
        """
        rules = SwapRules(canary, trial, max_errors, watch, probe)
        with self._lock:
            self._refuse_if_closed()
            swap = self._swap
            if self._checking or (swap is not None and swap.state in ("canary", "promoting")):
                raise SwapUnderWay(
                    f"pool {self.name!r} is being swapped already", hint="promote() or undo() that swap first"
                )
            self._checking = True
        try:
            found = resolved(target, where=self._where)
            care = Care(found.verbs, self.name, self._failures)
            wanted = self._line.params if params is None else dict(params)
            if wanted is not None:
                care.check_params(wanted)
            version: Version[T] = Version(care, found.label, found.methods, found.digest)
            swap = Swap(self, version, None if params is None else dict(params), rules)
            swap._begin()
            return swap
        finally:
            self._checking = False

    def wait(self, timeout: float = 30.0) -> None:
        """Wait until ``min_idle`` objects are ready.

        Raises
        ------
        PoolTimeout
            If they are not within `timeout` seconds.
        FactoryError
            If one of them cannot be made; making them is tried again in the background.
        """
        deadline = monotonic() + seconds(timeout, "timeout")
        tick = threading.Event()
        while self._line.version.size < self._limits.min_idle or self._missing():
            self._refuse_if_closed()
            if self._trouble is not None:
                raise self._trouble
            if monotonic() >= deadline:
                raise PoolTimeout(f"pool {self.name!r} is not warm within {timeout:g} s: {self._state()}")
            self._wake()
            tick.wait(0.005)

    def check(self) -> None:
        """Do now what is done in the background each second: report leaks, grow, shrink, ask idle objects."""
        self._watch(monotonic())
        self._work(lambda: False)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each `Event`, in the thread it happens in; return what ends that."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def end() -> None:
            with self._lock:
                self._listeners = tuple(known for known in self._listeners if known is not listener)

        return end

    def methods(self) -> MethodTable:
        """Return the methods of the pooled objects, name to ``{"signature", "summary"}``."""
        table = self._line.version.methods
        if table is None:
            with self.lease() as obj:
                return methods_of(obj)
        return table

    def stats(self) -> PoolStats:
        """Return what the pool holds and what it has done."""
        self._reclaim()  # sync only
        self._tend()  # sync only
        with self._lock:
            idle = self._resting()
            size = len(self._entries)
            sampled = self._limits.looked > 0
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
                failures=self._failures.copy(),
                wait=self._wait.copy() if sampled else None,
                hold=self._hold.copy() if sampled else None,
                version=self._line.version.label,
                generation=self._line.generation,
                errors=self._errors,
                leaked=self._leaked,
                returned=self._back,
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
        self._clear_out()
        self._reclaim()
        with self._lock:
            self._note_empty()
        self._empty.wait(min(threading.TIMEOUT_MAX, max(0.0, deadline - monotonic())))
        return len(self._entries)

    def __enter__(self) -> Pool[T]:
        self._warm()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self._entries)} of {self._limits.max_size}"
        return f"<Pool {self.name!r} {state}>"

    def _warm(self) -> None:
        """Make the first objects, once, and have a keeper for the others."""
        cold, self._cold = self._cold, False
        try:
            while cold and self._top_up():
                pass
        except BaseException:
            self.close(0)
            raise
        self._keep()

    def _missing(self) -> bool:
        limits = self._limits
        return limits.growing.wanted(len(self._idle), self._line.version.size, len(self._waiters)) > 0

    def _grow_once(self) -> None:
        """Make one object in the background."""

        def make() -> None:
            with self._lock:
                entry = None if self._closed else self._reserve(self._line, self._limits.max_size)
            if entry is None:
                return
            try:
                self._fill(entry)
            except Exception as exc:
                self._note_trouble(exc)
                return
            with self._lock:
                self._shelve(entry)
                self._match()
            self._serve()

        background(make, f"maker-{self.name}")

    def _change(self, limits: Limits) -> None:
        with self._lock:
            before, self._limits = self._limits, limits
            self._period, self._sample = limits.period, limits.looked
            self._take = limits.taking.taker(self._idle)
            if (before.looked, before.track) != (limits.looked, limits.track):
                # A new generation: each object is armed anew at its next lease.
                old = self._line
                self._line = Line(old.version, next(self._numbers), old.params, old.epoch)
                self.__class__ = cast(Any, TrackedPool if limits.track == "full" else Pool)
            self._regate()
            self._match()
            most = limits.max_size if limits.max_idle is None else limits.max_idle
            size = self._line.version.size
            surplus = max(size - limits.max_size, len(self._idle) - most)
            leaving: list[Entry[T]] = []
            while surplus > len(leaving) and self._idle:
                try:
                    leaving.append(self._take())
                except IndexError:
                    break
        for entry in leaving:
            self._destroy(entry, "resize" if self._line.version.size > limits.max_size else "idle")
        self._keep()
        self._wake()
        self._tell("changed", settings=limits)

    def _keep(self) -> None:
        """Have a keeper if there is something to tend."""
        swap = self._swap
        busy = self._limits.tended or bool(self._leaving) or (swap is not None and not swap._over.is_set())
        if busy and not self._closed and (self._keeper is None or not self._keeper.alive):
            self._keeper = Keeper(self)

    def _wake(self) -> None:
        self._keep()
        if self._keeper is not None and not self._closed:
            self._keeper.wake()

    def _watch(self, now: float) -> None:
        super()._watch(now)
        self._keep()  # sync only

    def _after_fork(self) -> None:
        self._lock = threading.RLock()
        self._orphans.clear()
        self._failures.after_fork()
        kept = list(self._idle) if self._limits.fork == "keep" else []
        self._idle.clear()  # what is not kept, the parent owns and destroys
        self._parked.clear()
        self._leaving.clear()
        self._trial = self._swap = None
        self._checking = False
        self._seen, self._leaks = {}, {}
        self._entries = kept
        self._waiters = deque()
        self._empty = threading.Event()
        old = self._line
        line = self._line = Line(old.version, next(self._numbers), old.params, old.epoch)
        self._floor = line.generation
        line.version.size = len(kept)
        for entry in kept:
            entry._line = line
            self._put(entry)
        self._keeper = None
        self._gate = None
        with self._lock:
            if self._closed or self._limits.fork == "forbid":
                self._shut(self._closed or "was opened before this process forked, and is not for it")
            self._regate()
        self._keep()


class TrackedPool(Pool[T]):
    """A pool that notes every borrower: three frames on the quick way, all of them on the long one."""

    __slots__ = ()

    def lease(self, timeout: float | None = None) -> Entry[T]:
        """Borrow an object for one ``with`` statement, as `Pool.lease` does."""
        if timeout is not None:
            seconds(timeout, "timeout")
        if not self._waiters:
            try:
                entry = self._take()
            except IndexError:
                return self._obtain(timeout)
            gate = self._gate
            if entry._line is gate:
                entry._held = gate
                frame = sys._getframe(1)
                back = frame.f_back
                last = None if back is None else back.f_back
                uses = entry._next - entry._left
                if last is None or back is None:
                    entry._by = (uses, get_ident(), frame.f_code, frame.f_lasti)
                else:
                    entry._by = (
                        uses, get_ident(), frame.f_code, frame.f_lasti,
                        back.f_code, back.f_lasti, last.f_code, last.f_lasti,
                    )  # fmt: skip
                return entry
            return self._obtain(timeout, entry)
        return self._obtain(timeout)
