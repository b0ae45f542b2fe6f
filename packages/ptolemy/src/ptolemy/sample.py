"""Made-up rows, labelled as such: ticks inside real daily bars, and rows of any interface from its catalogue file.

Both are made from a seed, so that the same call gives the same rows. Codes of rows that stand for nothing
real begin with ``SYN``, and the tables bear ``synthetic`` in their metadata.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ptolemy.calendars import EXCHANGES, calendar_of
from ptolemy.catalogue import Column, Interface, Rule, interface
from ptolemy.errors import BadParam
from ptolemy.resample import HOURS
from ptolemy.screening import lot_and_money

Floats = npt.NDArray[np.float64]
LABEL = {b"synthetic": b"made by ptolemy sample; stands for nothing real"}


def ticks(bars: pa.Table, *, a_minute: int = 4, seed: int = 0) -> pa.Table:
    """Return trades that could have made daily bars: `resample` makes the same bars of them again.

    Each day begins at its open, ends at its close, touches its high and its low, and sums to its volume;
    between them prices are a Brownian bridge on the grid of 0.01.

    Parameters
    ----------
    bars
        Rows of ``daily``; ``vol`` in lots of 100 shares.
    a_minute
        Mean number of trades in a minute; every minute has one at least.
    seed
        The same seed gives the same trades of a security and a day, whatever other rows are asked for.

    Raises
    ------
    BadParam
        If a bar has no price or no volume.
    """
    if not 1 <= a_minute <= 10_000:
        raise BadParam(f"a_minute must be from 1 to 10000, not {a_minute}")
    schema = interface("ticks").schema()
    parts = [_day(row, a_minute, seed) for row in bars.to_pylist()]
    return pa.concat_tables(parts or [schema.empty_table()]).replace_schema_metadata(LABEL)


def rows(known: Interface, codes: int = 3, days: Sequence[str] = (), seed: int = 0) -> pa.Table:
    """Return rows that obey the catalogue's file of an interface, for what no free data exists of.

    Parameters
    ----------
    codes
        Number of securities.
    days
        Days of the rows, ``YYYYMMDD``; for an interface without days one row is made for each security.
    """
    rng = np.random.default_rng([seed, *known.name.encode()])
    times = [_time(known, day) for day in days] if known.time is not None else [""]
    firsts = [f"SYN{i:03}.SH" for i in range(1, codes + 1)]
    count = len(firsts) * len(times)
    texts: dict[str, list[str]] = {c.name: _words(c, count, rng) for c in known.columns if not c.is_number}
    texts[known.key[0]] = [first for first in firsts for _ in times]
    if known.time is not None:
        texts[known.key[-1]] = times * len(firsts)
    for parameter in known.filters:
        if parameter.default and parameter.column not in known.key[:1]:
            texts[parameter.column] = [parameter.default] * count
    numbers = _numbers(known, count, rng)
    columns: list[Any] = []
    made: Any
    for column in known.columns:
        if column.type == "int":
            made = np.floor(numbers[column.name]).astype(np.int64)
            columns.append(pa.array(made))
        elif column.type == "float":
            made = np.round(numbers[column.name], 2)
            columns.append(pa.array(made))
        else:
            made = texts[column.name]
            columns.append(pa.array(made, pa.string()))
    return pa.table(columns, schema=known.schema()).replace_schema_metadata(LABEL)


def _day(bar: dict[str, Any], a_minute: int, seed: int) -> pa.Table:
    code, day = bar["ts_code"], bar["trade_date"]
    prices = {n: bar[n] for n in ("open", "high", "low", "close")}
    if any(price is None for price in prices.values()) or bar.get("vol") is None:
        raise BadParam(f"the bar of {code} on {day} has no price or no volume")
    rng = np.random.default_rng([seed, int(day), *code.encode()])
    sessions = HOURS[calendar_of(code, interface("ticks"))]
    moments = _moments(sessions, a_minute, rng)
    path = _bridge(len(moments), prices, rng)
    shares = round(bar["vol"] * 100)
    volumes = rng.multinomial(shares, np.full(len(moments), 1 / len(moments)))
    stem = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    times = [
        f"{stem} {s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}.{u:06}"
        for s, u in zip((moments // 10**6).tolist(), (moments % 10**6).tolist(), strict=True)
    ]
    columns: list[Any] = [[code] * len(times), times, path, volumes, np.round(path * volumes, 2)]
    return pa.table([pa.array(c) for c in columns], schema=interface("ticks").schema())


def _moments(sessions: Sequence[tuple[int, int]], a_minute: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return microseconds since midnight, ascending and different: one at least within each minute."""
    edges = [np.arange(begin, end) for begin, end in sessions]
    each = np.repeat(np.concatenate(edges), a_minute) * 60 * 10**6
    inside = each + rng.integers(1, 60 * 10**6, len(each))
    ends = [sessions[0][0] * 60 * 10**6, sessions[-1][1] * 60 * 10**6]
    return np.unique(np.append(inside, ends))


