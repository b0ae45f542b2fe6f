"""What the async pool does otherwise than the sync one; the rest of this folder is written by a script."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast
from weakref import ReferenceType, ref

from exia.pooling.waiting import PATIENCE, seconds

if TYPE_CHECKING:
    from exia.pooling.asynchronous.entry import Entry
    from exia.pooling.asynchronous.pool import AsyncPool

T = TypeVar("T")
_PERIOD = 1.0
_log = logging.getLogger("exia")
_running: set[asyncio.Task[None]] = set()  # the loop itself holds its tasks weakly


async def settled(value: Any) -> Any:
    """Return `value`, awaited if it is awaitable: a factory's verb may be a function or a coroutine function."""
    return await value if inspect.isawaitable(value) else value


class Bell:
    """An event that can be waited for with a time-out."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Let everybody who waits go on."""
        self._event.set()

    def is_set(self) -> bool:
        """Tell whether it was set."""
        return self._event.is_set()

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait for it, at most `timeout` seconds; tell whether it was set."""
        try:
            async with asyncio.timeout(timeout):
                await self._event.wait()
        except TimeoutError:
            return False
        return True


class Waiter:
    """One waiting caller; its bell is released once, after `entry` was set (None: the pool has closed)."""

    __slots__ = ("_future", "_rung", "entry")

    def __init__(self) -> None:
        self._rung = False
        self._future: asyncio.Future[None] | None = None
        self.entry: Entry[Any] | None = None

    @property
    def bell(self) -> Waiter:
        """Itself."""
        return self

    def release(self) -> None:
        """Wake who waits."""
        self._rung = True
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    async def wait(self, deadline: float) -> bool:
        """Wait until `deadline` (monotonic seconds) or for `PATIENCE`; tell whether the bell rang."""
        if not self._rung:
            self._future = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._future], timeout=max(0.0, min(PATIENCE, deadline - monotonic())))
        return self._rung


class Borrowing(Generic[T]):
    """What ``async with pool.lease() as obj`` enters and leaves."""

    __slots__ = ("_entry", "_pool", "_timeout")

    def __init__(self, pool: AsyncPool[T], timeout: float | None) -> None:
        self._pool = pool
        self._timeout = timeout
        self._entry: Entry[T] | None = None

    async def __aenter__(self) -> T:
        self._entry = await self._pool._lease(self._timeout)
        return self._entry.object

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        entry, self._entry = self._entry, None
        assert entry is not None
        await entry.__aexit__(kind, error, trace)


class Borrows(Generic[T]):
    """`lease`, which is no coroutine itself."""

    __slots__ = ()

    def lease(self, timeout: float | None = None) -> Borrowing[T]:
        """Borrow an object for one ``async with``: ``async with pool.lease() as obj``.

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
        return Borrowing(cast("AsyncPool[T]", self), timeout)


class Keeper:
    """The task that tends one pool; it holds the pool weakly and ends with it."""

    def __init__(self, pool: AsyncPool[Any]) -> None:
        self._woken = asyncio.Event()
        self._woken.set()
        self._stopped = False
        self._task = background(lambda: self._run(ref(pool)), pool.name)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._task is not None and not self._task.done()

    def wake(self) -> None:
        """Look at the pool now."""
        self._woken.set()

    def stop(self) -> None:
        """End the task."""
        self._stopped = True
        self._woken.set()

    async def _run(self, find: ReferenceType[AsyncPool[Any]]) -> None:
        pause = _PERIOD
        while not self._stopped:
            try:
                async with asyncio.timeout(max(0.0, min(_PERIOD, pause))):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            pool = find()
            if pool is None:
                return
            try:
                if not self._stopped:
                    pause = await pool._work(lambda: self._stopped)
            except Exception as exc:
                pause = _PERIOD
                pool._note_trouble(exc)
                _log.warning("pool %r: %s", pool.name, exc)
            del pool


def background(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> asyncio.Task[None] | None:
    """Run `work` beside what runs now; return None where no loop runs (yet)."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    task = loop.create_task(work(), name=f"exia-{name}")
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task
