"""Ticks to minutes to days, by the rules of the exchange.

A bar of minutes bears the time of its right edge, which it includes. The first bar of a day is that of
the opening auction, 09:30 in Shanghai, and holds all that is not later: 241 bars of one minute. No bar
bears the time at which a later session begins: what is traded at 13:00:00 is in the bar of 13:01. What
is reported after a session's end is in its last bar. In a bar of more than a minute the opening auction
is part of the first, so that a day in Shanghai has 48 bars of five minutes and 4 of sixty.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from ptolemy.calendars import calendar_of
from ptolemy.catalogue import interface
from ptolemy.errors import BadParam

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.bytes_]

FREQS = {"1min": 1, "5min": 5, "15min": 15, "30min": 30, "60min": 60}
#: Sessions of a day by calendar, in minutes since midnight.
HOURS: dict[str, tuple[tuple[int, int], ...]] = {
    "XSHG": ((570, 690), (780, 900)), "XHKG": ((570, 720), (780, 960)), "XNYS": ((570, 960),),
}  # fmt: skip


def bars_a_day(calendar: str = "XSHG", freq: str = "1min") -> int:
    """Return how many bars a whole day has."""
    minutes = sum(end - begin for begin, end in HOURS[calendar])
    return minutes + 1 if freq == "1min" else -(-minutes // _minutes(freq))


def minutes_of_ticks(ticks: pa.Table) -> pa.Table:
    """Return the bars of one minute that trades make, in the columns of ``stk_mins``, ascending by code and time.

    Parameters
    ----------
    ticks
        Rows of ``ticks`` in any order; of two trades at one moment the later row is the later trade.
    """
    if not ticks.num_rows:
        return interface("stk_mins").schema().empty_table()
    ticks = _sorted(ticks, "trade_time")
    price = _floats(ticks, "price")
    return _grouped(ticks, {"open": price, "high": price, "low": price, "close": price}, "1min")


def bars_of_minutes(minutes: pa.Table, freq: str) -> pa.Table:
    """Return bars of `freq` that bars of one minute make, in the columns of ``stk_mins``, ascending."""
    _minutes(freq)
    if not minutes.num_rows:
        return interface("stk_mins").schema().empty_table()
    minutes = _sorted(minutes, "trade_time")
    return _grouped(minutes, {n: _floats(minutes, n) for n in ("open", "high", "low", "close")}, freq)


def days_of_minutes(minutes: pa.Table) -> pa.Table:
    """Return the daily bars that bars of minutes make, in the columns of ``daily``, ascending.

    ``vol`` is in lots and ``amount`` in 1000 CNY. What minutes do not know (``pre_close`` and what follows
    from it) is missing.
    """
    schema = interface("daily").schema()
    if not minutes.num_rows:
        return schema.empty_table()
    minutes = _sorted(minutes, "trade_time")
    codes, days, _ = _clock(minutes)
    starts = _starts(codes, days)
    made = _reduced(minutes, {n: _floats(minutes, n) for n in ("open", "high", "low", "close")}, starts)
    made["vol"], made["amount"] = made["vol"] / 100, made["amount"] / 1000
    texts = [day.decode().replace("-", "") for day in days[starts].tolist()]
    columns: dict[str, Any] = {n: pa.array(v, from_pandas=True) for n, v in made.items()}
    columns |= {"ts_code": pa.array(codes[starts].astype(str)), "trade_date": pa.array(texts)}
    rows = len(starts)
    return pa.table([columns.get(f.name, pa.nulls(rows, f.type)) for f in schema], schema=schema)


def _grouped(table: pa.Table, prices: dict[str, Floats], freq: str) -> pa.Table:
    codes, days, labels = _clock(table)
    numbers = np.empty(len(labels), np.int64)
    calendars = _calendars(codes)
    for calendar in set(calendars.tolist()):
        here = calendars == calendar
        numbers[here] = _numbers(labels[here], calendar)
    step = _minutes(freq)
    if step > 1:
        numbers = np.maximum(-(-numbers // step), 1) * step
    starts = _starts(codes, days, numbers)
    made = _reduced(table, prices, starts)
    clocks = np.empty(len(starts), np.int64)
    for calendar in set(calendars.tolist()):
        here = calendars[starts] == calendar
        clocks[here] = _labels(numbers[starts][here], calendar)
    times = [f"{d.decode()} {m // 60:02}:{m % 60:02}:00" for d, m in zip(days[starts], clocks.tolist(), strict=True)]
    volumes = made["vol"]
    columns: dict[str, Any] = {
        "ts_code": pa.array(codes[starts].astype(str)), "trade_time": pa.array(times),
        "vol": pa.array(volumes, from_pandas=True).cast(pa.int64()), "freq": pa.array([freq] * len(starts)),
        **{n: pa.array(made[n], from_pandas=True) for n in ("open", "close", "high", "low", "amount")},
    }  # fmt: skip
    schema = interface("stk_mins").schema()
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _reduced(table: pa.Table, prices: dict[str, Floats], starts: Ints) -> dict[str, Floats]:
    ends = np.append(starts[1:], table.num_rows) - 1
    return {
        "open": prices["open"][starts], "close": prices["close"][ends],
        "high": np.maximum.reduceat(prices["high"], starts), "low": np.minimum.reduceat(prices["low"], starts),
        "vol": np.add.reduceat(_floats(table, "vol"), starts),
        "amount": np.add.reduceat(_floats(table, "amount"), starts),
    }  # fmt: skip


def _numbers(labels: Ints, calendar: str) -> Ints:
    """Return the number of the bar of each minute: 0 is the opening auction's."""
    numbers = np.zeros(len(labels), np.int64)
    before = 0
    for place, (begin, end) in enumerate(HOURS[calendar]):
        # Trades at the very begin of a later session belong to its first bar.
        first = begin if place else begin + 1
        inside = labels >= first
        numbers[inside] = before + np.clip(labels[inside] - begin, 1, end - begin)
        before += end - begin
    return numbers


