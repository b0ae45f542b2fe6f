"""Lay rows down in compacted files: cubes where a period is dense, sorted segments elsewhere.

What a file holds, and nothing else, decides its bytes and its name: any order of the same writes
ends in the same files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ptolemy._house.files import sync_folder
from ptolemy.series.block import Block
from ptolemy.series.cube import write_cube
from ptolemy.series.history import UNTIL, entries, read_history, write_history
from ptolemy.series.log import Range, Record
from ptolemy.series.manifest import Manifest, grown, read_versions, write_versions
from ptolemy.series.merge import Ints, merged, ranked, refuse_twice, stacked
from ptolemy.series.port import Version
from ptolemy.series.segment import write_segment
from ptolemy.series.view import Base, View

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands

#: The least share of securities x days that must have a row for a cube to be worth its empty cells.
DENSE = 0.5
_DAY = re.compile(r"\d{8}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]")


def period_of(time: str) -> str:
    """Return the period whose file a row belongs to: the year of a day, the day of a moment."""
    if _DAY.fullmatch(time):
        return time[:4]
    return time[:10] if _MOMENT.match(time) else "all"


def compacted(
    base: Base, records: Sequence[Record], bulk: Record | None = None, keep: int | None = None, *, whole: bool = True
) -> Manifest:
    """Write the compacted files of all that `records`, and after them `bulk`, did; return their manifest.

    Nothing that the old manifest stands on is touched; the new one is yet to be written.

    Parameters
    ----------
    keep
        How many of the newest versions stay readable; None keeps those that are.
    whole
        Whether each period ends in one file. If not, new moments are put into files beside those that
        their day has: what that takes depends on the records alone, however much the day has already.
    """
    folder, manifest = base.folder, base.manifest
    done = [*records, *([bulk] if bulk else [])]
    versions = [*read_versions(folder, manifest), *(record.version for record in done)]
    newest = versions[-1].id
    oldest = manifest.oldest if keep is None else max(manifest.oldest, newest - keep + 1)
    view = View.of(base)
    undone: list[pa.Table] = []
    touched: set[str] = set()
    for record in done:
        if record.version.id > oldest:
            undone += _undone(view, record)
        touched |= _touched(view, record)
        if record is not bulk:
            view = view.after(record)
    key = done[-1].key if done else manifest.key
    beside = (
        not whole and bulk is None and adds_moments(manifest.version, records) and all(map(_DATE.fullmatch, touched))
    )
    periods = [block.period for block in manifest.blocks]
    if not beside:
        touched |= {period for period in periods if periods.count(period) > 1}
    if beside:
        fresh = _beside(folder, view, key, touched)
    elif bulk is not None and bulk.table is not None and not view.runs and not (touched & set(periods)):
        fresh = lay(folder, bulk.table, key, touched)
    else:
        news = bulk.table if bulk else None
        fresh = [block for period in sorted(touched) for block in _laid_again(folder, view, news, key, period)]
    kept = [block for block in manifest.blocks if beside or block.period not in touched]
    columns = grown(view.columns, bulk.table if bulk else None)
    readable = [version for version in versions if version.id >= oldest]
    result = Manifest(
        dataset=manifest.dataset,
        key=key,
        columns=columns,
        version=versions[-1],
        oldest=oldest,
        blocks=tuple(sorted([*kept, *fresh], key=lambda block: (block.first, block.period, block.file))),
        history=_history(folder, manifest, undone, oldest),
        versions=write_versions(folder, readable),
    )
    sync_folder(folder)
    return result


def adds_moments(last: Version | None, records: Sequence[Record]) -> bool:
    """Tell whether all that `records` did, behind the version `last`, is to add rows of moments."""
    rows = last.rows if last else 0
    for record in records:
        version = record.version
        if record.deleted is not None or version.rows - rows != version.written or not _MOMENT.match(version.first):
            return False
        rows = version.rows
    return True


def _beside(folder: Path, view: View, key: Sequence[str], periods: set[str]) -> list[Block]:
    """Write what the log holds to files of its own, one for each period."""
    if not view.runs:
        return []
    table = merged(view.runs, key)
    if len(periods) == 1:
        return [write_segment(folder, period, table, key) for period in periods]
    days = pc.utf8_slice_codeunits(table[key[-1]], 0, 10)
    parts = [(period, table.filter(pc.equal(days, period))) for period in sorted(periods)]
    return [write_segment(folder, period, part.combine_chunks(), key) for period, part in parts]


def lay(folder: Path, table: pa.Table, key: Sequence[str], only: Iterable[str]) -> list[Block]:
    """Write the rows of the periods `only`, one file each; raise `BadInput` if a key is there twice."""
    names = [name for name in table.column_names if name not in key]
    time_at, times = ranked(table[key[-1]])
    code_at, codes = ranked(table[key[0]]) if len(key) > 1 else (time_at, times)
    panel = len(key) == 2 and bool(names) and all(pa.types.is_float64(table[name].type) for name in names)
    if panel:
        places = code_at * len(times) + time_at
        if not (np.diff(places) > 0).all():
            order = np.argsort(places, kind="stable")
            refuse_twice(folder.name, table, key, order[:-1][np.diff(places[order]) == 0])
    numbers = {name: table[name].combine_chunks() for name in names} if panel else {}
    moments: list[Any] = times.to_pylist()
    period_at = np.array([period_of(time) for time in moments])

    def write(period: str) -> Block:
        here = np.flatnonzero(period_at == period)  # the times of this period
        first, last = int(here[0]), int(here[-1])
        rows = np.flatnonzero((time_at >= first) & (time_at <= last))
        if last - first + 1 != len(here):  # times of two forms lie between one another
            rows = rows[np.isin(time_at[rows], here)]
        code, used_codes = _renumbered(code_at[rows], len(codes))
        time, used_times = _renumbered(time_at[rows], len(times))
        texts = [moments[i] for i in used_times]
        even = len({len(text) for text in texts}) == 1 and all(text.isascii() for text in texts)
        if panel and even and len(rows) >= DENSE * len(used_codes) * len(used_times):
            named: list[Any] = codes.take(pa.array(used_codes, pa.int64())).to_pylist()
            return write_cube(
                folder, period, named, texts, {n: _floats(v, rows) for n, v in numbers.items()}, code, time
            )
        part = table.take(pa.array(rows, pa.int64())).combine_chunks()
        part = part.sort_by([(name, "ascending") for name in key]).combine_chunks()
        return write_segment(folder, period, part, key)

    wanted = [period for period in dict.fromkeys(period_at.tolist()) if period in set(only)]
    # While one file waits for the disk the next is made ready.
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        return list(pool.map(write, wanted))


def _floats(values: Any, rows: Ints) -> Any:
    return values.to_numpy(zero_copy_only=False)[rows]


def _renumbered(at: Ints, size: int) -> tuple[Ints, Ints]:
    """Return `at` counted over the numbers that occur, and those."""
    used = np.flatnonzero(np.bincount(at, minlength=size))
    place = np.zeros(size, np.int64)
    place[used] = np.arange(len(used))
    return place[at], used


def _laid_again(folder: Path, view: View, news: pa.Table | None, key: Sequence[str], period: str) -> list[Block]:
    start, end = (None, None) if period == "all" else (period, period + "\uffff")
    parts = [view.read(start=start, end=end)] if view.key else []
    if news is not None:
        times = pc.unique(news[key[-1]])
        here = pa.array([time for time in times.to_pylist() if period_of(time) == period], pa.string())
        parts.append(news.filter(pc.is_in(news[key[-1]], here)))
    table = merged(parts, key)
    return lay(folder, table, key, [period]) if table.num_rows else []


def _touched(view: View, record: Record) -> set[str]:
    periods: set[str] = set()
    if record.table is not None:
        periods |= _periods(record.table[record.key[-1]])
    if record.deleted is not None:
        held = view.read(record.deleted.codes, record.deleted.start, record.deleted.end, [record.key[-1]])
        periods |= _periods(held[record.key[-1]])
    return periods


def _periods(times: Any) -> set[str]:
    ends = pc.min_max(times).as_py()
    if ends["min"] and _MOMENT.match(ends["min"]) and ends["min"][:11] == ends["max"][:11]:
        return {period_of(ends["min"])}  # all that lies between begins alike
    return {period_of(time) for time in pc.unique(times.combine_chunks()).to_pylist()}


def _undone(view: View, record: Record) -> list[pa.Table]:
    """Return what must be remembered so that the version before `record` stays readable."""
    last = view.version
    if last is None:
        return []
    number = record.version.id
    if record.deleted is not None:
        gone: Range = record.deleted
        return [entries(view.read(gone.codes, gone.start, gone.end), None, record.key, last, number)]
    if record.table is None:
        return []
    times = pc.min_max(record.table[record.key[-1]]).as_py()
    if times["min"] > last.last or times["max"] < last.first:
        return []  # no version before knew such days
    held = view.read(None, times["min"], times["max"])
    return [entries(held, record.table, record.key, last, number)]


def _history(folder: Path, manifest: Manifest, undone: Sequence[pa.Table], oldest: int) -> tuple[Block, ...]:
    kept = []
    for block in manifest.history:
        if int(block.last) <= oldest:
            continue
        if int(block.first) <= oldest:
            table = read_history(folder, block)
            block = write_history(folder, table.filter(pc.greater(table[UNTIL], oldest)))
        kept.append(block)
    filled = [table for table in undone if table.num_rows]
    if filled:
        kept.append(write_history(folder, stacked(filled)))
    return tuple(kept)
