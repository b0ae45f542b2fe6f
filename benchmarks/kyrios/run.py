"""What a local run costs per node: 1,000 units that do nothing, in 20 layers of 50, three parents each.

Three measures: the engine alone with its state events in memory; the same with every event in a durable SQLite
record; and a whole `Flow.run`, with its head, logs, lineage and code digests. Rounds are interleaved with their
peers; the figure is the median of wall times, for threads and a disk are part of what is measured.
"""

from __future__ import annotations

import gc
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

from kyrios import Flow, Graph, Task, open_engine, open_history
from kyrios.engine import Job
from kyrios.execution import Execution
from kyrios.graph import ordered
from kyrios.history import Head
from kyrios.state import State

_ROUNDS = 7
_LAYERS, _WIDTH = 20, 50
NODES = _LAYERS * _WIDTH
_NOTHING: dict[str, Any] = {}


def layered(flow: str = "layers") -> Graph:
    """Return the graph of 1,000 nodes."""
    tasks = []
    for layer in range(_LAYERS):
        for i in range(_WIDTH):
            above = tuple(sorted(f"t{layer - 1:02}_{(i + k) % _WIDTH:02}" for k in range(3))) if layer else ()
            tasks.append(Task(f"t{layer:02}_{i:02}", "nothing", "1.0", "nothing:nothing", after=above))
    return Graph(flow, "1.0", ordered(tasks))


def figures() -> list[dict[str, Any]]:
    """Measure and return one dict per figure; the harness adds date, cpu and commit."""
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {"KYRIOS_HOME": folder}):
        (Path(folder) / "nothing.py").write_text("def nothing():\n    return None\n", encoding="utf-8")
        graph = layered()
        dask = _dask(graph)
        runs: dict[str, Callable[[], float]] = {
            "memory": lambda: _memory(graph),
            "durable": lambda: _durable(graph, Path(folder)),
            "whole": lambda: _whole(graph, Path(folder)),
        }
        if dask:
            runs["dask"] = dask[1]
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(_ROUNDS):
            for name, run in runs.items():
                gc.collect()
                times[name].append(run() * 1e6 / NODES)
    median = {name: statistics.median(found) for name, found in times.items()}
    peer: dict[str, Any] = {"peer": dask[0] if dask else None, "peer_value": median.get("dask")}
    return [
        _figure("memory", "local run of 1,000 empty nodes, states in memory, per node", median["memory"], 10, **peer),
        _figure("durable", "the same with every state in a durable record, per node", median["durable"], 40, **peer),
        _figure("whole", "the same as Flow.run: head, logs, code digests, lineage, per node", median["whole"], None),
    ]


def _figure(
    name: str, what: str, value: float, bar: float | None, peer: str | None = None, peer_value: float | None = None
) -> dict[str, Any]:
    return {
        "id": f"kyrios-run-{name}",
        "library": "kyrios",
        "figure": what,
        "value": round(value, 2),
        "unit": "us",
        "bar": bar,
        "better": "low",
        "peer": peer,
        "peer_value": None if peer_value is None else round(peer_value, 2),
        "rounds": _ROUNDS,
    }


def _no_order(tasks: Sequence[Task], ended: Mapping[str, State] | None, number: int) -> str:
    return ""


def _memory(graph: Graph) -> float:
    steps: list[Any] = []
    engine: Any = open_engine("local")
    began = time.perf_counter()
    engine.run(Job(graph, (), lambda task, abandoned, number: _NOTHING, steps.extend, _no_order))
    took = time.perf_counter() - began
    assert len(steps) == 3 * NODES
    return took


def _durable(graph: Graph, folder: Path) -> float:
    from kyrios import open_data

    engine: Any = open_engine("local")
    with open_history(f"sqlite://{folder}/durable.db") as history:
        head = Head(
            f"run-{time.time_ns()}", "", graph.flow, graph.digest, "local", "", "", "", "", {}, graph.canonical, {}
        )
        execution = Execution(graph, folder, history.begin(head), open_data("memory://"), history)
        began = time.perf_counter()
        engine.run(Job(graph, (), lambda task, abandoned, number: _NOTHING, execution.record, _no_order))
        took = time.perf_counter() - began
        assert len(history.events(head.run_id)) == 3 * NODES
    return took


def _whole(graph: Graph, folder: Path) -> float:
    began = time.perf_counter()
    run = Flow(folder, graph).run(data="memory://")
    took = time.perf_counter() - began
    assert run.state == "succeeded"
    return took


def _dask(graph: Graph) -> tuple[str, Callable[[], float]] | None:
    """Return dask's threaded scheduler on the same graph; nothing where it is not installed."""
    try:
        from dask.threaded import get
    except ImportError:
        return None

    def nothing(*above: Any) -> None:
        return None

    form = {task.name: (nothing, *task.upstream) for task in graph.tasks}

    def run() -> float:
        began = time.perf_counter()
        get(form, list(form), num_workers=2)
        return time.perf_counter() - began

    return f"dask {version('dask')} threaded get, 2 workers, no record", run
