# Written by scripts/async-pool from pooling/living.py; change that, and run it.
"""A pool from its first objects to its last: warming up, tending in the background, closing, forking."""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, TypeVar, cast

from exia.errors import PoolTimeout
from exia.pooling.asynchronous.care import Failures
from exia.pooling.asynchronous.hand import Bell, Keeper, background
from exia.pooling.asynchronous.tending import Tending
from exia.pooling.asynchronous.version import Line, Version
from exia.pooling.limits import Limits
from exia.pooling.named import dismiss
from exia.pooling.waiting import seconds

if TYPE_CHECKING:
    from exia.pooling.asynchronous.pool import AsyncPool

T = TypeVar("T")


class Living(Tending[T]):
    """Has a keeper while there is something to tend, and ends every object before it ends itself."""

    __slots__ = ("_checking", "_cold", "_keeper")

    def __init__(self, version: Version[T], failures: Failures, limits: Limits, name: str, params: object) -> None:
        super().__init__(version, failures, limits, name, params)
        self._keeper: Keeper | None = None
        self._checking = False  # a swap's first object is being made and checked
        self._cold = False  # the first objects are still to be made

    @property
    def closed(self) -> bool:
        """Whether the pool gives no more objects."""
        return bool(self._closed)

    async def wait(self, timeout: float = 30.0) -> None:
        """Wait until ``min_idle`` objects are ready.

        Raises
        ------
        PoolTimeout
            If they are not within `timeout` seconds.
        FactoryError
            If one of them cannot be made; making them is tried again in the background.
        """
        deadline = monotonic() + seconds(timeout, "timeout")
        tick = Bell()
        while self._line.version.size < self._limits.min_idle or self._missing():
            self._refuse_if_closed()
            if self._trouble is not None:
                raise self._trouble
            if monotonic() >= deadline:
                raise PoolTimeout(f"pool {self.name!r} is not warm within {timeout:g} s: {self._state()}")
            self._wake()
            await tick.wait(0.005)

    async def check(self) -> None:
        """Do now what is done in the background each second: report leaks, grow, shrink, ask idle objects."""
        self._watch(monotonic())
        await self._work(lambda: False)

    async def close(self, timeout: float = 5.0) -> int:
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
            first = not self._closed
            if first:
                self._shut("is closed")
        dismiss(self)
        if self._keeper:
            self._keeper.stop()
        await self._drop_idle("close")
        await self._clear_out()
        await self._reclaim()
        with self._lock:
            self._note_empty()
        await self._empty.wait(min(threading.TIMEOUT_MAX, max(0.0, deadline - monotonic())))
        if first:
            self._tell("closed", leased=len(self._entries))
        return len(self._entries)

    async def _warm(self) -> None:
        """Make the first objects, once, and have a keeper for the others."""
        cold, self._cold = self._cold, False
        try:
            while cold and await self._top_up():
                pass
        except BaseException:
            await self.close(0)
            raise
        self._keep()

    def _missing(self) -> bool:
        limits = self._limits
        return limits.growing.wanted(len(self._idle), self._line.version.size, len(self._waiters)) > 0

    def _grow_once(self) -> None:
        """Make one object in the background."""

        async def make() -> None:
            with self._lock:
                entry = None if self._closed else self._reserve(self._line, self._limits.max_size)
            if entry is None:
                return
            try:
                await self._fill(entry)
            except Exception as exc:
                self._note_trouble(exc)
                return
            with self._lock:
                self._shelve(entry)
                self._match()
            await self._serve()

        background(make, f"maker-{self.name}")

    def _keep(self) -> None:
        """Have a keeper if there is something to tend."""
        swap = self._swap
        busy = self._limits.tended or bool(self._leaving) or (swap is not None and not swap._over.is_set())
        if busy and not self._closed and (self._keeper is None or not self._keeper.alive):
            self._keeper = Keeper(cast("AsyncPool[T]", self))

    def _wake(self) -> None:
        self._keep()
        if self._keeper is not None and not self._closed:
            self._keeper.wake()

    def _watch(self, now: float) -> None:
        super()._watch(now)

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
        self._empty = Bell()
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
