"""The pool: idle objects in a deque, capacity as entries, direct hand-off to whoever waits longest."""

from exia.pooling.entry import Entry, Lease
from exia.pooling.events import Event, Listener
from exia.pooling.exporting import prometheus
from exia.pooling.factory import Factory, Verdict
from exia.pooling.following import Follower, follow
from exia.pooling.keyed import KeyedPool, keyed_pool
from exia.pooling.named import get_pool
from exia.pooling.open import async_pool, pool
from exia.pooling.pool import Pool
from exia.pooling.statistics import Histogram, PoolStats
from exia.pooling.swapping import Swap

__all__ = [
    "Entry",
    "Event",
    "Factory",
    "Follower",
    "Histogram",
    "KeyedPool",
    "Lease",
    "Listener",
    "Pool",
    "PoolStats",
    "Swap",
    "Verdict",
    "async_pool",
    "follow",
    "get_pool",
    "keyed_pool",
    "pool",
    "prometheus",
]
