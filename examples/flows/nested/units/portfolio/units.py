"""Python units of the flow portfolio."""

from __future__ import annotations

import pyarrow as pa


def holdings(*, size: int) -> pa.Table:
    """Return `size` holdings with their weights and prices."""
    weights = [(i + 1) / (size * (size + 1) / 2) for i in range(size)]
    return pa.table({"weight": weights, "price": [10.0 + i % 5 for i in range(size)]})


def value(holdings: pa.Table) -> pa.Table:
    """Return the value of the holdings."""
    rows = zip(holdings["weight"].to_pylist(), holdings["price"].to_pylist(), strict=True)
    return pa.table({"value": [sum(weight * price for weight, price in rows)]})
