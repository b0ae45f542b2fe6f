"""One thread per process that looks at all pools each second: leaks, dead keepers, figures for ``exia top``."""

from __future__ import annotations

import logging
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from exia.errors import ExiaError
from exia.pooling.showing import show

if TYPE_CHECKING:
    from exia.pooling.pool import Pool

_PERIOD = 1.0
_log = logging.getLogger("exia")
_lock = threading.Lock()
_thread: threading.Thread | None = None
_pools: WeakSet[Pool[Any]] = WeakSet()


def guard(pool: Pool[Any]) -> None:
    """Look at `pool` from now on; also starts the thread again if it has died."""
    global _thread
    with _lock:
        _pools.add(pool)
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_run, daemon=True, name="exia-watchdog")
            _thread.start()


def unguard(pool: Pool[Any]) -> None:
    """Look at `pool` no more."""
    with _lock:
        _pools.discard(pool)


def after_fork() -> None:
    """Begin anew in a child: the thread and the lock's owner stayed in the parent."""
    global _lock, _thread
    _lock = threading.Lock()
    _thread = None
    for pool in list(_pools):
        if not pool.closed:
            guard(pool)


def _run() -> None:
    tick = threading.Event()
    try:
        while True:
            tick.wait(_PERIOD)
            with _lock:
                pools = list(_pools)
            _look_at(pools)
            del pools  # it would keep dropped pools alive
    except BaseException:
        _log.exception("the watchdog of the pools has died; the next pool that opens starts it again")
        raise


def _look_at(pools: list[Pool[Any]]) -> None:
    for pool in pools:
        try:
            pool._watch(monotonic())
        except Exception as exc:
            _log.warning("pool %r: its watch raised %s: %s", pool.name, type(exc).__name__, exc)
    try:
        show(pools)
    except (OSError, ExiaError) as exc:
        _log.debug("figures are not shown: %s", exc)
