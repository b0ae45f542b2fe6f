"""Collect: read a source, check every row against the catalogue, keep what is new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ptolemy._house.backends import BackendURL
from ptolemy._house.progress import Progress, no_progress
from ptolemy.catalogue import Asking, Interface, interface
from ptolemy.collecting import Outcome, ask, context, keep, newest_id, questions
from ptolemy.errors import BadData, BadInput
from ptolemy.journal import FAILED, WAITING, Journal
from ptolemy.quality import check, check_keys, find_row
from ptolemy.request import Codes, Day, read_codes, read_day, read_request
from ptolemy.screening import wrong_units
from ptolemy.series import Series, Version, open_series
from ptolemy.sources import Batch, Source, Wanted, open_source

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands


@dataclass(frozen=True)
class Collected:
    """What one data set got from a source.

    Parameters
    ----------
    dataset
        The interface.
    rows
        Rows that the source gave.
    written
        Rows of them that were new or differed from what the store had.
    version
        Id of the data set's version that holds them.
    first, last
        First and last day that the source gave, ``YYYYMMDD``.
    digest
        Digest of that version.
    quarantined
        Rows of them that were set aside.
    questions
        How often the source was asked; 0 if there was nothing to ask for.
    """

    dataset: str
    rows: int
    written: int
    version: int
    first: str
    last: str
    digest: str
    quarantined: int = 0
    questions: int = 1


def collect(
    source_url: str,
    datasets: str | Sequence[str] | None = None,
    series: str | None = None,
    *,
    start: Day = None,
    end: Day = None,
    codes: Codes = None,
    quarantine: bool = False,
    again: bool = False,
    progress: Progress = no_progress,
) -> list[Collected]:
    """Read a source into the series store.

    A file is read as a whole: every row of every data set is checked before the first is written, and
    each data set is written whole or not at all. A source that answers questions (``tushare``, ``python``,
    an address with places for days or codes) is asked for what can be new, by the calendar and the
    catalogue; each answer is kept as it comes, so that an interrupted call goes on where it was, and rows
    that are wrong are set aside with a reason. Rows that the store has already are not written again:
    collecting the same source twice changes nothing and makes no new version.

    Parameters
    ----------
    source_url
        Such as ``csv:bars.csv`` or ``csv:///srv/bars.csv.gz?mapping=/srv/bars.toml``.
    datasets
        Interfaces to collect; None means all that the mapping file names.
    series
        URL of the series store; None takes the setting ``series``.
    start, end
        First and last day that is wanted; by default from the session behind the newest row to the newest
        session whose rows are there by the catalogue's time of update.
    codes
        Securities; None means all that the source gives, or those that are kept already.
    quarantine
        Whether bad rows of a file are set aside and the others kept, instead of refusing all.
    again
        Whether days that were asked for and answered are asked for once more.
    progress
        Called with what is done and what there is in all, in bytes, rows or questions.

    Returns
    -------
    list of Collected
        One for each data set, in the order of their names.

    Raises
    ------
    BadData
        If a row is not as the catalogue says; nothing was written.
    UnknownInterface
        If the catalogue has no such data set.
    SeriesLocked
        If another process writes to the store.
    """
    chosen = read_codes(codes)
    first, last = read_day("start", start), read_day("end", end)
    if first and last and first > last:
        raise BadInput(f"start {first} is after end {last}", hint="swap them")
    shown = str(BackendURL.parse(source_url))
    with open_source(source_url) as source:
        wanted = _wanted(source, datasets)
        asked = {name: source.asking(interface(name)) for name in wanted}
        # All that is read as a whole is read and checked before the first row is written.
        batches = {name: _read(source, interface(name), (first, last, chosen), quarantine, progress)
                   for name in wanted if asked[name] is None}  # fmt: skip
        with open_series(series) as store:
            if not quarantine:
                for name, whole in batches.items():
                    _refuse_units(store, interface(name), whole)
            done = []
            for name in wanted:
                known, asking = interface(name), asked[name]
                if asking is None:
                    done.append(_keep_whole(store, known, batches[name], quarantine, shown))
                    continue
                with Journal() as journal:
                    steps = questions(known, asking, store, start=first, end=last, codes=chosen)
                    # What is asked by another day than the key's cannot be told from what is kept.
                    if not again and (first or _asked_otherwise(known, asking)):
                        steps = [step for step in steps if not journal.answered(shown, name, step)]
                    found = ask(source, shown, store, journal, known, steps, "collect", progress)
                done.append(_told(store, name, found))
            return done


def backfill(
    source_url: str,
    datasets: str | Sequence[str] | None = None,
    series: str | None = None,
    *,
    start: Day = None,
    end: Day = None,
    codes: Codes = None,
    progress: Progress = no_progress,
) -> list[Collected]:
    """Ask a source for what is missing: the gaps that were found and the questions that failed.

    Parameters
    ----------
    datasets
        Interfaces; None means all of which something waits.
    start, end, codes
        With `start`, the days of this range are asked for too, whether they were answered before or not.

    Returns
    -------
    list of Collected
        One for each data set of which something was asked, in the order of their names.
    """
    chosen = read_codes(codes)
    first, last = read_day("start", start), read_day("end", end)
    shown = str(BackendURL.parse(source_url))
    with open_source(source_url) as source, open_series(series) as store, Journal() as journal:
        names = _names(datasets)
        if first:
            for name in names or source.datasets():
                known = interface(name)
                asking = source.asking(known)
                if asking is not None:
                    for step in questions(known, asking, store, start=first, end=last, codes=chosen):
                        journal.again(shown, name, step, "backfill")
        jobs = [job for job in journal.jobs((WAITING, FAILED)) if (not names or job.dataset in names)
                and job.source in ("", shown)]  # fmt: skip
        done = []
        for name in sorted({job.dataset for job in jobs}):
            known = interface(name)
            asking = source.asking(known)
            if asking is None:
                raise BadInput(f"{shown} is read as a whole and cannot be asked for days", hint="ptolemy collect run")
            outcome = Outcome()
            mine = [job for job in jobs if job.dataset == name]
            for number, job in enumerate(mine):
                steps = [job.wanted] if job.source else _steps(known, asking, store, job.wanted)
                outcome.grow(ask(source, shown, store, journal, known, steps, job.reason, progress, number, len(mine)))
                journal.finish(job.id)
            done.append(_told(store, name, outcome))
        return done


def resampled(
    name: str, series: str | None = None, *, start: Day = None, end: Day = None, codes: Codes = None
) -> Collected:
    """Make bars of what is kept: ``stk_mins`` of ``ticks``, ``daily`` of ``stk_mins``.

    A daily bar that is kept already stays as it is: it knows more than its minutes do.

    Raises
    ------
    NothingCollected
        If nothing of `name` is kept.
    """
    from ptolemy.resample import days_of_minutes, minutes_of_ticks

    known = interface("stk_mins" if name == "ticks" else "daily")
    asked = read_request(interface(name), {"ts_code": codes, "start_date": start, "end_date": end})
    with open_series(series) as store:
        table = store.read(name, codes=asked.codes, start=asked.start, end=asked.end)
        if name == "ticks":
            made = minutes_of_ticks(table)
        else:
            made = days_of_minutes(table.filter(pc.equal(table["freq"], "1min")))
            made = made.filter(pc.invert(_kept(store, known, made)))
        if not made.num_rows:
            return Collected(known.name, 0, 0, newest_id(store, known.name), "", "", "")
        before = newest_id(store, known.name)
        version = store.upsert(known.name, made, key=known.key)
        return _collected(made, known.key[-1], version, version.written if version.id > before else 0)


def _kept(store: Series, known: Interface, table: pa.Table) -> Any:
    """Tell of each row whether one of its key is kept."""
    if known.name not in store.datasets() or not table.num_rows:
        return pa.array([False] * table.num_rows)
    kept = store.read(known.name, columns=list(known.key))
    keys = [pc.binary_join_element_wise(*(part[name] for name in known.key), " ") for part in (table, kept)]
    return pc.is_in(keys[0], keys[1].combine_chunks())


def _steps(known: Interface, asking: Asking, store: Series, gap: Wanted) -> list[Wanted]:
    """Return the questions that fill a gap, as this source is asked."""
    return questions(known, asking, store, start=gap.start, end=gap.end, codes=gap.codes)


def _asked_otherwise(known: Interface, asking: Asking) -> bool:
    return asking.by in known.parameters and asking.by not in known.key


def _refuse_units(store: Series, known: Interface, batches: list[Batch]) -> None:
    """Raise `BadData` if prices, volumes or money of a file are not in the interface's units."""
    table = pa.concat_tables(batch.table for batch in batches)
    found = wrong_units(known, table, context(store, known, table))
    if found:
        batch, row = find_row(batches, found[0].row)
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise BadData(
            batch.where(row, known.key[-1]), f"{found[0].why}{more}",
            hint="give the factor in a mapping, or set such rows aside with --quarantine",
        )  # fmt: skip


