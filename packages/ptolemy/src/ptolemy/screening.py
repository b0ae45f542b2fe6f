"""Look through rows for what is wrong with them: by themselves, beside their neighbours, and against the calendar.

`screen` judges new rows before they are kept; `gaps` finds what is missing among those that are. What is
looked for beside the rules of an interface is said by ``quality`` in its file:

gaps
    A session of the calendar between a security's first and last row has no row, and the security was not
    suspended; and a row of a day that is no session.
stale
    Prices and volume of a bar are all those of the bar before.
spikes
    The close leaves the bars on both sides by 20 % at least, and comes back the day after; or the high or the
    low lies half again beyond the other prices. It takes the day after to tell a spike from a fall.
units
    Volume or money is fifteen times, or a fifteenth, of what is usual around it and stands alone, or is so for
    all new rows of a security; or prices are fifty times, or a fiftieth, of what is usual around them or of the
    rows before all new ones; or money / volume lies far outside the bar's range.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from ptolemy.calendars import calendar_of, sessions
from ptolemy.catalogue import Interface
from ptolemy.quality import COMPARE, wrong_days, wrong_moments
from ptolemy.series.merge import Ints, ranked
from ptolemy.sources.port import Fault

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

AROUND = 10  #: rows on each side that say what is usual
CONTEXT = 45  #: calendar days before new rows that are read for that
JUMP = 0.2  #: least move, as a logarithm, that can be a spike
BEYOND = 0.4  #: least distance of a high or low from the other prices, as a logarithm
MANY = 15.0  #: times the usual volume, up or down, from which on a unit is wrong
ALONE = 6.0  #: times the rows right before and behind: a burst of trade takes days to rise and fall
_BESIDE = ("units", "spikes", "stale")
HIGHER = 50.0  #: times the usual price, up or down: no split goes that far
_PRICES = ("open", "high", "low", "close")


def screen(interface: Interface, table: pa.Table, before: pa.Table | None = None) -> list[Fault]:
    """Return what is wrong with rows of `table`, at most one fault a row, in the order of the rows.

    Parameters
    ----------
    before
        Rows that are kept already, of the same securities: what is usual is told from them too.
    """
    found: dict[int, Fault] = {}

    def add(rows: Any, kind: str, why: Any) -> None:
        for row in np.flatnonzero(rows).tolist():
            found.setdefault(row, Fault(row, kind, why(row) if callable(why) else why))

    for column in interface.columns:
        values: Any = table[column.name]
        if column.required:
            add(_mask(pc.is_null(values)), "missing", f"there is no {column.name}")
        if column.type in ("date", "time"):
            wrong = wrong_days(values) if column.type == "date" else wrong_moments(values)
            add(_mask(pc.is_in(values, pa.array(wrong, pa.string()))), "date",
                lambda r, v=values, c=column: f"{c.name} {v[r].as_py()!r} is no {c.type}")  # fmt: skip
        if column.type == "float":
            add(_mask(pc.is_inf(values)), "value", f"{column.name} is not a finite number")
    for rule in interface.rules:
        right_side = table[rule.right] if isinstance(rule.right, str) else rule.right
        holds = COMPARE[rule.operator](table[rule.left], right_side).fill_null(True)
        add(~_mask(holds), "rule", f"breaks the rule {rule}")
    add(_twice(interface, table), "duplicate", "another row of the source has the same key")
    whole = np.ones(table.num_rows, np.bool_)
    whole[list(found)] = False
    days: Any = table[interface.key[-1]]
    if "gaps" in interface.quality and interface.time is not None and interface.time.type == "date":
        add(_off_session(interface, table, whole), "session",
            lambda r: f"{days[r].as_py()} is no session of its exchange")  # fmt: skip
        whole[list(found)] = False
    good = np.flatnonzero(whole)
    names = [n for n in table.column_names if n in (*interface.key, *_PRICES, "vol", "amount")]
    news = table.select(names).take(pa.array(good, pa.int64()))
    for row, fault in _beside(interface, news, before).items():
        place = int(good[row])
        found.setdefault(place, Fault(place, fault.kind, fault.why))
    return [found[row] for row in sorted(found)]


def wrong_units(interface: Interface, table: pa.Table, before: pa.Table | None = None) -> list[Fault]:
    """Return the rows of `table`, which breaks no rule, that are in another unit than its interface's."""
    if "units" not in interface.quality:
        return []
    found = _beside(interface, table, before, {"units"})
    return [found[row] for row in sorted(found)]


