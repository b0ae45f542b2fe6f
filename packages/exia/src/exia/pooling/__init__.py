"""The pool: idle objects in a deque, capacity as entries, direct hand-off to whoever waits longest."""

from exia.pooling.entry import Entry, Lease
from exia.pooling.factory import Factory, Verdict
from exia.pooling.named import get_pool
from exia.pooling.open import pool
from exia.pooling.pool import Pool
from exia.pooling.statistics import Histogram, PoolStats

__all__ = ["Entry", "Factory", "Histogram", "Lease", "Pool", "PoolStats", "Verdict", "get_pool", "pool"]
