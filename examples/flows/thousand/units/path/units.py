"""Python units of the flow path."""

from __future__ import annotations

import random

import pyarrow as pa


def draw() -> pa.Table:
    """Return the price at the beginning."""
    return pa.table({"step": pa.array([0], pa.int64()), "price": [100.0]})


def step(path: pa.Table, *, seed: int) -> pa.Table:
    """Return the price one step later."""
    number = path["step"][0].as_py() + 1
    move = random.Random(1000 * seed + number).choice([-1.0, 1.0])
    return pa.table({"step": pa.array([number], pa.int64()), "price": [path["price"][0].as_py() + move]})


def payoff(path: pa.Table, *, strike: float) -> pa.Table:
    """Return what the right to buy at `strike` is worth at the end."""
    return pa.table({"payoff": [max(0.0, path["price"][0].as_py() - strike)]})
