"""The rules of a pool that can be exchanged: hand one to `exia.pool`, or write your own with the same method.

>>> import exia
>>> from exia.strategies import HeldFor, UnusedMinimum
>>> with exia.pool(dict, eviction=UnusedMinimum(window=60), leak=HeldFor(10)) as pool:
...     pool.settings.eviction
UnusedMinimum(window=60)
"""

from exia.pooling.strategies import (
    Eviction,
    Fifo,
    Growth,
    HeldFor,
    KeepIdle,
    Leak,
    Lifo,
    Order,
    Rested,
    UnusedMinimum,
    Validation,
)

__all__ = [
    "Eviction",
    "Fifo",
    "Growth",
    "HeldFor",
    "KeepIdle",
    "Leak",
    "Lifo",
    "Order",
    "Rested",
    "UnusedMinimum",
    "Validation",
]
