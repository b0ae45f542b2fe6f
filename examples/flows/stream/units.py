"""Python units of the flow stream."""

from __future__ import annotations

import pyarrow as pa


def begin(*, ticks: int) -> pa.Table:
    """Return the state before the first tick."""
    return pa.table({"left": pa.array([ticks], pa.int64()), "seen": pa.array([0], pa.int64()), "average": [0.0]})


def follow(state: pa.Table) -> pa.Table:
    """Return the state after one more tick."""
    left, seen, average = (state[name][0].as_py() for name in ("left", "seen", "average"))
    price = 100.0 + (seen * 37) % 11
    return pa.table({
        "left": pa.array([left - 1], pa.int64()),
        "seen": pa.array([seen + 1], pa.int64()),
        "average": [average + (price - average) / (seen + 1)],
    })  # fmt: skip


def last(state: pa.Table) -> pa.Table:
    """Return where the average stands."""
    return state.select(["seen", "average"])
