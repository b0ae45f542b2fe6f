"""Ask a source for what can be new, one question after the other, and keep each answer as it comes.

A question is a day, a range or a security, as the catalogue and the source say. Each answer is looked through,
what is wrong in it is set aside with its reason, and the rest is kept before the next question is asked: what
was interrupted goes on where it was, and what is asked twice is there once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ptolemy._house.progress import Progress, no_progress
from ptolemy.calendars import finished, last_of, sessions
from ptolemy.catalogue import Asking, Interface
from ptolemy.errors import BackendUnavailable, BadInput, NothingCollected, PtolemyError, RateLimited
from ptolemy.journal import DONE, FAILED, Journal
from ptolemy.screening import context_start, screen
from ptolemy.series import Series
from ptolemy.sources import Batch, Fault, Source, Wanted

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands

SPAN = 50  #: securities in one question of a range


@dataclass
class Outcome:
    """What questions about one data set brought."""

    rows: int = 0
    written: int = 0
    quarantined: int = 0
    questions: int = 0
    first: str = ""
    last: str = ""
    kinds: dict[str, int] = field(default_factory=dict)

    def grow(self, other: Outcome) -> None:
        """Add what another question brought."""
        self.rows += other.rows
        self.written += other.written
        self.quarantined += other.quarantined
        self.questions += other.questions
        self.first = min(filter(None, (self.first, other.first)), default="")
        self.last = max(self.last, other.last)


def keep(series: Series, journal: Journal, interface: Interface, batches: Sequence[Batch], source: str) -> Outcome:
    """Set aside what is wrong in `batches`, then keep the rest; both are durable on return."""
    whole = [batch for batch in batches if batch.table.num_rows]
    outcome = Outcome(rows=sum(batch.table.num_rows for batch in whole))
    if not whole:
        return outcome
    table = pa.concat_tables(batch.table for batch in whole)
    known: dict[int, Fault] = {}
    begin = 0
    for batch in whole:
        for fault in batch.faults:
            known.setdefault(begin + fault.row, fault)
        begin += batch.table.num_rows
    readable = np.setdiff1d(np.arange(table.num_rows), np.array(list(known), np.int64))
    part = table.take(pa.array(readable, pa.int64()))
    for fault in screen(interface, part, context(series, interface, part)):
        known[int(readable[fault.row])] = fault
    wrong = sorted(known)
    if wrong:
        journal.set_aside([_set_aside(interface, whole, table, row, known[row], source) for row in wrong])
    good = table.take(pa.array(np.setdiff1d(np.arange(table.num_rows), np.array(wrong, np.int64)), pa.int64()))
    outcome.quarantined = len(wrong)
    for row in wrong:
        outcome.kinds[known[row].kind] = outcome.kinds.get(known[row].kind, 0) + 1
    if good.num_rows:
        before = newest_id(series, interface.name)
        version = series.upsert(interface.name, good, key=interface.key)
        outcome.written = version.written if version.id > before else 0
        ends = pc.min_max(good[interface.key[-1]]).as_py()
        outcome.first, outcome.last = ends["min"], ends["max"]
    return outcome


def newest_id(series: Series, dataset: str) -> int:
    """Return the id of the newest version, 0 if there is none."""
    try:
        return series.stats(dataset).version
    except NothingCollected:
        return 0


def ask(
    source: Source, shown: str, series: Series, journal: Journal, interface: Interface, questions: Sequence[Wanted],
    reason: str, progress: Progress = no_progress, before: int = 0, total: int = 0,
) -> Outcome:  # fmt: skip
    """Ask `questions` one after the other; an error ends it, and what was kept stays kept.

    Raises
    ------
    PtolemyError
        What the source refuses; the question is in the journal as failed.
    """
    outcome = Outcome()
    for number, wanted in enumerate(questions, 1):
        try:
            batches = list(source.read(interface, wanted=wanted))
            found = keep(series, journal, interface, batches, shown)
        except PtolemyError as exc:
            journal.note(shown, interface.name, wanted, reason, FAILED, error=str(exc))
            if isinstance(exc, RateLimited | BackendUnavailable) and exc.hint is None:
                exc.hint = "run the same command again: it goes on where it was"
            raise
        found.questions = 1
        journal.note(
            shown, interface.name, wanted, reason, DONE,
            rows=found.rows, written=found.written, quarantined=found.quarantined,
        )  # fmt: skip
        outcome.grow(found)
        for kind, count in found.kinds.items():
            outcome.kinds[kind] = outcome.kinds.get(kind, 0) + count
        progress(before + number, total or len(questions))
    return outcome


def questions(
    interface: Interface, asking: Asking, series: Series, *, start: str | None = None, end: str | None = None,
    codes: Sequence[str] | None = None, now: datetime | None = None,
) -> list[Wanted]:  # fmt: skip
    """Return what must be asked to have all that can be new, in the order in which it is asked.

    Parameters
    ----------
    start, end
        Days; by default from the session behind the newest row to the newest session whose rows are there.
    codes
        Securities; by default those that are kept, for a source that is asked security by security.
    now
        The present, in UTC.

    Raises
    ------
    BadInput
        If nothing is kept yet and `start` does not say where to begin, or no security is known.
    """
    each = _products(asking)
    if asking.by == "whole":
        return [Wanted(codes=_tuple(codes), by="whole", each=one) for one in each]
    until = end or finished(interface.calendar, interface.update, now)
    if until is None:
        return []
    if asking.by in (interface.key[0], "code"):
        return _by_code(interface, series, each, start, until, _tuple(codes))
    begin = start or _behind(interface, series)
    if begin is None:
        raise BadInput(
            f"nothing of {interface.name} is kept yet, and it is not said from which day on it is wanted",
            hint=f"ptolemy collect run SOURCE_URL --dataset {interface.name} --start-date 20240101",
        )
    if begin > until:
        return []
    if asking.by == "range":
        chosen = _tuple(codes)
        groups = [chosen[i : i + SPAN] for i in range(0, len(chosen), SPAN)] if chosen else [None]
        return [Wanted(begin, until, group, "range", one) for group in groups for one in each]
    days = last_of(sessions(interface.calendar, begin, until), asking.on)
    return [Wanted(day, day, _tuple(codes), asking.by, one) for day in days for one in each]


def _by_code(
    interface: Interface, series: Series, each: list[tuple[tuple[str, str], ...]], start: str | None, until: str,
    codes: tuple[str, ...] | None,
) -> list[Wanted]:  # fmt: skip
    newest = _newest_by_code(interface, series)
    chosen = codes or tuple(sorted(newest))
    if not chosen:
        raise BadInput(
            f"{interface.name} is asked for security by security, and none is kept yet", hint="name them with --code"
        )
    found = []
    for code in chosen:
        begin = start or (_next(interface, newest[code]) if code in newest else None)
        if begin is None:
            raise BadInput(
                f"nothing of {code} is kept in {interface.name} yet",
                hint="say from which day on: --start-date 20240101",
            )
        if begin <= until:
            found += [Wanted(begin, until, (code,), interface.key[0], one) for one in each]
    return found


def _behind(interface: Interface, series: Series) -> str | None:
    if interface.name not in series.datasets() or interface.time is None:
        return None
    return _next(interface, series.versions(interface.name)[-1].last)


def _next(interface: Interface, last: str) -> str:
    """Return the first session behind a day or a moment."""
    day = last[:10].replace("-", "")
    later = sessions(interface.calendar, start=day)
    return next((d for d in later if d > day), "99991231")


def _newest_by_code(interface: Interface, series: Series) -> dict[str, str]:
    if interface.name not in series.datasets():
        return {}
    code, time = interface.key[0], interface.key[-1]
    table = series.read(interface.name, columns=[code, time]).group_by(code).aggregate([(time, "max")])
    pairs: Any = zip(table[code].to_pylist(), table[f"{time}_max"].to_pylist(), strict=True)
    return dict(pairs)


def _products(asking: Asking) -> list[tuple[tuple[str, str], ...]]:
    found: list[tuple[tuple[str, str], ...]] = [()]
    for name, values in asking.each.items():
        found = [(*one, (name, value)) for one in found for value in values]
    return found


def context(series: Series, interface: Interface, table: pa.Table) -> pa.Table | None:
    """Return the rows that are kept before those of `table`, of the same securities."""
    if not interface.quality or interface.name not in series.datasets() or not table.num_rows:
        return None
    codes = pc.unique(table[interface.key[0]].drop_null()).to_pylist()
    ends = pc.min_max(table[interface.key[-1]]).as_py()
    try:
        start = context_start(ends["min"] or "")
    except ValueError:  # a day that is none is found by the screening itself
        return None
    kept = series.read(interface.name, codes=codes if len(codes) <= 1000 else None, start=start, end=ends["max"])
    # A row that is collected once more stands beside its neighbours, not beside itself.
    own, held = (
        pc.binary_join_element_wise(part[interface.key[0]], part[interface.key[-1]], " ").combine_chunks()
        for part in (table, kept)
    )
    return kept.filter(pc.invert(pc.is_in(held, own)))


def _set_aside(
    interface: Interface, batches: Sequence[Batch], table: pa.Table, row: int, fault: Any, source: str
) -> dict[str, Any]:
    values = table.slice(row, 1).to_pylist()[0]
    begin = 0
    place = ""
    for batch in batches:
        if row < begin + batch.table.num_rows:
            place = f"{batch.place} {batch.unit} {batch.lines[row - begin].as_py()}"
            break
        begin += batch.table.num_rows
    return {
        "dataset": interface.name, "code": values[interface.key[0]],
        "time": values[interface.key[-1]] if interface.time is not None else None, "kind": fault.kind,
        "reason": fault.why, "place": place, "source": source, "row": values,
    }  # fmt: skip


def _tuple(codes: Sequence[str] | None) -> tuple[str, ...] | None:
    return tuple(dict.fromkeys(code.strip().upper() for code in codes if code.strip())) or None if codes else None