def _labels(numbers: Ints, calendar: str) -> Ints:
    """Return the clock, in minutes since midnight, of the right edge of each bar."""
    clocks = np.full(len(numbers), HOURS[calendar][0][0], np.int64)
    before = 0
    for begin, end in HOURS[calendar]:
        inside = numbers > before
        clocks[inside] = begin + np.minimum(numbers[inside] - before, end - begin)
        before += end - begin
    return clocks


def _clock(table: pa.Table) -> tuple[Bytes, Bytes, Ints]:
    """Return each row's code, its day and the minute that it ends in, a moment at the edge in the one before."""
    codes: Bytes = np.array(table["ts_code"].to_pylist(), np.bytes_)
    texts: Bytes = np.array(table["trade_time"].to_pylist(), "S26")
    digits = texts.view(np.uint8).reshape(len(texts), 26).astype(np.int64) - 48
    seconds = digits[:, 17] * 10 + digits[:, 18]
    past = (seconds > 0) | (digits[:, 20:] > 0).any(axis=1)
    minutes = (digits[:, 11] * 10 + digits[:, 12]) * 60 + digits[:, 14] * 10 + digits[:, 15] + past
    return codes, texts.astype("S10"), minutes


def _calendars(codes: Bytes) -> npt.NDArray[np.str_]:
    unique, at = np.unique(codes, return_inverse=True)
    known = interface("stk_mins")
    return np.array([calendar_of(code.decode(), known) for code in unique])[at]


def _starts(*keys: Any) -> Ints:
    """Return where a new group begins in rows that are sorted by `keys`."""
    new = np.zeros(len(keys[0]), np.bool_)
    new[:1] = True
    for key in keys:
        new[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(new)


def _sorted(table: pa.Table, time: str) -> pa.Table:
    return table.sort_by([("ts_code", "ascending"), (time, "ascending")]).combine_chunks()


def _floats(table: pa.Table, name: str) -> Floats:
    values: Floats = pc.cast(table[name], pa.float64()).to_numpy()
    return values


def _minutes(freq: str) -> int:
    if freq not in FREQS:
        raise BadParam(f"freq cannot be {freq!r}", hint=", ".join(FREQS))
    return FREQS[freq]
