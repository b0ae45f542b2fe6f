"""A pool's places: which objects exist, which are idle, who waits, and who gets what is free."""

from __future__ import annotations

import logging
import sys
import threading
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Generic, Literal, TypeVar

from exia.errors import PoolBusy, PoolClosed, PoolTimeout
from exia.pooling.care import Care
from exia.pooling.entry import EMPTY, Entry
from exia.pooling.limits import Limits
from exia.pooling.waiting import Waiter

T = TypeVar("T")
_log = logging.getLogger("exia")
SLOW = -1  #: A gate that no entry's generation equals.


class Places(ABC, Generic[T]):
    """At most ``max_size`` entries; a free one goes to the oldest waiter and to nobody else.

    Lock-free: ``_take`` and ``_put`` on the idle deque while nobody waits. Whoever puts looks for
    waiters afterwards, and whoever waits queues first and looks at the deque afterwards, so that
    one of the two sees the other. All else happens under the lock, and no factory verb ever does.

    The garbage collector may end a generator that holds a lease, in the midst of this thread's own
    bookkeeping. Such a return only notes itself in ``_orphans``, and `_tend` does it a moment later.
    """

    __slots__ = (
        "__weakref__",
        "_care",
        "_closed",
        "_created",
        "_destroyed",
        "_empty",
        "_entries",
        "_gate",
        "_generation",
        "_idle",
        "_limits",
        "_lock",
        "_orphans",
        "_put",
        "_refused",
        "_retired",
        "_take",
        "_timeouts",
        "_waiters",
        "name",
    )

    def __init__(self, care: Care[T], limits: Limits, name: str, order: Literal["lifo", "fifo"]) -> None:
        self.name = name
        self._care = care
        self._limits = limits
        self._idle: deque[Entry[T]] = deque()
        self._put = self._idle.append
        self._take: Callable[[], Entry[T]] = self._idle.pop if order == "lifo" else self._idle.popleft
        self._generation = 0
        self._retired = self._created = self._timeouts = self._refused = 0
        self._destroyed: Counter[str] = Counter()
        self._closed = ""  # why, once it is
        self._lock = threading.RLock()
        self._orphans: deque[tuple[Entry[T] | None, BaseException | None]] = deque()
        self._waiters: deque[Waiter] = deque()
        self._entries: list[Entry[T]] = []
        self._empty = threading.Event()
        self._gate = SLOW
        self._regate()

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
                self._match()
            self._tend()
            while not waiter.wait(deadline):
                self._reclaim()
                self._give_up(waiter, deadline, limit)
            if waiter.entry is None:
                self._refuse_if_closed()
            found, waiter.entry = waiter.entry, None
            assert found is not None
            return found
        except BaseException:
            self._abandon(waiter)
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

    def _abandon(self, waiter: Waiter) -> None:
        """Take `waiter` out of the queue; what it was already given goes to the next."""
        with self._lock:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            entry, waiter.entry = waiter.entry, None
            if entry is not None and entry.object is EMPTY:
                self._entries.remove(entry)
            elif entry is not None:
                self._put(entry)
            self._match()
            self._note_empty()
        self._tend()
        if self._closed:
            self._drop_idle("close")

    def _serve(self) -> None:
        """Hand idle objects to those who wait."""
        if self._owned():
            self._orphans.append((None, None))
        elif self._closed:
            self._drop_idle("close")
        else:
            with self._lock:
                self._match()
            self._tend()

    def _owned(self) -> bool:
        """Tell whether this thread is in the midst of its own bookkeeping."""
        owned: bool = self._lock._is_owned()  # type: ignore[attr-defined]  # as threading.Condition asks it
        return owned

    def _tend(self) -> None:
        """Do what finalizers had to put off."""
        while self._orphans and not self._owned():
            try:
                entry, error = self._orphans.popleft()
            except IndexError:
                return
            if entry is None:
                self._serve()
            else:
                self._give(entry, error)

    @abstractmethod
    def _give(self, entry: Entry[T], error: BaseException | None) -> None:
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
        try:
            return self._take()
        except IndexError:
            return self._reserve()

    def _reserve(self) -> Entry[T] | None:
        if len(self._entries) >= self._limits.max_size:
            return None
        # In the list before it is filled, so that _reclaim finds it if its borrower dies in between.
        entry: Entry[T] = Entry(self, self._generation)
        self._entries.append(entry)
        return entry

    def _destroy(self, entry: Entry[T], cause: str) -> None:
        try:
            self._care.destroy(entry.object)
        finally:
            self._forget(entry, cause)

    def _forget(self, entry: Entry[T], cause: str | None) -> None:
        """Take `entry` out of the pool; its place goes to whoever waits."""
        with self._lock:
            if entry not in self._entries:
                return
            self._entries.remove(entry)
            self._retired += entry.uses
            if cause is not None:
                self._destroyed[cause] += 1
            self._regate()
            self._match()
            self._note_empty()
        self._tend()

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
            if entry.object is EMPTY:
                self._forget(entry, None)
                continue
            _log.warning("pool %r: a lease was dropped without a return; its object is destroyed", self.name)
            self._destroy(entry, "lost")

    def _stale(self, entry: Entry[T]) -> str | None:
        """Return why `entry` must leave the pool, or None."""
        limits = self._limits
        if self._closed:
            return "close"
        if limits.max_uses is not None and entry.uses >= limits.max_uses:
            return "uses"
        if entry.expires and monotonic() >= entry.expires:
            return "lifetime"
        return "resize" if len(self._entries) > limits.max_size else None

    def _regate(self) -> None:
        """Set which entries may take the lock-free way; the lock is held."""
        limits = self._limits
        plain = not self._closed and limits.plain and self._care.plain and len(self._entries) <= limits.max_size
        self._gate = self._generation if plain else SLOW

    def _shut(self, why: str) -> None:
        """Fail whoever waits, now and from now on; the lock is held."""
        self._closed = why
        self._gate = SLOW
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
            raise PoolClosed(f"pool {self.name!r} {self._closed}", hint="open it again with exia.pool()")

    def _state(self) -> str:
        leased = len(self._entries) - len(self._idle)
        return f"{leased} of {self._limits.max_size} leased, {len(self._waiters)} waiting"


def _count_unheld() -> int:
    """Return what `sys.getrefcount` says in `Places._reclaim` of an entry that only the list holds."""
    entries: list[Any] = [object()]
    return [sys.getrefcount(entry) for entry in entries][0]  # noqa: RUF015 - the same form as there, or it counts else


_UNHELD = _count_unheld()