def _keep_whole(store: Series, known: Interface, batches: list[Batch], quarantine: bool, shown: str) -> Collected:
    if quarantine:
        with Journal() as journal:
            return _told(store, known.name, keep(store, journal, known, batches, shown))
    table = pa.concat_tables(batch.table for batch in batches)
    old = newest_id(store, known.name)
    version = store.upsert(known.name, table, key=known.key)
    return _collected(table, known.key[-1], version, version.written if version.id > old else 0)


def _told(store: Series, name: str, found: Outcome) -> Collected:
    newest = store.versions(name)[-1] if name in store.datasets() else None
    return Collected(
        name, found.rows, found.written, newest.id if newest else 0, found.first, found.last,
        newest.digest if newest else "", found.quarantined, found.questions,
    )  # fmt: skip


def _names(datasets: str | Sequence[str] | None) -> list[str]:
    names = datasets.split(",") if isinstance(datasets, str) else list(datasets or ())
    return [interface(name).name for name in names]


def _wanted(source: Source, datasets: str | Sequence[str] | None) -> list[str]:
    names = datasets.split(",") if isinstance(datasets, str) else list(datasets or ())
    offered = source.datasets()
    if not names and not offered:
        raise BadInput("the source does not say which data set it holds", hint="name one with --dataset, or a mapping")
    for name in names:
        interface(name)
        if offered and name not in offered:
            raise BadInput(f"the mapping has no section for {name}", hint=f"it has: {', '.join(offered)}")
    return sorted(set(names or offered))