def lot_and_money(interface: Interface) -> tuple[float, float]:
    """Return how many shares a unit of ``vol`` has, and how many units of currency one of ``amount``."""
    units = {c.name: c.unit for c in interface.columns}
    lot = 100.0 if "100 shares" in units.get("vol", "") else 1.0
    return lot, 1000.0 if units.get("amount", "").startswith("1000") else 1.0


def gaps(
    interface: Interface, table: pa.Table, suspended: frozenset[tuple[str, str]] = frozenset()
) -> list[tuple[str, str, str, int]]:
    """Return what is missing between each security's first and last row: code, first and last day, and sessions.

    Parameters
    ----------
    table
        The key's columns of what is kept.
    suspended
        Codes and days on which a security was not traded.
    """
    if not table.num_rows or "gaps" not in interface.quality:
        return []
    found = []
    code_at, codes = ranked(table[interface.key[0]])
    days = np.array(table[interface.key[-1]].to_pylist())
    order = np.lexsort((days, code_at))
    ends = np.flatnonzero(np.diff(code_at[order], append=-1)) + 1
    for place, (begin, end) in enumerate(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)):
        code, here = codes[place].as_py(), days[order[begin:end]]
        open_days = np.array(sessions(calendar_of(code, interface), str(here[0]), str(here[-1])))
        missing = open_days[~np.isin(open_days, here)]
        absent = [day for day in missing.tolist() if (code, day) not in suspended]
        at = np.searchsorted(open_days, absent)
        for run in np.split(np.arange(len(absent)), np.flatnonzero(np.diff(at) != 1) + 1):
            if len(run):
                found.append((code, absent[run[0]], absent[run[-1]], len(run)))
    return found


def context_start(day: str) -> str:
    """Return the day from which on kept rows say what is usual on `day`."""
    return (datetime.strptime(day[:10].replace("-", ""), "%Y%m%d") - timedelta(days=CONTEXT)).strftime("%Y%m%d")


def _twice(interface: Interface, table: pa.Table) -> Bools:
    """Tell which rows have the key of an earlier row."""
    keys = np.zeros(table.num_rows, np.int64)
    for name in interface.key:
        texts: Any = table[name]
        ranks, values = ranked(texts.fill_null(""))
        keys = keys * max(len(values), 1) + ranks
    _, first = np.unique(keys, return_index=True)
    twice = np.ones(table.num_rows, np.bool_)
    twice[first] = False
    return twice


def _off_session(interface: Interface, table: pa.Table, whole: Bools) -> Bools:
    off = np.zeros(table.num_rows, np.bool_)
    good = np.flatnonzero(whole)
    if not len(good):
        return off
    chosen = table.take(pa.array(good, pa.int64()))
    codes: Any = np.array(chosen[interface.key[0]].to_pylist())
    days: Any = np.array(chosen[interface.key[-1]].to_pylist())
    unique, at = np.unique(codes, return_inverse=True)
    calendars = np.array([calendar_of(str(code), interface) for code in unique])[at]
    for calendar in set(calendars.tolist()):
        here = calendars == calendar
        off[good[here]] = ~np.isin(days[here], sessions(calendar, min(days[here]), max(days[here])))
    return off


