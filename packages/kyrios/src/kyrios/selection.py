"""Which units of a flow a run is for: all, some, or one and all after it; the rest comes from an earlier run."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from time import time
from typing import Any

from kyrios._house.errors import nearest
from kyrios.data import Data
from kyrios.engine.port import Step
from kyrios.errors import NotFound
from kyrios.graph import Graph
from kyrios.history import History
from kyrios.run import Run, TaskRun
from kyrios.state import SUCCESSFUL, State


@dataclass(frozen=True)
class PlannedUnit:
    """What a run would do with a unit: ``run``, ``take from before``, or ``leave out``."""

    unit: str
    what: str
    why: str = ""


@dataclass(frozen=True)
class Selection:
    """The units to run, and what takes the place of the others.

    Parameters
    ----------
    taken
        Units whose outputs come from an earlier run, with that run.
    left_out
        Units that nobody asked for.
    """

    chosen: frozenset[str]
    taken: Mapping[str, Run]
    left_out: frozenset[str]

    def plan(self, graph: Graph) -> list[PlannedUnit]:
        """Return what is done with each unit, in their order."""
        return [
            PlannedUnit(name, "take from before", f"run {self.taken[name].run_id}")
            if name in self.taken
            else PlannedUnit(name, "run" if name in self.chosen else "leave out")
            for name in graph.names
        ]

    def bring(self, run_id: str, data: Data) -> list[Step]:
        """Copy the outputs that are taken into the run; return the steps to record."""
        steps: list[Step] = []
        for name, run in self.taken.items():
            task = run.task(name)
            for output in task.outputs:
                data.put(f"{run_id}/{output['path']}", bytes(run.data.get(f"{run.run_id}/{output['path']}")))
            facts = {"code": task.code, "packages": task.packages, "datasets": task.datasets}
            steps.append(
                (name, State.CACHED, {"outputs": task.outputs, **facts, "reason": f"from run {run.run_id}"}, time())
            )
        steps += [(name, State.SKIPPED, {"reason": "not asked for"}, time()) for name in sorted(self.left_out)]
        return steps


def select(
    graph: Graph, history: History, *, only: Collection[str] = (), start: str | None = None, earlier: str | None = None
) -> Selection:
    """Return what a run does with each unit.

    Parameters
    ----------
    only
        The units to run; none are all.
    start
        Run this unit and all after it.
    earlier
        Id of the run that gives the outputs of the units before; None is the newest that has them.

    Raises
    ------
    NotFound
        If there is no such unit, or no earlier run with the outputs of a unit before.
    """
    chosen = {name for asked in only for name in _named(graph, asked)}
    if start:
        todo = list(_named(graph, start))
        while todo:
            name = todo.pop()
            if name not in chosen:
                chosen.add(name)
                todo += graph.downstream[name]
    if not chosen:
        chosen = set(graph.names)
    needed = {before for name in chosen for before in graph.task(name).upstream} - chosen
    runs = [history.head(earlier)] if earlier else [h for h in history.heads(50) if h.flow == graph.flow]
    found = [Run(head, history.events(head.run_id)) for head in runs] if needed else []
    taken = {}
    for name in sorted(needed):
        run = next((r for r in found if _has(r, name)), None)
        if run is None:
            hint = "run the whole flow once, or choose that unit too"
            raise NotFound(f"{name} has no outputs in an earlier run of {graph.flow}", hint=hint)
        taken[name] = run
    return Selection(frozenset(chosen), taken, frozenset(set(graph.names) - chosen - set(taken)))


def _named(graph: Graph, asked: str) -> list[str]:
    """Return the tasks of one unit: itself, and those that it was expanded into."""
    found = [name for name in graph.names if name == asked or name.startswith(f"{asked}-")]
    if not found:
        raise NotFound(f"the flow {graph.flow} has no unit {asked!r}", hint=nearest(asked, graph.names))
    return found


def _has(run: Run, name: str) -> bool:
    task = next((t for t in run.tasks if t.name == name), None)
    return task is not None and task.state in SUCCESSFUL and all(_whole(run, task, o) for o in task.outputs)


def _whole(run: Run, task: TaskRun, output: Mapping[str, Any]) -> bool:
    try:
        data = run.data.get(f"{run.run_id}/{output['path']}")
    except NotFound:
        return False
    return bool(f"sha256:{hashlib.sha256(data).hexdigest()}" == output["digest"])
