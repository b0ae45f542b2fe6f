"""The lineage records that Kyrios and Exia have written, each in its own place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
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
        """Return the record of one run, with the runs that it took outputs from as ``earlier``; None if unknown."""

    def changes(self, after: int, known: Mapping[str, bool]) -> Iterator[tuple[list[Record], int]]:
        """Give records that are new or have changed, by the page, each with the number to go on from.

        Parameters
        ----------
        after
            The number of the last page that was kept; 0 for all.
        known
            The runs that are known, with whether they have ended for good.
        """

    def close(self) -> None:
        """Let go of the record."""


class FlowRuns:
    """Runs of flows, from the history of Kyrios; opened once, for to find a backend takes longer than to ask it."""

    def __init__(self) -> None:
        from kyrios._house.config import load_config
        from kyrios.history import open_history
        from kyrios.settings import SETTINGS, home

        self.name = f"kyrios {_place(load_config(SETTINGS).text('history'), home() / 'history.db')}"
        self._history = open_history()

    def record(self, run_id: str) -> Record | None:
        """Return what the run has written, or what is known of it while it runs."""
        from kyrios.errors import NotFound, RunNotFound
        from kyrios.run import Run

        try:
            run = Run(self._history.head(run_id), self._history.events(run_id))
        except RunNotFound:
            return None
        try:
            return {**run.lineage, "earlier": _earlier(run)}
        except NotFound:
            return {**flow_record(run), "earlier": _earlier(run)}

    def changes(self, after: int, known: Mapping[str, bool]) -> Iterator[tuple[list[Record], int]]:
        """Follow the history of Kyrios."""
        from kyrios.run import Run

        history = self._history
        while True:
            told, upto = history.changed(after, PAGE)
            yield [_short(Run(history.head(i), history.events(i))) for i in told], upto
            if upto == after:
                return
            after = upto

    def close(self) -> None:
        """Close the history."""
        self._history.close()


class AlgorithmRuns:
    """Runs of algorithms, from the runs of Exia."""

    def __init__(self) -> None:
        from exia._house.config import home, load_config
        from exia.runs import open_runs
        from exia.settings import SETTINGS

        self.name = f"exia {_place(load_config(SETTINGS).text('runs'), home() / 'runs.db')}"
        self._runs = open_runs()

    def record(self, run_id: str) -> Record | None:
        """Return the record of a run, as it is now."""
        from exia.errors import RunNotFound
        from exia.lineage import lineage_of
        from exia.runs.life import judged

        try:
            return lineage_of(judged(self._runs.get(run_id)))
        except RunNotFound:
            return None

    def changes(self, after: int, known: Mapping[str, bool]) -> Iterator[tuple[list[Record], int]]:
        """Give the runs that are not known, or had not ended."""
        from exia.lineage import lineage_of
        from exia.runs.life import judged

        new = [run_id for run_id in self._runs.ids("", 1 << 40) if not known.get(run_id)]
        for start in range(0, len(new), 1000):
            yield [lineage_of(judged(self._runs.get(i))) for i in new[start : start + 1000]], after

    def close(self) -> None:
        """Close the runs."""
        self._runs.close()


@contextmanager
def sources() -> Iterator[list[Source]]:
    """Open everything that writes lineage records."""
    with closing(FlowRuns()) as flows, closing(AlgorithmRuns()) as algorithms:
        yield [flows, algorithms]


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
        "earlier": _earlier(run),
    }


def earlier(reason: str | None) -> str:
    """Return the run that a unit's outputs were taken from; empty if from none."""
    return (reason or "").removeprefix("from run ") if (reason or "").startswith("from run ") else ""


def _earlier(run: Run) -> list[str]:
    """Return the runs that a run took outputs from."""
    return sorted({found for task in run.tasks if (found := earlier(task.reason))})


def _place(url: str, default: Path) -> str:
    """Return where a record lies: its address without its password, or its file."""
    from jiyuan._house.backends import BackendURL

    found = BackendURL.parse(url)
    return str(found.file_path(default).absolute()) if found.scheme == "sqlite" else str(found)
