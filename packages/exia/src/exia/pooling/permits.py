"""Places that are given out in the order of asking."""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic

from exia.errors import PoolBusy
from exia.pooling.waiting import Waiter


class Permits:
    """At most `most` at once, in the order of asking; each use of it is under `lock`, but waiting is not."""

    def __init__(self, lock: threading.Lock, most: int) -> None:
        self._lock = lock
        self.most = most
        self.out = 0
        self.waiters: deque[Waiter] = deque()

    def take(self, deadline: float, most_waiting: int | None = None) -> bool:
        """Wait in turn for a permit; False if none came until `deadline` (monotonic seconds)."""
        waiter = Waiter()
        with self._lock:
            if not self.waiters and self.out < self.most:
                self.out += 1
                return True
            if monotonic() < deadline and most_waiting is not None and len(self.waiters) >= most_waiting:
                raise PoolBusy(f"{len(self.waiters)} callers wait already", hint="raise the size or max_waiting")
            self.waiters.append(waiter)
        served = False
        try:
            while not waiter.wait(deadline):
                if monotonic() >= deadline:
                    break
            with self._lock:
                # Served in the last moment counts: the permit is ours.
                served = waiter not in self.waiters
        finally:
            if not served:
                with self._lock:
                    if waiter in self.waiters:
                        self.waiters.remove(waiter)
                    else:
                        self.out -= 1  # interrupted, and served a moment ago
                    self.match()
        return served

    def give(self) -> None:
        """Give one back."""
        with self._lock:
            self.out -= 1
            self.match()

    def match(self) -> None:
        """Serve the oldest waiters; the lock is held."""
        while self.waiters and self.out < self.most:
            self.out += 1
            self.waiters.popleft().bell.release()
