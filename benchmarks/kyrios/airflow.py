"""What rendered DAGs cost a real Airflow, beside DAGs that a person would write by hand.

Parse: `DagBag` over 200 rendered DAGs of 20 units, against 200 hand-written files with the same tasks and edges; CPU
time in one process of Airflow's environment, the two in turn.

Run: a DAG of 20 units that do nothing, in five chains, under a real scheduler with `LocalExecutor` and two processes;
the median of what Airflow says that a task took from start to end. Its peer is a hand-written DAG of twenty
`BashOperator`s with the command `true`, run in turn by the same scheduler. A unit's task is a fork of the process that
stands by in the flow's own environment (which the first run, not counted, leaves behind); it reads the flow and records
state, log and lineage durably. `true` does nothing of that, but it starts a shell, which reads the user's `~/.bashrc`
where there is one: Airflow 3 gives its tasks a socket as their input.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.kyrios.render import flow_of

import kyrios
from kyrios import render

_ROUNDS = 5
_FLOWS, _UNITS = 200, 20
_BY_HAND = """\
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG
import pendulum

with DAG(
    dag_id={name!r},
    schedule=None,
    start_date=pendulum.datetime(2020, 1, 1, tz="UTC"),
    catchup=False,
) as dag:
"""
_PARSE = """
import gc, json, sys, time
from airflow.dag_processing.dagbag import DagBag
rounds, folders = int(sys.argv[1]), sys.argv[2:]
times = {folder: [] for folder in folders}
for number in range(rounds + 1):
    for folder in folders:
        gc.collect()
        began = time.process_time()
        bag = DagBag(folder)
        taken = time.process_time() - began
        assert not bag.import_errors and len(bag.dags) == 200, (bag.import_errors, len(bag.dags))
        if number:  # the first reads what is not in the disk's cache
            times[folder].append(taken)
print("ANSWER" + json.dumps([times[folder] for folder in folders]))
"""


def figures() -> list[dict[str, Any]]:
    """Measure and return one dict per figure; nothing where Airflow is not installed."""
    from tests.airflow.running import Airflow

    with tempfile.TemporaryDirectory(prefix="airflow-") as name:
        folder = Path(name)
        told = {"KYRIOS_HOME": str(folder / "kyrios")}
        if not Airflow(folder / "look").installed:
            return []
        with mock.patch.dict(os.environ, told):
            version, rendered, by_hand = _parsed(folder)
            ours, theirs = _ran(folder, told)
    ratio = statistics.median(a / b for a, b in zip(rendered, by_hand, strict=True))
    return [
        _figure("parse", f"parse of {_FLOWS} rendered DAGs by Airflow, as a multiple of hand-written ones, CPU time",
                ratio, "x", 1.10, f"{_FLOWS} hand-written files, Airflow {version}", 1.0),
        _figure("task", "real Airflow run of 20 units that do nothing, start to end of a unit, median",
                statistics.median(ours), "s", 0.15, f"BashOperator with true, by hand, Airflow {version}",
                statistics.median(theirs)),
    ]  # fmt: skip


def _figure(name: str, what: str, value: float, unit: str, bar: float, peer: str, peer_value: float) -> dict[str, Any]:
    return {
        "id": f"kyrios-airflow-{name}",
        "library": "kyrios",
        "figure": what,
        "value": round(value, 3),
        "unit": unit,
        "bar": bar,
        "better": "low",
        "peer": peer,
        "peer_value": round(peer_value, 3),
        "rounds": _ROUNDS,
    }


def _parsed(folder: Path) -> tuple[str, list[float], list[float]]:
    """Return Airflow's version, and the seconds of each round for the rendered files and for those by hand."""
    from tests.airflow.running import Airflow

    airflow = Airflow(folder / "parse")
    airflow.migrate()
    flows = [flow_of(folder / "flows", number) for number in range(_FLOWS)]
    ours, theirs = folder / "rendered", folder / "by-hand"
    render.write(render.planned_in(flows, "airflow", out=ours), ours)
    theirs.mkdir()
    for flow in flows:
        graph = kyrios.load_flow(flow).graph
        edges = [(above, task.name) for task in graph.tasks for above in task.upstream]
        _write_by_hand(theirs / f"{graph.flow}.py", [task.name for task in graph.tasks], edges, "kyrios run-unit")
    done = airflow.call("python", "-c", _PARSE, str(_ROUNDS), str(ours), str(theirs))
    if done.returncode:
        raise RuntimeError(done.stderr)
    rendered, by_hand = json.loads(done.stdout.rpartition("ANSWER")[2])
    return airflow.call("airflow", "version").stdout.strip(), rendered, by_hand


def _write_by_hand(path: Path, tasks: list[str], edges: list[tuple[str, str]], command: str) -> None:
    lines = [f"    {task} = BashOperator(task_id={task!r}, bash_command={command!r})" for task in tasks]
    lines += [f"    {above} >> {task}" for above, task in edges]
    path.write_text(_BY_HAND.format(name=path.stem) + "\n".join(lines) + "\n", encoding="utf-8")


def _ran(folder: Path, told: dict[str, str]) -> tuple[list[float], list[float]]:
    """Return the seconds of each task of the runs of a rendered DAG, and of those of one by hand."""
    from tests.airflow.running import Scheduled

    airflow = Scheduled(folder / "airflow", told=told)
    flow = kyrios.load_flow(_chains(folder / "chains"))
    command = Path(sys.executable).with_name("kyrios")
    subprocess.run([str(command), "--version"], check=True, capture_output=True)
    flow.render("airflow", airflow.dags, command=str(command))
    names = [task.name for task in flow.graph.tasks]
    edges = [(above, task.name) for task in flow.graph.tasks for above in task.upstream]
    _write_by_hand(airflow.dags / "by_hand.py", names, edges, "true")
    found: dict[str, list[float]] = {"chains": [], "by_hand": []}
    with airflow.running():
        for dag in found:
            airflow.wait(lambda dag=dag: airflow.knows(dag), f"{dag} is known")  # type: ignore[misc]
        for number in range(_ROUNDS + 1):
            for dag, times in found.items():
                run = airflow.trigger(dag)
                airflow.wait(lambda dag=dag, run=run: airflow.ended(dag, run), f"{run} has ended")  # type: ignore[misc]
                tasks = airflow.tasks(dag, run)
                assert all(task["state"] == "success" for task in tasks), tasks
                times += [task["duration"] for task in tasks if number]
    return found["chains"], found["by_hand"]


def _chains(folder: Path) -> Path:
    """Write the flow of 20 units in five chains; return its folder."""
    flow = flow_of(folder, 0)
    lines = ["kyrios: 1\nflow: chains\ninfo: {version: '1.0', summary: Five chains}\nunits:"]
    for number in range(_UNITS):
        above = f"u{number - 5:02}" if number >= 5 else ""
        lines.append(f"  u{number:02}: {{use: step@1, after: [{above}]}}")
    (flow / "flow.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return flow
