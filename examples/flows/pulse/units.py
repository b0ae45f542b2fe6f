"""Python units of the flow pulse."""

from __future__ import annotations

import pyarrow as pa

import kyrios


def price() -> pa.Table:
    """Return the price of this tick."""
    number = kyrios.tick().number
    return pa.table({"tick": pa.array([number], pa.int64()), "price": [100.0 + (number * 37) % 11 - 5]})


def average(price: pa.Table, *, weight: float) -> pa.Table:
    """Return the average that follows the price; `weight` is that of the newest one."""
    memory = kyrios.memory()
    now = price["price"][0].as_py()
    memory["average"] = now * weight + memory.get("average", now) * (1 - weight)
    return pa.table({"average": [memory["average"]]})


def signal(price: pa.Table, average: pa.Table, *, band: float) -> pa.Table:
    """Return 1 where the price is above the band around the average, -1 where it is below, 0 inside."""
    away = price["price"][0].as_py() - average["average"][0].as_py()
    return pa.table({"signal": pa.array([(away > band) - (away < -band)], pa.int8())})
