"""Python units of the flow training."""

from __future__ import annotations

import random

import pyarrow as pa


def data(*, rows: int, seed: int) -> pa.Table:
    """Return points near a line."""
    draw = random.Random(seed)
    x = [draw.uniform(-1, 1) for _ in range(rows)]
    return pa.table({"x": x, "y": [0.5 + 2 * value + draw.gauss(0, 0.3) for value in x]})


def split(data: pa.Table) -> dict[str, pa.Table]:
    """Return three quarters to train with, and the rest to test with."""
    at = data.num_rows * 3 // 4
    return {"train": data.slice(0, at).combine_chunks(), "test": data.slice(at).combine_chunks()}


def fit(train: pa.Table, test: pa.Table, *, penalty: float) -> pa.Table:
    """Return a line through `train`, its slope held back by `penalty`, and its mean squared error on `test`."""
    x, y = train["x"].to_pylist(), train["y"].to_pylist()
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    pairs = [(a - mean_x, b - mean_y) for a, b in zip(x, y, strict=True)]
    slope = sum(a * b for a, b in pairs) / (sum(a * a for a, _ in pairs) + penalty)
    level = mean_y - slope * mean_x
    rows = list(zip(test["x"].to_pylist(), test["y"].to_pylist(), strict=True))
    error = sum((level + slope * a - b) ** 2 for a, b in rows) / len(rows)
    return pa.table({"penalty": [float(penalty)], "slope": [slope], "level": [level], "error": [error]})


def best(fits: pa.Table) -> pa.Table:
    """Return the fit with the smallest error."""
    return fits.sort_by([("error", "ascending"), ("penalty", "ascending")]).slice(0, 1)


def model(best: pa.Table) -> pa.Table:
    """Return the model as it is handed over."""
    return best.select(["slope", "level"])
