"""Where the records of runs are kept; opened by URL."""

from __future__ import annotations

from typing import cast

from exia.errors import ExiaError
from exia.runs.port import KINDS, STATUSES, Kind, Point, RunRecord, RunSink, RunStore, Status, Values

__all__ = [
    "KINDS",
    "STATUSES",
    "Kind",
    "Point",
    "RunRecord",
    "RunSink",
    "RunStore",
    "Status",
    "Values",
    "open_runs",
]


def open_runs(url: str | None = None) -> RunStore:
    """Open the store of runs at `url`, or the configured one: ``EXIA_RUNS``, ``jiyuan.toml``, ``sqlite://``.

    What dead processes of this machine have left undelivered is delivered to it first, for two seconds at most.

    Raises
    ------
    UnknownBackend
        If no store has this URL scheme.
    MissingExtra
        If its driver is not installed.
    BackendUnavailable
        If it does not answer.
    """
    from exia.runs.backlog import deliver_backlog
    from exia.runs.places import place_of
    from exia.runs.shipper import log

    place = place_of(url)
    store = cast(RunStore, place.open())
    try:
        deliver_backlog(place, store)
    except (ExiaError, OSError) as exc:  # what is there can be read all the same
        log.warning("what waits on this disk was not delivered: %s", exc)
    return store
