"""Runs as they are recorded: their state, their tasks, their tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kyrios._house.errors import nearest
from kyrios.data import Data, open_data
from kyrios.errors import NotFound
from kyrios.history import Head, open_history
from kyrios.state import Event, State

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class TaskRun:
    """What became of one task; times are UTC, ISO 8601."""

    name: str
    state: State = State.DECLARED
    started: str | None = None
    ended: str | None = None
    seconds: float | None = None
    attempts: int = 0
    error: str | None = None
    log: str | None = None
    reason: str | None = None
    code: str | None = None
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    packages: list[dict[str, Any]] = field(default_factory=list)
    datasets: list[dict[str, Any]] = field(default_factory=list)


class Run:
    """One run of a flow, from its record.

    Parameters
    ----------
    head
        What was known when it began.
    events
        What has happened since.
    """

    def __init__(self, head: Head, events: Sequence[Event], data: Data | None = None) -> None:
        self.head = head
        self.run_id = head.run_id
        self.events = tuple(events)
        self._data = data
        graph = json.loads(head.graph)
        self._tasks = {t["name"]: TaskRun(t["name"], inputs=dict(sorted(t["inputs"].items()))) for t in graph["tasks"]}
        self.state = State.DECLARED
        self.started: str | None = None
        self.ended: str | None = None
        for event in events:
            self._apply(event)

    @property
    def tasks(self) -> list[TaskRun]:
        """The tasks in the order in which one worker runs them."""
        return list(self._tasks.values())

    def task(self, name: str) -> TaskRun:
        """Return one task; raise `NotFound` if the flow has none of this name."""
        if name not in self._tasks:
            raise NotFound(f"the run {self.run_id} has no unit {name!r}", hint=f"its units: {', '.join(self._tasks)}")
        return self._tasks[name]

    @property
    def data(self) -> Data:
        """Where the run's tables lie."""
        if self._data is None:
            # The address was recorded without its password; the setting may know it.
            self._data = open_data(None if "***" in self.head.data else self.head.data)
        return self._data

    def table(self, output: str) -> pa.Table:
        """Return the table that ``unit.port`` has given; raise `NotFound` if it has not."""
        from kyrios.tables import from_bytes

        unit, _, port = output.partition(".")
        given = [o["name"] for o in self.task(unit).outputs]
        if port not in given:
            hint = nearest(output, [f"{unit}.{name}" for name in given]) or f"kyrios runs show {self.run_id}"
            raise NotFound(f"the run {self.run_id} has no table {output!r}", hint=hint)
        return from_bytes(self.data.get(f"{self.run_id}/outputs/{output}.arrow"))

    @property
    def where(self) -> str:
        """Folder or URL below which the run's ``outputs/`` and ``lineage.json`` lie."""
        return self.data.where(f"{self.run_id}/lineage.json").rpartition("/")[0]

    @property
    def lineage(self) -> dict[str, Any]:
        """The lineage record that the run has written; raise `NotFound` if it has not yet."""
        record: dict[str, Any] = json.loads(bytes(self.data.get(f"{self.run_id}/lineage.json")))
        return record

    @property
    def seconds(self) -> float | None:
        """Seconds from the last start to the end, by the wall clock."""
        from datetime import datetime

        if not self.started or not self.ended:
            return None
        return (datetime.fromisoformat(self.ended) - datetime.fromisoformat(self.started)).total_seconds()

    def _apply(self, event: Event) -> None:
        running, ended = event.state == State.RUNNING, event.state not in _UNDERWAY
        if not event.task:
            self.state = event.state
            self.started = (event.at if running else None) or self.started
            self.ended = event.at if ended else None
            return
        task, detail = self._tasks[event.task], event.detail
        if event.state == State.QUEUED:
            task = self._tasks[event.task] = TaskRun(event.task, inputs=task.inputs)
        task.state = event.state
        if running:
            task.started, task.attempts = event.at, int(detail.get("attempt", 1))
        task.ended = event.at if ended else None
        for key in ("seconds", "error", "log", "reason", "code", "outputs", "packages", "datasets"):
            if key in detail:
                setattr(task, key, detail[key])


_UNDERWAY = (State.DECLARED, State.QUEUED, State.RUNNING, State.UP_FOR_RETRY)


def runs(limit: int = 100, *, history: str | None = None) -> list[Run]:
    """Return the newest runs, newest first.

    Parameters
    ----------
    history
        URL of the record; None is the setting.
    """
    with open_history(history) as record:
        return [Run(head, record.events(head.run_id)) for head in record.heads(limit)]


def get_run(run_id: str, *, history: str | None = None) -> Run:
    """Return one run by its id; raise `RunNotFound` if there is none."""
    with open_history(history) as record:
        head = record.head(run_id)
        return Run(head, record.events(head.run_id))


def outputs_of(run: Run) -> Mapping[str, str]:
    """Return ``unit.port`` to the path or URL of each table of `run`."""
    return {
        f"{task.name}.{output['name']}": run.data.where(f"{run.run_id}/{output['path']}")
        for task in run.tasks
        for output in task.outputs
    }
