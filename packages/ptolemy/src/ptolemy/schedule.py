"""When each data set is due, what is late, and a loop that collects at the right time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ptolemy.calendars import due, finished, sessions
from ptolemy.catalogue import find, interface, interfaces
from ptolemy.collection import Collected, collect
from ptolemy.errors import BackendUnavailable, BadInput, PtolemyError, RateLimited
from ptolemy.journal import FAILED, WAITING, Journal
from ptolemy.series import Series

LATER = 600.0  #: seconds after which a source that failed is asked again


@dataclass(frozen=True)
class State:
    """How far one data set is.

    Parameters
    ----------
    rows, last
        What is kept.
    expected
        The newest session whose rows should be there by now.
    behind
        Sessions between the two.
    waiting, failed
        Questions of the journal that are to be asked again.
    quarantined
        Rows that are set aside.
    due
        When rows of the next session are there: UTC, ISO 8601.
    """

    dataset: str
    rows: int
    last: str | None
    expected: str | None
    behind: int | None
    waiting: int
    failed: int
    quarantined: int
    due: str | None


def states(series: Series, journal: Journal, datasets: Sequence[str] = (), now: datetime | None = None) -> list[State]:
    """Return how far the data sets are that are kept or asked for, by name."""
    present = now or datetime.now(UTC)
    kept = set(series.datasets())
    names = [interface(n).name for n in datasets] or sorted(
        {n for n in kept if find(n)} | {job.dataset for job in journal.jobs((WAITING, FAILED)) if find(job.dataset)}
    )
    set_aside = journal.quarantine()
    found = []
    for name in names:
        known = interface(name)
        newest = series.versions(name)[-1] if name in kept else None
        timed = known.time is not None and known.asking is not None and known.asking.on == "day"
        expected = finished(known.calendar, known.update, present) if timed else None
        last = newest.last if newest and known.time is not None else None
        behind = None
        if expected and last:
            day = last[:10].replace("-", "")
            behind = sum(d > day for d in sessions(known.calendar, day, expected))
        next_due = due(known.calendar, known.update, present) if timed else None
        found.append(
            State(
                name, newest.rows if newest else 0, last, expected, behind,
                sum(j.dataset == name for j in journal.jobs((WAITING,), name)),
                sum(j.dataset == name for j in journal.jobs((FAILED,), name)),
                sum(row.dataset == name for row in set_aside),
                next_due.isoformat(timespec="seconds") if next_due else None,
            )
        )  # fmt: skip
    return found


def next_due(datasets: Sequence[str], after: datetime) -> tuple[datetime, list[str]]:
    """Return when the next data sets are due behind `after` (UTC), and which."""
    times = {}
    for name in datasets:
        known = interface(name)
        at = due(known.calendar, known.update, after)
        if at is not None:
            times[name] = at
    if not times:
        raise BadInput("none of these data sets follows a calendar", hint="ptolemy dataset list")
    first = min(times.values())
    return first, [name for name, at in times.items() if at == first]


def run(
    source_url: str,
    datasets: Sequence[str],
    series: str | None = None,
    *,
    told: Callable[[list[Collected]], None],
    failed: Callable[[PtolemyError], None],
    passes: int | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Collect what is due, wait for the next time of update, and so on, `passes` times or for ever.

    A source that does not answer, or has no calls left, is asked again after ten minutes; an error that
    asking again cannot mend is raised.
    """
    names = [interface(name).name for name in datasets] or [i.name for i in interfaces().values() if i.asking]
    turn = list(names)
    count = 0
    while passes is None or count < passes:
        count += 1
        began = now()
        try:
            told(collect(source_url, turn, series))
            later = None
        except (BackendUnavailable, RateLimited) as exc:
            failed(exc)
            later = began + timedelta(seconds=max(LATER, getattr(exc, "retry_after", 0.0)))
        at, turns = next_due(names, began)
        if later is not None and later < at:
            at, turns = later, turn
        turn = turns
        while passes is None or count < passes:
            left = (at - now()).total_seconds()
            if left <= 0:
                break
            sleep(min(left, 60.0))  # a machine that slept, or a clock that was set, is noticed within a minute
