"""Pools by key, such as one per model or per user, with one cap over all of them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from time import monotonic
from types import TracebackType
from typing import Any, Generic, NamedTuple, TypeVar

from exia.errors import BadInput, PoolClosed, PoolTimeout
from exia.pooling.entry import Entry, Lease
from exia.pooling.factory import name_of
from exia.pooling.limits import Limits
from exia.pooling.permits import Permits
from exia.pooling.pool import Pool
from exia.pooling.statistics import PoolStats
from exia.pooling.targets import resolved
from exia.pooling.waiting import seconds, whole

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Slot(Generic[T]):
    """What belongs to one key."""

    def __init__(self, pool: Pool[T], permits: Permits) -> None:
        self.pool = pool
        self.permits = permits
        self.users = 0  #: Callers that lease, hold or wait.
        self.used = 0.0  #: Monotonic second of the last lease.


class Done(NamedTuple):
    """What a pool by key has done."""

    counts: Counter[str]  #: ``errors`` and ``timeouts``.
    leases: Counter[Hashable]  #: Of each key.

    def add(self, key: Hashable, pool: Pool[Any]) -> None:
        """Add what the pool of `key` has done."""
        stats = pool.stats()
        self.counts.update(errors=stats.errors, timeouts=stats.timeouts)
        self.leases[key] += stats.leases


class KeyedPool(Generic[K, T]):
    """A pool for each key, opened when the key is first leased; open one with `exia.keyed_pool`.

    At most ``max_total`` objects exist, idle ones included: where a key needs one more, an idle object
    goes, of the key whose last lease is longest ago. Callers wait first for their key and then for the cap, each in
    turn, so that a busy key does not keep others from theirs. A key without objects and callers is forgotten.
    """

    def __init__(self, target: Callable[[K], Any], limits: Limits, *, max_total: int, name: str) -> None:
        self.name = name
        self._target = target
        self._limits = limits
        self._lock = threading.Lock()
        self._total = Permits(self._lock, whole(max_total, "max_total", 1))
        self._slots: dict[K, Slot[T]] = {}
        self._closed = False
        self._ended: Callable[[], None] | None = None  # told once, when it is closed
        self._past: Done | None = None  # what keys that were forgotten have had, where it is recorded

    @property
    def target(self) -> str:
        """The name of what makes the objects."""
        return name_of(self._target)

    @property
    def max_total(self) -> int:
        """The most objects that exist at once, over all keys."""
        return self._total.most

    @property
    def waiting(self) -> int:
        """Callers that wait, for their key or for the cap."""
        with self._lock:
            return len(self._total.waiters) + sum(len(slot.permits.waiters) for slot in self._slots.values())

    @contextmanager
    def lease(self, key: K, timeout: float | None = None) -> Iterator[T]:
        """Borrow an object of `key` for one ``with`` statement; parameters and errors as in `Pool.lease`."""
        with self.acquire(key, timeout) as lease:
            yield lease.object

    def acquire(self, key: K, timeout: float | None = None) -> KeyedLease[T]:
        """Borrow an object of `key` until `KeyedLease.release`; parameters and errors as in `Pool.lease`."""
        limit = self._limits.timeout if timeout is None else seconds(timeout, "timeout")
        deadline = monotonic() + limit
        slot = self._slot(key)
        taken: list[Permits] = []
        try:
            for permits in (slot.permits, self._total):
                if not permits.take(deadline, self._limits.max_waiting):
                    if self._past is not None:
                        with self._lock:
                            self._past.counts["timeouts"] += 1
                    raise PoolTimeout(
                        f"no object of pool {self.name!r} for {key!r} within {limit:g} s: "
                        f"{slot.permits.out} of {slot.permits.most} of the key leased, "
                        f"{self._total.out} of {self.max_total} in all",
                        hint="raise max_size, max_total or the timeout, or hold each lease for less time",
                    )
                taken.append(permits)
            self._refuse_if_closed()
            entry = self._make_room(slot)
            lease = Lease(slot.pool._obtain(max(0.0, deadline - monotonic()), entry))
        except BaseException:
            self._done(key, slot, taken)
            raise
        return KeyedLease(lease, lambda: self._done(key, slot, taken))

    def stats(self) -> dict[K, PoolStats]:
        """Return the figures of each key's pool."""
        with self._lock:
            slots = dict(self._slots)
        return {key: slot.pool.stats() for key, slot in slots.items()}

    def done(self) -> Done:
        """Return what it has done since it was opened; of keys that were forgotten only if it is recorded."""
        with self._lock:
            slots = dict(self._slots)
            past = self._past or Done(Counter(), Counter())
            found = Done(past.counts.copy(), past.leases.copy())
        for key, slot in slots.items():
            found.add(key, slot.pool)
        return found

    def clear(self) -> int:
        """Destroy what is idle, of all keys; return how many."""
        with self._lock:
            pools = [slot.pool for slot in self._slots.values()]
        return sum(pool.clear() for pool in pools)

    def configure(self, *, max_total: int | None = None, **settings: Any) -> None:
        """Change the cap, and settings of every key's pool, while they run."""
        limits = self._limits.changed(**settings)
        cap = self.max_total if max_total is None else whole(max_total, "max_total", 1)
        with self._lock:
            self._limits = limits
            self._total.most = cap
            slots = list(self._slots.values())
            for permits in (self._total, *(slot.permits for slot in slots)):
                if permits is not self._total:
                    permits.most = limits.max_size
                permits.match()
        for slot in slots:
            slot.pool.configure(**settings)

    def close(self, timeout: float = 5.0) -> int:
        """Close the pools of all keys; return how many objects are still out after `timeout` seconds."""
        deadline = monotonic() + seconds(timeout, "timeout")
        with self._lock:
            self._closed = True
            slots = list(self._slots.values())
            for permits in (self._total, *(slot.permits for slot in slots)):
                permits.most = 1 << 30  # whoever waits goes on, and finds it closed
                permits.match()
        left = sum(slot.pool.close(max(0.0, deadline - monotonic())) for slot in slots)
        ended, self._ended = self._ended, None
        if ended is not None:
            ended()
        return left

    def __enter__(self) -> KeyedPool[K, T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _slot(self, key: K) -> Slot[T]:
        with self._lock:
            self._refuse_if_closed()
            slot = self._slots.get(key)
            if slot is None:
                pool: Pool[T] = Pool(resolved(partial(self._target, key)), self._limits, name=f"{self.name}[{key!r}]")
                slot = self._slots[key] = Slot(pool, Permits(self._lock, self._limits.max_size))
            slot.users += 1
            slot.used = monotonic()
            return slot

    def _make_room(self, slot: Slot[T]) -> Entry[T] | None:
        """Take an idle object of `slot`, or let idle ones of others go so that it may make one."""
        leaving: list[tuple[Pool[T], Entry[T]]] = []
        with self._lock:
            try:
                entry: Entry[T] | None = slot.pool._take()
            except IndexError:
                entry = None
            others = sorted(self._slots.values(), key=lambda other: other.used)
            surplus = self._total.out + sum(len(other.pool._idle) for other in others) - self.max_total
            for other in others:
                while surplus > 0 and other.pool._idle:
                    try:
                        leaving.append((other.pool, other.pool._idle.popleft()))
                    except IndexError:
                        break
                    surplus -= 1
        for pool, old in leaving:
            pool._destroy(old, "evicted")
        if leaving:
            self._forget_empty()
        return entry

    def _done(self, key: K, slot: Slot[T], taken: list[Permits]) -> None:
        for permits in reversed(taken):
            permits.give()
        with self._lock:
            slot.users -= 1
            empty = not slot.users and not slot.pool._entries
        if empty:
            self._forget_empty()

    def _forget_empty(self) -> None:
        with self._lock:
            empty = [key for key, slot in self._slots.items() if not slot.users and not slot.pool._entries]
            pools = [self._slots.pop(key).pool for key in empty]
            if self._past is not None:
                for key, pool in zip(empty, pools, strict=True):
                    self._past.add(key, pool)
        for pool in pools:
            pool.close(0)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise PoolClosed(f"pool {self.name!r} is closed", hint="open it again with exia.keyed_pool()")


class KeyedLease(Generic[T]):
    """One borrowing of one object of one key, given back once."""

    __slots__ = ("_after", "_lease")

    def __init__(self, lease: Lease[T], after: Callable[[], None]) -> None:
        self._lease = lease
        self._after = after

    @property
    def object(self) -> T:
        """The object; raise `LeaseReturned` once the lease has ended."""
        return self._lease.object

    def release(self, error: BaseException | None = None) -> None:
        """Give the object back; as `Lease.release`."""
        after = self._after
        self._lease.release(error)
        after()

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call the method `name`; as `Lease.call`."""
        return self._lease.call(name, *args, **kwargs)

    def __enter__(self) -> KeyedLease[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release(error)


def keyed_pool(
    target: Callable[[K], Any], *, max_total: int, name: str = "keyed", record: bool = False, **settings: Any
) -> KeyedPool[K, Any]:
    """Open a pool per key, with one cap over all keys.

    Parameters
    ----------
    target
        Makes one object of a key: called with the key.
    max_total
        The most objects that exist at once, over all keys.
    name
        What messages call it.
    record
        Record the pool's life as a run of its name: how many leases and errors there were, and which keys had
        most of the leases.
    settings
        Those of `exia.pool`, for each key: ``max_size``, ``timeout``, ``max_waiting`` and the others.

    Examples
    --------
    >>> import exia
    >>> with exia.keyed_pool(lambda key: [key], max_total=2, max_size=1) as pools:
    ...     with pools.lease("a") as a, pools.lease("b") as b:
    ...         print(a, b)
    ['a'] ['b']
    """
    if not callable(target):
        raise BadInput(f"cannot pool {target!r} by key", hint="give a callable that takes the key")
    opened: KeyedPool[K, Any] = KeyedPool(target, Limits().changed(**settings), max_total=max_total, name=name)
    if record:
        # By name, as in `exia.pool`: a pool that is not recorded loads nothing of runs.
        import_module("exia.session").record_keyed(opened)
    return opened
