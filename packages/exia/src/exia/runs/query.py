"""Find runs by a filter, one run by the beginning of its id, and what a run has kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from exia._house.errors import nearest
from exia.errors import BadInput, BlobNotFound, RunNotFound
from exia.redaction import configured
from exia.runs import RunRecord, RunStore, Status, Values, open_runs
from exia.runs.filter import parse_filter, parse_order
from exia.runs.life import judged
from exia.runs.port import checked_note, checked_tags

_PAGE = 200
_PATIENCE = 5.0  #: Seconds that the log may take for a tag, and a mirror that answers.
_FEW = 4  # letters of an id, or every word would be the beginning of one


def find_runs(
    where: str | None = None,
    *,
    name: str | None = None,
    status: Status | None = None,
    order_by: str | None = None,
    limit: int | None = 100,
    store: str | RunStore | None = None,
) -> list[RunRecord]:
    """Return the runs that fit, newest first; one whose process died has the status ``lost``.

    Parameters
    ----------
    where
        A filter such as ``metrics.ic > 0.03 and tags.desk = 'alpha'``; None for all.
    name, status
        What these must be.
    order_by
        What to sort by, such as ``metrics.ic desc, started``; a run without it comes last.
    limit
        How many at most; None for all.
    store
        A URL, an open store, or None for the configured one.

    Raises
    ------
    BadInput
        If `where` or `order_by` cannot be understood; the message says at which column.
    """
    key = parse_order(order_by) if order_by is not None else None
    with opened(store) as runs:
        if key is not None:
            return sorted(_found(runs, where, name, status), key=key)[:limit]
        return [run for run, _ in zip(_found(runs, where, name, status), _counted(limit), strict=False)]


def get_run(prefix: str, *, store: str | RunStore | None = None) -> RunRecord:
    """Return the one run whose id begins with `prefix`; one whose process died has the status ``lost``.

    Raises
    ------
    RunNotFound
        If there is none.
    BadInput
        If there are several.
    """
    with opened(store) as runs:
        return judged(runs.get(full_id(runs, prefix)))


def read_artifact(prefix: str, name: str, *, store: str | RunStore | None = None) -> bytes:
    """Return the bytes of a file that a run has kept; the beginning of the run's id is enough.

    Raises
    ------
    RunNotFound
        If there is no such run.
    BlobNotFound
        If the run has no such file, or its bytes are gone.
    Damaged
        If the bytes are not those that were kept.
    """
    from exia.runs.places import fetch

    run = get_run(prefix, store=store)
    if name not in run.artifacts:
        known = nearest(name, run.artifacts) or f"it has {', '.join(sorted(run.artifacts)) or 'none'}"
        raise BlobNotFound(f"run {run.id} has no file {name!r}", hint=known)
    return fetch(run.artifacts[name]["digest"])


def add_tags(prefix: str, tags: Mapping[str, str], *, store: str | RunStore | None = None) -> RunRecord:
    """Set tags of a run, also of one that has ended, and return it; mirrors get them as they get runs.

    Raises
    ------
    RunNotFound
        If there is no such run.
    BadInput
        If a tag cannot be recorded; none was.
    """
    return _add(prefix, {"tags": configured().value("", checked_tags(tags))}, store)


def add_note(prefix: str, text: str, *, store: str | RunStore | None = None) -> RunRecord:
    """Write a remark to a run, also to one that has ended, and return it; errors as in `add_tags`."""
    at = datetime.now(UTC).isoformat(timespec="microseconds")
    return _add(prefix, {"notes": {at: configured().text(checked_note(text))}}, store)


def _add(prefix: str, values: Values, store: str | RunStore | None) -> RunRecord:
    with opened(store) as runs:
        run_id = full_id(runs, prefix)
        runs.log(run_id, (), values)
        _mirror(run_id, values, store)
        return judged(runs.get(run_id))


def _mirror(run_id: str, values: Values, store: str | RunStore | None) -> None:
    """Let the mirrors have what the store has been given; one that is down gets it later."""
    from exia.runs import entries, places
    from exia.runs.journal import journal_for

    mirrors = places.mirrors()
    if not mirrors:
        return
    # The log that runs of this process are told to, so that a mirror hears of the run first; a run with an open
    # store of its own has a log of its own, which ends with it.
    named = store is None or isinstance(store, str)
    journal = journal_for([places.place_of(store), *mirrors] if named else mirrors)  # type: ignore[arg-type]
    journal.put(entries.log(run_id, values, only="mirror"))
    journal.commit(_PATIENCE, _PATIENCE)


def full_id(runs: RunStore, prefix: str) -> str:
    """Return the one id in `runs` that begins with `prefix`; errors as in `get_run`."""
    found = runs.ids(prefix, 3) if len(prefix) >= _FEW else []
    if prefix in found or len(found) == 1:
        return prefix if prefix in found else found[0]
    if found:
        raise BadInput(
            f"{len(found)} runs or more begin with {prefix!r}", hint=f"write more of it, such as {_told(found)}"
        )
    if len(prefix) < _FEW and prefix in runs.ids(prefix, 1):
        return prefix
    raise RunNotFound(f"there is no run {prefix!r}", hint="exia runs list")


@contextmanager
def opened(store: str | RunStore | None) -> Iterator[RunStore]:
    """Give the store at a URL, closed afterwards, or an open one as it is."""
    runs = open_runs(store) if store is None or isinstance(store, str) else store
    try:
        yield runs
    finally:
        if runs is not store:
            runs.close()


def _found(runs: RunStore, where: str | None, name: str | None, status: Status | None) -> Iterator[RunRecord]:
    fits = parse_filter(where) if where is not None else None
    stored = "running" if status == "lost" else status
    if fits is not None and name is None:
        name = fits.exactly.get("name")
    after: str | None = None
    while page := runs.find(name, stored, _PAGE, after):
        for record in map(judged, page):
            if (status is None or record.status == status) and (fits is None or fits(record)):
                yield record
        after = page[-1].id


def _counted(limit: int | None) -> Iterator[int]:
    return iter(range(limit)) if limit is not None else iter(int, 1)


def _told(ids: list[str]) -> str:
    """Return as much of the first id as parts it from the others."""
    first, *others = ids
    for length in range(1, len(first)):
        if not any(other.startswith(first[:length]) for other in others):
            return first[:length]
    return first
