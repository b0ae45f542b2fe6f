"""Pools by name, and what becomes of all of them when the process forks."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, WeakValueDictionary

from exia._house.errors import nearest
from exia.errors import PoolExists, PoolNotFound
from exia.pooling.watchdog import after_fork, guard, unguard

if TYPE_CHECKING:
    from exia.pooling.pool import Pool

_lock = threading.Lock()
_named: WeakValueDictionary[str, Any] = WeakValueDictionary()
_all: WeakSet[Pool[Any]] = WeakSet()


def get_pool(name: str) -> Pool[Any]:
    """Return the open pool that is called `name`; raise `PoolNotFound` if there is none."""
    with _lock:
        found: Pool[Any] | None = _named.get(name)
        known = sorted(_named)
    if found is None:
        hint = nearest(name, known) or (f"open pools: {', '.join(known)}" if known else "open one with exia.pool()")
        raise PoolNotFound(f"no open pool is called {name!r}", hint=hint)
    return found


def open_pools() -> list[Pool[Any]]:
    """Return the open pools of this process, by name."""
    with _lock:
        return sorted((pool for pool in _all if not pool.closed), key=lambda pool: pool.name)


def enroll(pool: Any, *, chosen: bool) -> None:
    """Make `pool` known; a name that nobody chose stays with the pool that has it."""
    with _lock:
        if pool.name not in _named:
            _named[pool.name] = pool
        elif chosen:
            raise PoolExists(f"an open pool is called {pool.name!r} already", hint="close it, or choose another name")
        _all.add(pool)
    guard(pool)


def dismiss(pool: Any) -> None:
    """Forget `pool`."""
    name = pool.name
    with _lock:
        if _named.get(name) is pool:
            del _named[name]
        _all.discard(pool)
    unguard(pool)


def _in_child() -> None:
    global _lock
    _lock = threading.Lock()  # the old one may be held by a thread that this process does not have
    for pool in list(_all):
        pool._after_fork()
    after_fork()


os.register_at_fork(after_in_child=_in_child)
