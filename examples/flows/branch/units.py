"""Python units of the flow branch."""

from __future__ import annotations

import pyarrow as pa


def market(*, moves: list[int]) -> pa.Table:
    """Return how far the market moves, and whether that is much."""
    spread = max(moves) - min(moves)
    return pa.table({"spread": pa.array([spread], pa.int64()), "mood": ["wild" if spread > 10 else "calm"]})


def simple(state: pa.Table) -> pa.Table:
    """Return a price with a small margin."""
    return pa.table({"price": pa.array([100 + state["spread"][0].as_py()], pa.int64())})


def careful(state: pa.Table) -> pa.Table:
    """Return a price with a large margin."""
    return pa.table({"price": pa.array([100 + 3 * state["spread"][0].as_py()], pa.int64())})


def note(price: pa.Table) -> pa.Table:
    """Return the price in words."""
    return pa.table({"text": [f"the price is {price['price'][0].as_py()}"]})


def tally() -> pa.Table:
    """Return that all is done, whatever ran."""
    return pa.table({"done": [True]})
