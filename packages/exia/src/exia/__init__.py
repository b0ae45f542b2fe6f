"""exia: serve algorithms from an object pool, and record what they did.

>>> import exia
>>> with exia.pool("python:statistics:NormalDist", max_size=2) as pool:
...     with pool.lease() as normal:
...         round(normal.cdf(0.0), 3)
0.5
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from exia.errors import ExiaError

if TYPE_CHECKING:
    from exia.loading import Loaded, Loader, load
    from exia.pooling import (
        Event,
        Factory,
        Follower,
        KeyedPool,
        Lease,
        Pool,
        PoolStats,
        Swap,
        async_pool,
        follow,
        get_pool,
        keyed_pool,
        pool,
        prometheus,
    )
    from exia.recording import Run, run
    from exia.runs import RunRecord, RunStore, open_runs
    from exia.runs.query import add_note, add_tags, find_runs, get_run, read_artifact

__all__ = [
    "Event",
    "ExiaError",
    "Factory",
    "Follower",
    "KeyedPool",
    "Lease",
    "Loaded",
    "Loader",
    "Pool",
    "PoolStats",
    "Run",
    "RunRecord",
    "RunStore",
    "Swap",
    "add_note",
    "add_tags",
    "async_pool",
    "find_runs",
    "follow",
    "get_pool",
    "get_run",
    "keyed_pool",
    "load",
    "open_runs",
    "pool",
    "prometheus",
    "read_artifact",
    "run",
]

# Imported when first used, so that a command that needs none of them starts at once.
_HOME = {
    "exia.loading": ("Loaded", "Loader", "load"),
    "exia.pooling": (
        "Event",
        "Factory",
        "Follower",
        "KeyedPool",
        "Lease",
        "Pool",
        "PoolStats",
        "Swap",
        "async_pool",
        "follow",
        "get_pool",
        "keyed_pool",
        "pool",
        "prometheus",
    ),
    "exia.recording": ("Run", "run"),
    "exia.runs": ("RunRecord", "RunStore", "open_runs"),
    "exia.runs.query": ("add_note", "add_tags", "find_runs", "get_run", "read_artifact"),
}
_WHERE = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'exia' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_WHERE[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