def _bridge(count: int, prices: dict[str, float], rng: np.random.Generator) -> Floats:
    """Return a path from the open to the close that lies between low and high and touches both."""
    low, high = prices["low"], prices["high"]
    steps = np.cumsum(rng.standard_normal(count))
    along = np.linspace(0, 1, count)
    noise = steps - steps[0] - along * (steps[-1] - steps[0])
    width = np.abs(noise).max() or 1.0
    path: Floats = prices["open"] + along * (prices["close"] - prices["open"]) + noise / width * (high - low) / 2
    path = np.clip(np.round(path, 2), low, high)
    path[0], path[-1] = prices["open"], prices["close"]
    # What touches the ends of the range lies where the path was nearest to them, not at open or close.
    path[1 + int(np.argmax(path[1:-1]))] = high
    lowest = np.argsort(path[1:-1], kind="stable")
    path[1 + int(lowest[0] if path[1 + lowest[0]] != high or high == low else lowest[1])] = low
    return path


def _time(known: Interface, day: str) -> str:
    assert known.time is not None
    return day if known.time.type == "date" else f"{day[:4]}-{day[4:6]}-{day[6:]} 15:00:00"


def _words(column: Column, count: int, rng: np.random.Generator) -> list[str]:
    if column.type == "date":
        return [f"{2000 + int(y)}0104" for y in rng.integers(0, 20, count)]
    if column.name == "exchange":
        return [next(iter(EXCHANGES))] * count
    return [f"synthetic {column.name} {i}" for i in rng.integers(0, 100, count)]


def _numbers(known: Interface, count: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Return numbers that break no rule: each is raised or lowered to its neighbour where a rule says so."""
    values = {c.name: rng.uniform(1, 100, count) for c in known.columns if c.is_number}
    for _ in range(len(known.rules) + 1):
        if not sum(_mended(rule, values) for rule in known.rules):
            _pay(known, values)
            return values
    raise BadParam(f"the rules of {known.name} contradict one another")


def _pay(known: Interface, values: dict[str, Floats]) -> None:
    """Make the money what the shares cost at a price between low and high, in the interface's units."""
    price = values.get("price", values.get("close"))
    vol = known.column("vol") if "vol" in known.names else None
    if price is None or vol is None or "shares" not in vol.unit or "amount" not in values:
        return  # what a lot of a future is worth stands nowhere
    if "low" in values:
        price = (values["low"] + values["high"]) / 2
    lot, money = lot_and_money(known)
    shares = np.floor(values["vol"]) if vol.type == "int" else np.round(values["vol"], 2)
    values["amount"] = shares * lot * price / money
    if "vwap" in values:
        values["vwap"] = price


def _mended(rule: Rule, values: dict[str, Floats]) -> bool:
    left = values[rule.left]
    right = values[rule.right] if isinstance(rule.right, str) else np.full(len(left), rule.right)
    compare = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}[rule.operator]
    wrong = ~compare(left, right)
    if not wrong.any():
        return False
    if isinstance(rule.right, str):  # two columns that stand the wrong way round change places
        values[rule.left], values[rule.right] = np.where(wrong, right, left), np.where(wrong, left, right)
    else:
        off = 0.0 if "=" in rule.operator else 1.0
        values[rule.left] = np.where(wrong, right + (off if ">" in rule.operator else -off), left)
    return True
