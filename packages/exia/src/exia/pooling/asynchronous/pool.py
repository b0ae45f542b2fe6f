# Written by scripts/async-pool from pooling/pool.py; change that, and run it.
"""The pool itself: a lock-free way for the common lease and return, a locked one for all else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from threading import get_ident
from types import TracebackType
from typing import Any, TypeVar, cast

from exia.errors import ForeignLease, PoolTimeout
from exia.methods import MethodTable, methods_of
from exia.pooling.asynchronous.changing import Changing
from exia.pooling.asynchronous.entry import AsyncLease, Entry
from exia.pooling.asynchronous.hand import Borrows
from exia.pooling.elsewhere import Where
from exia.pooling.events import Listener
from exia.pooling.limits import Limits
from exia.pooling.named import enroll
from exia.pooling.statistics import PoolStats, Used
from exia.pooling.targets import Target
from exia.pooling.waiting import seconds

T = TypeVar("T")


class AsyncPool(Changing[T], Borrows[T]):
    """Objects that are made once and lent many times; open one with `exia.async_pool`.

    Idle objects lie in a deque. A lease pops one and a return pushes it, without a lock, as long as
    nobody waits; a caller who must wait queues, and each object that comes back goes to the oldest
    waiter. No verb of the factory ever runs under a lock.
    """

    __slots__ = ()

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
        super().__init__(target, limits, name, params, where)
        enroll(self, chosen=chosen)
        self._cold = not background and limits.min_idle > 0
        self._track(limits)

    @property
    def max_size(self) -> int:
        """The most objects that exist at once."""
        return self._limits.max_size

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

    async def _lease(self, timeout: float | None = None) -> Entry[T]:
        """Borrow an object for one ``with`` statement: ``async with pool.lease() as obj``.

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
                return await self._obtain(timeout)
            gate = self._gate
            if entry._line is gate:
                entry._held = gate
                return entry
            return await self._obtain(timeout, entry)
        return await self._obtain(timeout)

    async def acquire(self, timeout: float | None = None) -> AsyncLease[T]:
        """Borrow an object until `AsyncLease.release`; parameters and errors as in `lease`."""
        entry = await self._lease(timeout)
        if self._limits.track == "sampled":
            # One frame is cheap enough to note it always; the kept lease is the one that leaks.
            frame = sys._getframe(1)
            entry._by = (entry._next - entry._left, 0, frame.f_code, frame.f_lasti)
        return AsyncLease(entry)

    async def try_acquire(self) -> AsyncLease[T] | None:
        """Borrow an object if one lies idle, else return None; never waits, and never makes one itself.

        Where none is idle but there is room, one is made in the background.
        """
        if not self._waiters:
            try:
                return AsyncLease(await self._obtain(0.0, self._take()))
            except (IndexError, PoolTimeout):
                pass
        with self._lock:
            self._refuse_if_closed()
            room = self._line.version.size < self._limits.max_size
        if room:
            self._grow_once()
        return None

    async def release(self, lease: AsyncLease[T]) -> None:
        """Give `lease` back.

        Raises
        ------
        ForeignLease
            If it is no lease of this pool.
        LeaseReturned
            If it was given back before.
        """
        if not isinstance(lease, AsyncLease) or lease.pool is not self:
            raise ForeignLease(
                f"{lease!r} is no lease of pool {self.name!r}", hint="give back what pool.acquire() returned"
            )
        await lease.release()

    async def clear(self) -> int:
        """Destroy the objects that are idle; return how many. Leased ones stay."""
        return await self._drop_idle("clear")

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each `Event`, in the thread it happens in; return what ends that."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def end() -> None:
            with self._lock:
                self._listeners = tuple(known for known in self._listeners if known is not listener)

        return end

    async def methods(self) -> MethodTable:
        """Return the methods of the pooled objects, name to ``{"signature", "summary"}``."""
        table = self._line.version.methods
        if table is None:
            async with self.lease() as obj:
                return methods_of(obj)
        return table

    def stats(self) -> PoolStats:
        """Return what the pool holds and what it has done."""
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

    def used(self) -> list[Used]:
        """Return the versions that leases have had, the oldest first, with their digests."""
        with self._lock:
            leases = self._leases.copy()
            for entry in self._entries:
                version = entry._line.version
                leases[version.label, version.digest] += entry.uses + (entry._held is not None)
        return [Used(version, digest, n) for (version, digest), n in leases.items() if n]

    async def __aenter__(self) -> AsyncPool[T]:
        await self._warm()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self._entries)} of {self._limits.max_size}"
        return f"<AsyncPool {self.name!r} {state}>"

    def _track(self, limits: Limits) -> None:
        self.__class__ = cast(Any, AsyncTrackedPool if limits.track == "full" else AsyncPool)


class AsyncTrackedPool(AsyncPool[T]):
    """A pool that notes every borrower: three frames on the quick way, all of them on the long one."""

    __slots__ = ()

    async def _lease(self, timeout: float | None = None) -> Entry[T]:
        """Borrow an object for one ``with`` statement, as `AsyncPool.lease` does."""
        if timeout is not None:
            seconds(timeout, "timeout")
        if not self._waiters:
            try:
                entry = self._take()
            except IndexError:
                return await self._obtain(timeout)
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
            return await self._obtain(timeout, entry)
        return await self._obtain(timeout)
