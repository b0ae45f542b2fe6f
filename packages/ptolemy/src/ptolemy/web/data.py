"""What the page shows of the data sets: coverage by security and month, and candles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ptolemy.series import open_series

_ROWS = 3_000_000  # rows above which only the last two years are counted
_CODES = 100
_PERIODS = 180
PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True)
class Coverage:
    """How much of each period each security has.

    Parameters
    ----------
    periods
        ``YYYYMM``, or ``YYYY`` where there are many.
    codes
        Securities of this page, sorted.
    shares
        For each security and period the rows, in percent of those of the security that has most there.
    counts
        The rows themselves.
    total
        How many securities there are.
    """

    periods: tuple[str, ...]
    codes: tuple[str, ...]
    shares: tuple[tuple[int, ...], ...]
    counts: tuple[tuple[int, ...], ...]
    total: int
    whole: bool


@dataclass(frozen=True)
class Candle:
    """One bar; prices as they were traded."""

    time: str
    open: float
    high: float
    low: float
    close: float
    vol: float | None = None


def datasets(url: str | None) -> list[dict[str, Any]]:
    """Return what the store keeps: name, title, rows, first, last, when it was written."""
    from ptolemy.catalogue import interfaces

    with open_series(url) as series:
        found = []
        for name in series.datasets():
            newest = series.versions(name)[-1]
            known = interfaces().get(name)
            found.append(
                {"name": name, "title": known.title if known else "", "rows": newest.rows, "version": newest.id,
                 "first": newest.first, "last": newest.last, "time": newest.time}
            )  # fmt: skip
        return found


def coverage(url: str | None, name: str, page: int = 0, codes: Sequence[str] = ()) -> Coverage:
    """Return the coverage of one page of securities; raise `NothingCollected` if there is no such data set."""
    with open_series(url) as series:
        version = series.versions(name)[-1].id
    return _coverage(url, name, version, page, tuple(codes))


@lru_cache(32)  # a version never changes
def _coverage(url: str | None, name: str, version: int, page: int, codes: tuple[str, ...]) -> Coverage:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute
    with open_series(url) as series:
        stats = series.stats(name)
        code, time = stats.key[0], stats.key[-1]
        whole = stats.rows <= _ROWS
        start = None if whole or not stats.last[:4].isdigit() else f"{int(stats.last[:4]) - 1}0101"
        table = series.read(name, columns=[code, time], start=start, as_of=version)
    length = 6 if len(pc.unique(pc.utf8_slice_codeunits(table[time], 0, 6))) <= _PERIODS else 4
    period = pc.utf8_slice_codeunits(table[time], 0, length).combine_chunks().dictionary_encode()
    security = table[code].combine_chunks().dictionary_encode()
    n = len(security.dictionary), len(period.dictionary)
    flat = security.indices.to_numpy().astype(np.int64) * n[1] + period.indices.to_numpy()
    counts = np.bincount(flat, minlength=n[0] * n[1]).reshape(n)
    most = np.maximum(counts.max(axis=0, initial=0), 1)
    all_codes = np.array(security.dictionary.to_pylist(), object)
    order = np.argsort(all_codes, kind="stable")
    if codes:
        order = np.array([i for i in order if all_codes[i] in codes], int)
    shown = order[page * _CODES : (page + 1) * _CODES]
    columns = np.argsort(np.array(period.dictionary.to_pylist(), object), kind="stable")
    part = counts[shown][:, columns] if n[0] and n[1] else np.zeros((0, 0), int)
    shares = np.floor(part * 100 / most[columns]).astype(int) if part.size else part
    return Coverage(
        tuple(str(p) for p in pa.array(period.dictionary).take(pa.array(columns)).to_pylist()) if n[1] else (),
        tuple(str(all_codes[i]) for i in shown),
        tuple(tuple(int(v) for v in row) for row in shares),
        tuple(tuple(int(v) for v in row) for row in part),
        len(order),
        whole,
    )


def candles(url: str | None, name: str, code: str, count: int) -> list[Candle]:
    """Return the last `count` bars of a security, oldest first; empty if there are none or it has no prices."""
    with open_series(url) as series:
        time = series.stats(name).key[-1]
        table = series.read(name, codes=[code], columns=[time, *PRICES, "vol"])
    if not set(PRICES) <= set(table.column_names):
        return []
    rows = table.slice(max(0, table.num_rows - count)).to_pylist()
    return [
        Candle(str(r[time]), r["open"], r["high"], r["low"], r["close"], r.get("vol"))
        for r in rows
        if all(r[p] is not None for p in PRICES)
    ]


def drawing(bars: Sequence[Candle], width: int = 960, height: int = 360) -> dict[str, Any]:
    """Return where each candle lies on a drawing of `width` x `height`, and its price lines."""
    if not bars:
        return {"candles": [], "lines": [], "width": width, "height": height}
    low, high = min(b.low for b in bars), max(b.high for b in bars)
    span = (high - low) or max(abs(high), 1.0)
    left, top, bottom = 56, 8, 22
    step = (width - left - 8) / len(bars)

    def y(price: float) -> float:
        return round(top + (high - price) / span * (height - top - bottom), 2)

    drawn = []
    for number, bar in enumerate(bars):
        x = left + (number + 0.5) * step
        upper, lower = y(max(bar.open, bar.close)), y(min(bar.open, bar.close))
        drawn.append(
            {"x": round(x, 2), "left": round(x - step * 0.35, 2), "width": max(0.6, round(step * 0.7, 2)),
             "high": y(bar.high), "low": y(bar.low), "upper": upper, "body": max(0.8, round(lower - upper, 2)),
             "kind": "rise" if bar.close >= bar.open else "fall", "bar": bar}
        )  # fmt: skip
    lines = [{"y": y(low + span * i / 4), "price": low + span * i / 4} for i in range(5)]
    places = {0: "start", len(bars) // 2: "middle", len(bars) - 1: "end"}
    ends = [{"x": drawn[i]["x"], "text": bars[i].time, "anchor": anchor} for i, anchor in places.items()]
    return {"candles": drawn, "lines": lines, "ends": ends, "width": width, "height": height, "left": left}
