"""Faults put into real bars: each is found where it is, and nothing else is; the bars as they are raise no alarm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.faults.figures import Faults

import ptolemy as pt
from ptolemy.catalogue import Interface, interface
from ptolemy.screening import gaps, screen

INJECTED = 1000
KINDS = ("gap", "duplicate", "rule", "spike", "stale", "unit")
PRICES = ("open", "high", "low", "close")
MAPPING = Path(__file__).parents[3] / "examples" / "data" / "bokeh-stocks.toml"


@pytest.fixture
def bars(tmp_path: Path) -> list[dict[str, Any]]:
    """Return the real bars, ascending by code and day."""
    bokeh = pytest.importorskip("bokeh_sampledata")
    stocks = Path(bokeh.__file__).parent / "_data" / "stocks.csv.gz"
    url = f"arrow:{tmp_path}/store"
    pt.collect(f"csv://{stocks}?mapping={MAPPING}", "daily", url)
    with pt.open_series(url) as series:
        return series.read("daily").to_pylist()


def table(known: Interface, rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=known.schema())


def found(known: Interface, rows: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """Return kind, code and day of everything that is found."""
    given = table(known, rows)
    faults = screen(known, given)
    wrong = {fault.row for fault in faults}
    told = {(fault.kind, rows[fault.row]["ts_code"], rows[fault.row]["trade_date"]) for fault in faults}
    # A row that is set aside is there: only what no row was given of is a gap.
    seen = {(rows[row]["ts_code"], rows[row]["trade_date"]) for row in wrong}
    for code, first, last, count in gaps(known, given):
        assert first == last
        assert count == 1
        assert (code, first) not in seen
        told.add(("gap", code, first))
    return told


def inject(kind: str, rows: list[dict[str, Any]], at: int, rng: np.random.Generator) -> dict[str, Any] | None:
    """Return the row at `at` with a fault; None if the fault is that it is not there."""
    row = dict(rows[at])
    if kind == "gap":
        return None
    if kind == "stale":
        row |= {name: rows[at - 1][name] for name in (*PRICES, "vol")}
    elif kind == "rule":
        breaks: list[Callable[[], dict[str, Any]]] = [
            lambda: {"low": row["high"] * 1.01, "high": row["low"]},
            lambda: {"close": row["high"] * 1.05},
            lambda: {"open": row["low"] * 0.95},
            lambda: {"low": -row["low"]},
            lambda: {"vol": -row["vol"]},
        ]
        row |= breaks[int(rng.integers(len(breaks)))]()
    elif kind == "spike":
        factor = float(np.exp(rng.uniform(0.3, 2.0) * rng.choice([-1, 1])))
        row |= {name: row[name] * factor for name in PRICES}
    elif kind == "unit":
        factor = float(rng.choice([100.0, 0.01]))
        names: tuple[str, ...] = PRICES if rng.random() < 0.3 else ("vol",)
        row |= {name: row[name] * factor for name in names}
    return row


def test_injected_faults_are_found_and_nothing_else_is(bars: list[dict[str, Any]], faults: Faults):
    known = interface("daily")
    rng = np.random.default_rng(20261123)
    count = faults.count(INJECTED)
    # Not the first or last rows of a security, and some rows apart: each fault must stand for itself.
    places = [i for i in range(6, len(bars) - 6, 5) if bars[i - 3]["ts_code"] == bars[i + 3]["ts_code"]]
    chosen = sorted(rng.choice(places, count, replace=False).tolist())
    expected: set[tuple[str, str, str]] = set()
    given: list[dict[str, Any]] = []
    for i, row in enumerate(bars):
        if i not in chosen:
            given.append(row)
            continue
        kind = KINDS[chosen.index(i) % len(KINDS)]
        expected.add((kind, row["ts_code"], row["trade_date"]))
        made = inject(kind, bars, i, rng)
        given += [] if made is None else [row, made] if kind == "duplicate" else [made]

    told = found(known, given)

    where = {fault[1:] for fault in expected}
    figure = faults.figure("ptolemy-quality-recall", "ptolemy", "faults put into real bars are found")
    for fault in sorted(expected):
        figure.survives(None if fault[1:] in {t[1:] for t in told} else f"{fault} was not found")
    false = faults.figure("ptolemy-quality-precision", "ptolemy", "what is found in them was put there")
    for fault in sorted(told):
        false.survives(None if fault[1:] in where else f"{fault} is a false alarm")
    recall = len(where & {t[1:] for t in told}) / len(expected)
    precision = len(where & {t[1:] for t in told}) / len(told)
    print(
        f"recall {recall:.4f}, precision {precision:.4f}, of the right kind {len(expected & told) / len(expected):.4f}"
    )
    print(sorted(t for t in told if t[1:] not in where)[:10], sorted(f for f in expected if f not in told)[:10])
    assert recall >= 0.99
    assert precision >= 0.99
    assert len(expected & told) / len(expected) >= 0.98


def test_the_real_bars_raise_no_alarm(bars: list[dict[str, Any]]):
    assert found(interface("daily"), bars) == set()
