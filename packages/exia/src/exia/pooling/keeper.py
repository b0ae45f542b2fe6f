"""The thread that does what a pool has to do between two leases."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, ref

if TYPE_CHECKING:
    from exia.pooling.pool import Pool

_PERIOD = 1.0  #: Seconds between two looks when nothing wakes it; also the pause after a failed make.
_log = logging.getLogger("exia")


class Keeper:
    """Tends one pool in the background; it holds the pool weakly and ends with it."""

    def __init__(self, pool: Pool[Any]) -> None:
        self._woken = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(
            target=self._run, args=(ref(pool),), daemon=True, name=f"exia-keeper-{pool.name}"
        )
        self._woken.set()
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._thread.is_alive()

    def wake(self) -> None:
        """Look at the pool now."""
        self._woken.set()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopped = True
        self._woken.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(_PERIOD)

    def _run(self, find: ReferenceType[Pool[Any]]) -> None:
        pause = _PERIOD
        while not self._stopped:
            self._woken.wait(max(0.0, min(_PERIOD, pause)))
            self._woken.clear()
            pool = find()
            if pool is None:
                return
            try:
                if not self._stopped:
                    pause = pool._work(lambda: self._stopped)
            except Exception as exc:
                pause = _PERIOD
                pool._note_trouble(exc)
                _log.warning("pool %r: %s", pool.name, exc)
            del pool


def background(work: Callable[[], None], name: str) -> None:
    """Run `work` beside what runs now."""
    threading.Thread(target=work, daemon=True, name=f"exia-{name}").start()
