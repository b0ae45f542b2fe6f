"""exia: serve algorithms from an object pool, and record what they did.

>>> import exia
>>> with exia.pool("python:statistics:NormalDist", max_size=2) as pool:
...     with pool.lease() as normal:
...         round(normal.cdf(0.0), 3)
0.5
"""

from exia.errors import ExiaError
from exia.loading import Loaded, Loader, load
from exia.pooling import Factory, Lease, Pool, PoolStats, get_pool, pool
from exia.recording import Run, run
from exia.runs import RunRecord, RunStore, open_runs

__all__ = [
    "ExiaError",
    "Factory",
    "Lease",
    "Loaded",
    "Loader",
    "Pool",
    "PoolStats",
    "Run",
    "RunRecord",
    "RunStore",
    "get_pool",
    "load",
    "open_runs",
    "pool",
    "run",
]
