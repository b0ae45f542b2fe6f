"""Look through what is kept: gaps, rows that stand out, data sets that are late."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute

from ptolemy._house.progress import Progress, no_progress
from ptolemy.calendars import finished, sessions
from ptolemy.catalogue import Interface, find, interface
from ptolemy.journal import Journal
from ptolemy.screening import gaps, screen
from ptolemy.series import Series
from ptolemy.sources import Fault, Wanted

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands

CODES = 500  #: securities that are looked through at once


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with what is kept.

    Parameters
    ----------
    kind
        ``gap``, ``late``, or the kind of a fault: ``spike``, ``stale``, ``unit``, ``session``.
    code
        The security; None if it is the data set as a whole.
    start, end
        First and last day or moment.
    rows
        Rows, or sessions that lack one.
    """

    dataset: str
    kind: str
    code: str | None
    start: str
    end: str
    rows: int
    why: str


def inspect(
    series: Series,
    datasets: Sequence[str] = (),
    *,
    journal: Journal | None = None,
    backfill: bool = False,
    quarantine: bool = False,
    now: datetime | None = None,
    progress: Progress = no_progress,
) -> list[Finding]:
    """Return what is wrong with the data sets that are kept, by data set, security and day.

    Parameters
    ----------
    backfill
        Whether each gap becomes a job that ``collect backfill`` works off.
    quarantine
        Whether rows that stand out are set aside and taken from the store; older versions keep them.
    """
    names = [interface(name).name for name in datasets] or [n for n in series.datasets() if find(n)]
    found: list[Finding] = []
    for done, name in enumerate(names):
        known = interface(name)
        found += _late(series, known, now)
        if known.quality and known.time is not None:
            suspended = _suspended(series, known)
            for table in _parts(series, known):
                found += [
                    Finding(name, "gap", code, start, end, count, f"{count} of its sessions have no row")
                    for code, start, end, count in gaps(known, table, suspended)
                ]
                faults = screen(known, table)
                if quarantine and journal is not None and faults:
                    _take_out(series, journal, known, table, faults)
                found += [_told(known, table, fault) for fault in faults]
        progress(done + 1, len(names))
    if backfill and journal is not None:
        for each in found:
            if each.kind == "gap" and each.code is not None:
                journal.add("", each.dataset, Wanted(each.start, each.end, (each.code,)), "gap")
    return sorted(found, key=lambda f: (f.dataset, f.kind, f.code or "", f.start))


def release(series: Series, journal: Journal, ids: Sequence[int]) -> int:
    """Keep rows that were set aside after all and return how many; somebody has looked at them.

    Raises
    ------
    BadInput
        If the store cannot take one, such as a row without a key.
    NotFound
        If no row of such an id is set aside.
    """
    rows = journal.quarantine(ids=ids)
    for name in sorted({row.dataset for row in rows}):
        known = interface(name)
        mine = [row for row in rows if row.dataset == name]
        # Of two rows with one key the later is kept, as whoever names both must mean.
        by_key = {tuple(row.row.get(k) for k in known.key): row for row in mine}
        table = pa.Table.from_pylist([dict(row.row) for row in by_key.values()], schema=known.schema())
        series.upsert(name, table, key=known.key)
        journal.let_go([row.id for row in mine])
    return len(rows)


def _parts(series: Series, known: Interface) -> Iterator[pa.Table]:
    """Give what is kept, some securities at a time, in all columns of the interface."""
    codes = sorted(pc.unique(series.read(known.name, columns=[known.key[0]])[known.key[0]]).to_pylist())
    schema = known.schema()
    for begin in range(0, len(codes), CODES):
        table = series.read(known.name, codes=codes[begin : begin + CODES])
        columns = [table[f.name] if f.name in table.column_names else pa.nulls(table.num_rows, f.type) for f in schema]
        yield pa.table(columns, schema=schema)


def _suspended(series: Series, known: Interface) -> frozenset[tuple[str, str]]:
    if "suspend_d" not in series.datasets() or "gaps" not in known.quality:
        return frozenset()
    kept = series.read("suspend_d", columns=["ts_code", "trade_date", "suspend_type"])
    stopped = kept.filter(pc.equal(kept["suspend_type"], "S"))
    pairs: Any = zip(stopped["ts_code"].to_pylist(), stopped["trade_date"].to_pylist(), strict=True)
    return frozenset(pairs)


def _late(series: Series, known: Interface, now: datetime | None) -> list[Finding]:
    if known.time is None or known.asking is None or known.asking.on != "day" or "gaps" not in known.quality:
        return []
    last = series.versions(known.name)[-1].last[:10].replace("-", "")
    newest = finished(known.calendar, known.update, now)
    behind = [day for day in sessions(known.calendar, last, newest) if day > last] if newest else []
    if not behind:
        return []
    why = f"the newest row is of {last}, and {len(behind)} sessions are over since"
    return [Finding(known.name, "late", None, behind[0], behind[-1], len(behind), why)]


def _told(known: Interface, table: pa.Table, fault: Fault) -> Finding:
    code, time = (table[n].take(pa.array([fault.row])).to_pylist()[0] for n in (known.key[0], known.key[-1]))
    return Finding(known.name, fault.kind, code, time or "", time or "", 1, fault.why)


def _take_out(series: Series, journal: Journal, known: Interface, table: pa.Table, faults: Sequence[Fault]) -> None:
    """Set rows aside first and delete them then, so that an interruption loses none."""
    rows = table.take(pa.array([fault.row for fault in faults])).to_pylist()
    journal.set_aside(
        [
            {
                "dataset": known.name, "code": row[known.key[0]], "time": row[known.key[-1]], "kind": fault.kind,
                "reason": fault.why, "place": "kept rows", "source": "", "row": row,
            }
            for row, fault in zip(rows, faults, strict=True)
        ]
    )  # fmt: skip
    for row in rows:
        time = row[known.key[-1]]
        series.delete(known.name, codes=[row[known.key[0]]], start=time, end=time)
