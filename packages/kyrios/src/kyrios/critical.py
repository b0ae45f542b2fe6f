"""What a flow waits for: the units whose time is the time of the whole, and what a faster one would give.

The edge to networkx: `as_networkx` gives the graph to whatever its algorithms answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kyrios._house.errors import nearest
from kyrios.errors import BadInput, MissingExtra, NotFound
from kyrios.graph import Graph
from kyrios.run import Run

_END = ""  # where all units lead; none has this name


@dataclass(frozen=True)
class Timed:
    """One unit of a flow that as many workers run as it can use; times in seconds from the flow's start.

    Parameters
    ----------
    slack
        By how much it may take longer before the whole flow does; nothing on the critical path.
    """

    unit: str
    seconds: float
    start: float
    end: float
    slack: float


@dataclass(frozen=True)
class Schedule:
    """How long a flow takes at least, and why.

    Parameters
    ----------
    path
        The critical path: units in their order whose seconds add up to `seconds`.
    units
        Every unit, in the order of the flow.
    """

    seconds: float
    path: tuple[str, ...]
    units: tuple[Timed, ...]


def as_networkx(graph: Graph, seconds: Mapping[str, float] | None = None) -> Any:
    """Return a `networkx.DiGraph` of the units; what is in `seconds` is the node's ``seconds``, 0 otherwise.

    Raises
    ------
    MissingExtra
        If networkx is not installed.
    """
    try:
        import networkx
    except ModuleNotFoundError as exc:
        raise MissingExtra(
            f"this needs {exc.name}, which is not installed", hint="pip install 'jiyuan-kyrios[graph]'"
        ) from exc
    found: Any = networkx.DiGraph(name=graph.flow)
    for task in graph.tasks:
        found.add_node(task.name, seconds=float((seconds or {}).get(task.name, 0.0)), unit=task.unit, group=task.group)
    found.add_edges_from(graph.edges)
    return found


def schedule(graph: Graph, seconds: Mapping[str, float]) -> Schedule:
    """Return how long the flow takes at least where each unit takes `seconds`, and its critical path."""
    import networkx

    nodes = as_networkx(graph, seconds)
    order = list(networkx.topological_sort(nodes))
    start: dict[str, float] = {}
    latest: dict[str, float] = {}
    took = dict(nodes.nodes(data="seconds"))
    for name in order:
        start[name] = max((start[before] + took[before] for before in nodes.predecessors(name)), default=0.0)
    whole = max(start[name] + took[name] for name in order)
    for name in reversed(order):
        latest[name] = min((latest[after] for after in nodes.successors(name)), default=whole) - took[name]
    # networkx weighs edges: each one bears the seconds of the unit that it comes from, and all end in one place.
    for before, _, facts in nodes.edges(data=True):
        facts["seconds"] = took[before]
    nodes.add_edges_from(((name, _END) for name in order), seconds=0.0)
    for name in order:
        nodes[name][_END]["seconds"] = took[name]
    path = networkx.dag_longest_path(nodes, weight="seconds")[:-1]
    units = tuple(
        Timed(name, took[name], _round(start[name]), _round(start[name] + took[name]),
              max(0.0, _round(latest[name] - start[name])))
        for name in graph.names
    )  # fmt: skip
    return Schedule(_round(whole), tuple(path), units)


def what_if(graph: Graph, seconds: Mapping[str, float], faster: Mapping[str, float]) -> Schedule:
    """Return the schedule where each unit in `faster` is so many times as fast; 0.5 is half as fast.

    Raises
    ------
    NotFound
        If the flow has no such unit.
    BadInput
        If a number is not above 0.
    """
    for name, times in faster.items():
        if name not in graph.names:
            raise NotFound(f"the flow {graph.flow} has no unit {name!r}", hint=nearest(name, graph.names))
        if not 0 < times < float("inf"):
            raise BadInput(f"{name} cannot be {times:g} times as fast", hint=f"--faster {name}=2")
    return schedule(graph, {name: took / faster.get(name, 1.0) for name, took in seconds.items()})


def durations(graph: Graph, run: Run | None = None) -> dict[str, float]:
    """Return the seconds of each unit in `run`; without a run each counts as 1 s, and one that did not run as 0."""
    if run is None:
        return dict.fromkeys(graph.names, 1.0)
    took = {task.name: task.seconds for task in run.tasks}
    return {name: took.get(name) or 0.0 for name in graph.names}


def _round(seconds: float) -> float:
    return round(seconds, 6)
