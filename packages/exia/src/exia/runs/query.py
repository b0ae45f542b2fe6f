"""Find runs by a filter, and one run by the beginning of its id."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from exia.errors import BadInput, RunNotFound
from exia.runs import RunRecord, RunStore, Status, open_runs
from exia.runs.filter import parse_filter
from exia.runs.life import judged

_PAGE = 200
_FEW = 4  # letters of an id, or every word would be the beginning of one


def find_runs(
    where: str | None = None,
    *,
    name: str | None = None,
    status: Status | None = None,
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
    limit
        How many at most; None for all.
    store
        A URL, an open store, or None for the configured one.

    Raises
    ------
    BadInput
        If `where` cannot be understood; the message says at which column.
    """
    with opened(store) as runs:
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