def _read(
    source: Source, known: Interface, narrow: tuple[str | None, str | None, tuple[str, ...] | None], lenient: bool,
    progress: Progress,
) -> list[Batch]:  # fmt: skip
    batches: list[Batch] = []
    for whole in source.read(known, progress=progress):
        batch = _narrowed(known, whole, *narrow)
        if not lenient:
            check(known, batch)
        batches.append(batch)
    if not any(batch.table.num_rows for batch in batches):
        raise BadInput(f"the source has no row of {known.name}", hint="nothing was written")
    if not lenient:
        check_keys(known, batches)
    return batches


def _narrowed(
    known: Interface, batch: Batch, start: str | None, end: str | None, codes: tuple[str, ...] | None
) -> Batch:
    """Return the rows of a file that are asked for."""
    if start is None and end is None and codes is None:
        return batch
    inside: Any = pa.array(np.ones(batch.table.num_rows, np.bool_))
    if known.time is not None:
        days = pc.utf8_slice_codeunits(pc.replace_substring(batch.table[known.time.name], "-", ""), 0, 8)
        inside = inside if start is None else pc.and_(inside, pc.greater_equal(days, start))
        inside = inside if end is None else pc.and_(inside, pc.less_equal(days, end))
    if codes is not None:
        inside = pc.and_(inside, pc.is_in(batch.table[known.key[0]], pa.array(codes, pa.string())))
    mask = pc.fill_null(inside, True)
    mask = mask.combine_chunks() if isinstance(mask, pa.ChunkedArray) else mask
    return replace(batch, table=batch.table.filter(mask), lines=batch.lines.filter(mask))


def _collected(table: pa.Table, day: str, version: Version, written: int) -> Collected:
    ends = pc.min_max(table[day]).as_py()
    return Collected(version.dataset, table.num_rows, written, version.id, ends["min"], ends["max"], version.digest)
