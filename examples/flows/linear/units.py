"""Python units of the flow linear."""

from __future__ import annotations

from itertools import pairwise

import pyarrow as pa


def prices(*, days: int) -> pa.Table:
    """Return prices that rise and fall, one a day."""
    values = [100.0 + day % 11 - day % 7 + day / 20 for day in range(days)]
    return pa.table({"day": pa.array(range(days), pa.int64()), "price": values})


def returns(prices: pa.Table) -> pa.Table:
    """Return what each day gave over the one before it."""
    values = prices["price"].to_pylist()
    rates = [after / before - 1 for before, after in pairwise(values)]
    return pa.table({"day": prices["day"][1:], "rate": rates})


def drawdown(returns: pa.Table) -> pa.Table:
    """Return the worst fall from a peak, and the day on which it ended."""
    level = peak = 1.0
    worst, on = 0.0, 0
    for day, rate in zip(returns["day"].to_pylist(), returns["rate"].to_pylist(), strict=True):
        level *= 1 + rate
        peak = max(peak, level)
        if level / peak - 1 < worst:
            worst, on = level / peak - 1, day
    return pa.table({"day": pa.array([on], pa.int64()), "fall": [worst]})