def _beside(
    interface: Interface, news: pa.Table, before: pa.Table | None, kinds: Set[str] = frozenset(_BESIDE)
) -> dict[int, Fault]:
    """Return faults that show beside the rows before and after, by the row of `news`."""
    wanted = set(interface.quality) & kinds
    if not wanted or not news.num_rows:
        return {}
    own = news.append_column("row", pa.array(np.arange(news.num_rows)))
    if before is not None and before.num_rows:
        old = before.select([n for n in before.column_names if n in news.column_names])
        own = pa.concat_tables([old, own], promote_options="default")
    table = own.sort_by([(n, "ascending") for n in interface.key]).combine_chunks()
    places: Any = table["row"]
    rows = places.fill_null(-1).to_numpy()
    bars = _Bars(table, interface, rows >= 0)
    found: dict[int, Fault] = {}
    for name, look in (("units", bars.units), ("spikes", bars.spikes), ("stale", bars.stale)):
        if name in wanted:
            for place, kind, why in look():
                if rows[place] >= 0:
                    found.setdefault(int(rows[place]), Fault(int(rows[place]), kind, why))
    return found


class _Bars:
    """Sorted bars, and what lies around each of the same security."""

    def __init__(self, table: pa.Table, interface: Interface, new: Bools) -> None:
        self.new = new
        self.group, _ = ranked(table[interface.key[0]])
        self.count = table.num_rows
        self.values = {
            n: table[n].cast(pa.float64()).to_numpy() if n in table.column_names else np.full(self.count, np.nan)
            for n in (*_PRICES, "vol", "amount")
        }
        self.lot, self.money = lot_and_money(interface)

    def spikes(self) -> list[tuple[int, str, str]]:
        with np.errstate(all="ignore"):
            close = np.log(self.values["close"])
            left = self._shifted(close, 1)
            right = self._shifted(close, -1)
            to, away = close - left, right - close
            back = (to * away < 0) & (np.abs(to + away) < 0.35 * np.minimum(np.abs(to), np.abs(away)))
            size = np.minimum(np.abs(to), np.abs(away))
            at = np.flatnonzero(back & (size > JUMP))
            jumps = at[size[at] > 5 * self._usual(np.abs(to), at)]
            body = [self.values["open"], self.values["close"]]
            high = np.log(self.values["high"] / np.maximum(*body))
            low = np.log(np.minimum(*body) / self.values["low"])
        found = [
            (int(i), "unit" if 50 < np.exp(size[i]) < 200 else "spike",
             f"the close is {np.exp(to[i]):.4g} times the one before, and the next is back at {np.exp(away[i]):.4g}")
            for i in jumps
        ]  # fmt: skip
        beyond = np.flatnonzero((high > BEYOND) | (low > BEYOND))
        return found + [(int(i), "spike", "high or low lie far beyond open and close") for i in beyond]

    def stale(self) -> list[tuple[int, str, str]]:
        same = np.zeros(self.count, np.bool_)
        same[1:] = self.group[1:] == self.group[:-1]
        for name in _PRICES:
            values = self.values[name]
            same[1:] &= values[1:] == values[:-1]
        volume = self.values["vol"]
        traded = np.zeros(self.count, np.bool_)
        traded[1:] = (volume[1:] == volume[:-1]) & (volume[1:] > 0)
        # Without volumes only prices that moved within the day can be known to be those of the day before.
        traded |= np.isnan(volume) & (self.values["high"] > self.values["low"])
        return [(int(i), "stale", "prices and volume are all those of the row before")
                for i in np.flatnonzero(same & traded)]  # fmt: skip

    def units(self) -> list[tuple[int, str, str]]:
        found = []
        with np.errstate(all="ignore"):
            for name in ("vol", "amount"):
                values = self.values[name]
                beside = np.stack([self._shifted(values, 1), self._shifted(values, -1)])
                alone = (values > ALONE * np.fmax(*beside)) | (values < np.fmin(*beside) / ALONE)
                all_off = self._all_off(values)
                at = np.flatnonzero((values > 0) & (alone | all_off))
                ratio = values[at] / self._usual(values, at)
                far = (ratio > MANY) | (ratio < 1 / MANY) | all_off[at]
                found += [(int(i), "unit", f"{name} is {times:.4g} times what is usual around it")
                          for i, times in zip(at[far], ratio[far], strict=True)]  # fmt: skip
            close = self.values["close"]
            steps = np.abs(np.log(close / np.stack([self._shifted(close, 1), self._shifted(close, -1)])))
            higher = self._higher(close)
            at = np.flatnonzero((np.fmax(*steps) > np.log(HIGHER)) | higher)
            ratio = close[at] / self._usual(close, at)
            far = (ratio > HIGHER) | (ratio < 1 / HIGHER) | higher[at]
            found += [(int(i), "unit", f"the close, {close[i]:.4g}, is in another unit than those around it")
                      for i in at[far]]  # fmt: skip
            price = self.values["amount"] * self.money / (self.values["vol"] * self.lot)
            off = (price > self.values["high"] * 10) | (price < self.values["low"] / 10)
            found += [(int(i), "unit", f"amount / vol is {price[i]:.4g}, far outside the bar's range")
                      for i in np.flatnonzero(off)]  # fmt: skip
        return found

    def _all_off(self, values: Floats) -> Bools:
        """Tell which new rows belong to a security all of whose new rows are far from those that are kept."""
        off = np.zeros(self.count, np.bool_)
        for here in self._groups_of_both():
            now = self.new[here]
            old, news = (part[~np.isnan(part)] for part in (values[here][~now], values[here][now]))
            if len(old) >= 3 and len(news) >= 3:
                times = np.median(news) / np.median(old)
                off[here] = now & (times > 2 * MANY or times < 0.5 / MANY)
        return off

    def _higher(self, close: Floats) -> Bools:
        """Tell which new rows belong to a security whose prices begin far from those right before."""
        off = np.zeros(self.count, np.bool_)
        for here in self._groups_of_both():
            now = self.new[here]
            first = here.start + int(np.argmax(now))
            if first > here.start:
                before, news = close[max(here.start, first - AROUND) : first], close[first : here.stop][:AROUND]
                times = np.nanmedian(news) / np.nanmedian(before)
                off[here] = now & (times > HIGHER or times < 1 / HIGHER)
        return off

    def _groups_of_both(self) -> list[slice]:
        """Return where the rows of each security lie that has new rows and kept ones."""
        edges = [0, *(np.flatnonzero(np.diff(self.group)) + 1).tolist(), self.count]
        fresh = np.concatenate([[0], np.cumsum(self.new)])
        return [slice(a, b) for a, b in pairwise(edges) if 0 < fresh[b] - fresh[a] < b - a]

    def _shifted(self, values: Floats, by: int) -> Floats:
        """Return the value `by` rows before (or after) of the same security; NaN where there is none."""
        shifted = np.full(self.count, np.nan)
        if by > 0:
            same = self.group[by:] == self.group[:-by]
            shifted[by:][same] = values[:-by][same]
        else:
            same = self.group[:by] == self.group[-by:]
            shifted[:by][same] = values[-by:][same]
        return shifted

    def _usual(self, values: Floats, at: Ints) -> Floats:
        """Return the median of the rows around each of `at`, without itself; NaN where there are fewer than three."""
        around = np.full((2 * AROUND, len(at)), np.nan)
        for i, by in enumerate((*range(-AROUND, 0), *range(1, AROUND + 1))):
            place = np.clip(at + by, 0, self.count - 1)
            same = (place == at + by) & (self.group[place] == self.group[at])
            around[i, same] = values[place[same]]
        usual: Floats = np.full(len(at), np.nan)
        enough = (~np.isnan(around)).sum(0) >= 3
        usual[enough] = np.nanmedian(around[:, enough], axis=0)
        return usual


def worst(faults: Sequence[Fault]) -> dict[str, int]:
    """Return how many faults there are of each kind, sorted by kind."""
    counts: dict[str, int] = {}
    for fault in faults:
        counts[fault.kind] = counts.get(fault.kind, 0) + 1
    return dict(sorted(counts.items()))


def _mask(values: Any) -> Bools:
    mask: Bools = (values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values).to_numpy(
        zero_copy_only=False
    )
    return mask.astype(np.bool_)
