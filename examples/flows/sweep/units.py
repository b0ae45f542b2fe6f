"""Python units of the flow sweep."""

from __future__ import annotations

import pyarrow as pa


def series(*, days: int) -> pa.Table:
    """Return moves of a price, one a day."""
    return pa.table({"move": pa.array([(day * 7919) % 11 - 5 for day in range(days)], pa.int64())})


def trial(series: pa.Table, *, enter: int, leave: int) -> pa.Table:
    """Return what the strategy earns that buys after `enter` and sells after `leave` days of one direction."""
    held, run, earned = False, 0, 0
    for move in series["move"].to_pylist():
        earned += move if held else 0
        run = run + 1 if (move > 0) != held else 0
        if run >= (leave if held else enter):
            held, run = not held, 0
    return pa.table({name: pa.array([value], pa.int64()) for name, value in
                     (("enter", enter), ("leave", leave), ("earned", earned))})  # fmt: skip


def best(trials: pa.Table) -> pa.Table:
    """Return the best trial; of equal ones the first."""
    order = [("earned", "descending"), ("enter", "ascending"), ("leave", "ascending")]
    return trials.sort_by(order).slice(0, 1)
