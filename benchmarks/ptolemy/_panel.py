"""The rows that the store's benchmarks write, and the questions that they ask; ours and the peers use the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

NUMBERS = ("open", "high", "low", "close", "pre_close", "change", "pct_chg", "vol", "amount")
SEED = 20260101


@dataclass(frozen=True)
class Size:
    """Securities and days of the panel."""

    securities: int
    days: int


FULL = Size(5_000, 2_000)
SMALL = Size(1_000, 600)


def codes(size: Size) -> list[str]:
    return [f"{i:06d}.SZ" for i in range(size.securities)]


def days(size: Size) -> list[str]:
    """Return the weekdays from 2016 on, as text."""
    first = date(2016, 1, 4)
    found = (first + timedelta(n) for n in range(2 * size.days))
    return [day.strftime("%Y%m%d") for day in found if day.weekday() < 5][: size.days]


def panel(size: Size) -> pa.Table:
    """Return every bar, by security and then by day: two text columns and nine numbers."""
    return bars(codes(size), days(size))


def bars(securities: list[str], dates: list[str]) -> pa.Table:
    draw = np.random.default_rng(SEED)
    count = len(securities) * len(dates)
    code = pa.array(np.repeat(np.arange(len(securities)), len(dates)), pa.int64())
    day = pa.array(np.tile(np.arange(len(dates)), len(securities)), pa.int64())
    columns = {"ts_code": pa.array(securities).take(code), "trade_date": pa.array(dates).take(day)}
    return pa.table(columns | {name: pa.array(np.round(draw.random(count) * 100, 2)) for name in NUMBERS})


@dataclass(frozen=True)
class Question:
    """Rows to read: of these securities, from one day to another, both included; None is all."""

    codes: tuple[str, ...] | None
    start: str | None
    end: str | None
    rows: int


def questions(kind: str, size: Size, count: int, seed: int) -> list[Question]:
    """Return questions of one kind: ``security``, ``day`` or ``block`` (50 securities x 250 days)."""
    draw = np.random.default_rng(seed)
    names, dates = codes(size), days(size)
    asked = []
    for _ in range(count):
        if kind == "security":
            asked.append(Question((names[draw.integers(len(names))],), None, None, len(dates)))
        elif kind == "day":
            day = dates[draw.integers(len(dates))]
            asked.append(Question(None, day, day, len(names)))
        else:
            first = int(draw.integers(len(dates) - 249))
            chosen = tuple(sorted(names[i] for i in draw.choice(len(names), 50, replace=False)))
            asked.append(Question(chosen, dates[first], dates[first + 249], 12_500))
    return asked
