"""Python units of the flow factors."""

from __future__ import annotations

import pyarrow as pa


def prices(*, days: int) -> pa.Table:
    """Return prices that rise and fall, one a day."""
    values = [100.0 + day % 7 + day / 10 for day in range(days)]
    return pa.table({"day": pa.array(range(days), pa.int64()), "price": values})


def mean(prices: pa.Table, *, window: int) -> pa.Table:
    """Return the last mean over `window` days."""
    last = prices["price"].to_pylist()[-window:]
    return pa.table({"window": pa.array([window], pa.int64()), "value": [sum(last) / len(last)]})


def first(ranked: pa.Table) -> pa.Table:
    """Return the best."""
    return ranked.slice(0, 1)


def last(ranked: pa.Table) -> pa.Table:
    """Return the worst."""
    return ranked.slice(ranked.num_rows - 1)
