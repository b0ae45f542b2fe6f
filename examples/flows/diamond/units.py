"""Python units of the flow diamond."""

from __future__ import annotations

import pyarrow as pa


def series() -> pa.Table:
    """Return a series that turns now and then."""
    values = [float((day * day) % 97 + day % 13) for day in range(200)]
    return pa.table({"day": pa.array(range(200), pa.int64()), "value": values})


def average(series: pa.Table, *, window: int) -> pa.Table:
    """Return the average over the last `window` days, of each day that has as many."""
    values = series["value"].to_pylist()
    means = [sum(values[i - window : i]) / window for i in range(window, len(values) + 1)]
    return pa.table({"day": series["day"][window - 1 :], "mean": means})


def cross(fast: pa.Table, slow: pa.Table) -> pa.Table:
    """Return the days on which the fast average passes the slow one."""
    quick = dict(zip(fast["day"].to_pylist(), fast["mean"].to_pylist(), strict=True))
    days, before = [], None
    for day, mean in zip(slow["day"].to_pylist(), slow["mean"].to_pylist(), strict=True):
        above = quick[day] > mean
        if before is not None and above != before:
            days.append(day)
        before = above
    return pa.table({"day": pa.array(days, pa.int64())})
