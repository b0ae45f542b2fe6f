"""The lineage records that Kyrios and Exia have written, each in its own place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from kyrios import Run

Record = Mapping[str, Any]
PAGE = 20_000  #: Events of the history that are read at once.


class Source(Protocol):
    """A library that writes lineage records."""

    @property
    def name(self) -> str:
        """The library, and where its record lies: another place has other runs."""

    def record(self, run_id: str) -> Record | None:
        """Return the record of one run, None if it is not known here."""

    def changes(self, after: int, known: Mapping[str, bool]) -> Iterator[tuple[list[Record], int]]:
        """Give records that are new or have changed, by the page, each with the number to go on from.

        Parameters
        ----------
        after
            The number of the last page that was kept; 0 for all.
        known
            The runs that are known, with whether they have ended for good.
        """


class FlowRuns:
    """Runs of flows, from the history of Kyrios."""

    def __init__(self) -> None:
        from kyrios._house.backends import BackendURL
        from kyrios._house.config import load_config
        from kyrios.settings import SETTINGS, home

        url = BackendURL.parse(load_config(SETTINGS).text("history"))
        place = str(url.file_path(home() / "history.db")) if url.scheme == "sqlite" else str(url)
        self.name = f"kyrios {place}"

    def record(self, run_id: str) -> Record | None:
        """Return what the run has written, or what is known of it while it runs."""
        from kyrios.errors import NotFound, RunNotFound
        from kyrios.run import get_run

        try:
            run = get_run(run_id)
        except RunNotFound:
            return None
        try:
            return run.lineage
        except NotFound:
            return flow_record(run)

    def changes(self, after: int, known: Mapping[str, bool]) -> Iterator[tuple[list[Record], int]]:
        """Follow the history of Kyrios."""
        from kyrios.history import open_history
        from kyrios.run import Run

        with open_history() as history:
            while True:
                told, upto = history.changed(after, PAGE)
                yield [_short(Run(history.head(i), history.events(i))) for i in told], upto
                if upto == after:
                    return
                after = upto


class AlgorithmRuns:
    """Runs of algorithms, from the runs of Exia."""

    def __init__(self) -> None:
        from exia.runs.places import place_of

        self.name = f"exia {place_of(None).name}"

    def record(self, run_id: str) -> Record | None:
        """Return the record of a run, as it is now."""
        from exia import get_run
        from exia.errors import BadInput, RunNotFound
        from exia.lineage import lineage_of

        try:
            found = get_run(run_id)
        except (RunNotFound, BadInput):
            return None
        return lineage_of(found) if found.id == run_id else None

    def changes(self, after: int, known: Mapping[str, bool]) -> Iterator[tuple[list[Record], int]]:
        """Give the runs that are not known, or had not ended."""
        from exia.lineage import lineage_of
        from exia.runs import open_runs
        from exia.runs.life import judged

        with _closing(open_runs()) as runs:
            new = [run_id for run_id in runs.ids("", 1 << 40) if not known.get(run_id)]
            for start in range(0, len(new), 1000):
                yield [lineage_of(judged(runs.get(i))) for i in new[start : start + 1000]], after


def sources() -> list[Source]:
    """Return everything that writes lineage records."""
    return [FlowRuns(), AlgorithmRuns()]


def flow_record(run: Run) -> Record:
    """Return the record of a flow's run as it is now, from the history alone."""
    import json

    from kyrios.graph import Graph
    from kyrios.lineage import lineage_of

    return lineage_of(run, Graph(run.head.flow, str(json.loads(run.head.graph)["version"]), ()))


def _short(run: Run) -> Record:
    """Return what a search needs of a record; the whole of it takes three times as long to make."""
    head = run.head
    return {
        "run_id": head.run_id,
        "trace_id": head.trace_id,
        "kind": "flow",
        "name": head.flow,
        "flow": head.digest,
        "engine": head.engine,
        "host": head.host,
        "state": run.state.value,
        "started": run.started,
        "ended": run.ended,
        "packages": [p for t in run.tasks for p in t.packages],
        "datasets": [d for t in run.tasks for d in t.datasets],
        "earlier": sorted({earlier(t.reason) for t in run.tasks if earlier(t.reason)}),
    }


def earlier(reason: str | None) -> str:
    """Return the run that a unit's outputs were taken from; empty if from none."""
    return (reason or "").removeprefix("from run ") if (reason or "").startswith("from run ") else ""


def _closing(thing: Any) -> Any:
    from contextlib import closing

    return closing(thing)
