"""Rendered DAG files in a real Airflow: imported without errors, and run with the outputs of a local run."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import jsonschema
import pytest

import kyrios
from kyrios.fusion import blocks

ROOT = Path(__file__).parents[2]
FLOWS = sorted(p.parent for p in (ROOT / "examples" / "flows").glob("*/flow.yaml"))
KYRIOS = Path(sys.executable).with_name("kyrios")

_IMPORT = """
import json, sys, warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    try:  # Airflow 3
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:
        from airflow.models.dagbag import DagBag
    said.clear()
    bag = DagBag(sys.argv[1])
ours = [str(w.message) for w in said if w.filename.startswith(sys.argv[1])]
tasks = {d: sorted(f"{u}>{t.task_id}" for t in dag.tasks for u in t.upstream_task_ids) for d, dag in bag.dags.items()}
print("ANSWER" + json.dumps({"errors": bag.import_errors, "warnings": ours, "edges": tasks}))
"""


_TEST = """
import json, os, sys
from airflow.cli import cli_parser
parser, codes = cli_parser.get_parser(), {}
for name, environment in json.loads(sys.argv[1]).items():
    os.environ.update(environment)
    try:
        args = parser.parse_args(["dags", "test", name])
        args.func(args)
        codes[name] = ""
    except BaseException as exc:
        codes[name] = f"{type(exc).__name__}: {exc}"
print("ANSWER" + json.dumps(codes))
"""


@dataclass(frozen=True)
class Rendered:
    """A flow whose DAG lies in Airflow's folder, with what it needs."""

    flow: kyrios.Flow
    prepared: Any
    environment: Mapping[str, str]


@pytest.fixture(scope="session")
def rendered(airflow, preparations, tmp_path_factory):
    """Render every example flow, each with a home of its own."""
    found = {}
    for folder in FLOWS:
        place = tmp_path_factory.mktemp(folder.name)
        prepared = preparations.get(folder.name, preparations["hello"])(place / "prepared")
        environment = {"KYRIOS_HOME": str(place / "home"), **prepared.environment}
        with mock.patch.dict(os.environ, environment):
            flow = kyrios.load_flow(folder)
            flow.render("airflow", airflow.dags, command=str(KYRIOS), params=prepared.params)
        found[folder.name] = Rendered(flow, prepared, environment)
    return found


@pytest.fixture(scope="session")
def answers(airflow, rendered):
    """Let `airflow dags test` run each of them, in one process: its start takes longer than most flows."""
    done = airflow.call("python", "-c", _TEST, json.dumps({name: dict(r.environment) for name, r in rendered.items()}))
    assert "ANSWER" in done.stdout, done.stdout + done.stderr
    return {name: (said, done) for name, said in json.loads(done.stdout.rpartition("ANSWER")[2]).items()}


def test_rendered_dags_are_imported_without_errors_and_with_every_edge(airflow, rendered):
    done = airflow.call("python", "-c", _IMPORT, str(airflow.dags))

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.partition("ANSWER")[2])
    assert answer["errors"] == {}
    assert answer["warnings"] == []
    for name, one in rendered.items():
        found = blocks(one.flow.graph)
        assert answer["edges"][name] == sorted(f"{before}>{block.name}" for block in found for before in block.upstream)


@pytest.mark.parametrize("name", [folder.name for folder in FLOWS])
def test_an_airflow_run_gives_byte_for_byte_the_outputs_of_a_local_run(name, answers, rendered, monkeypatch):
    one = rendered[name]
    said, done = answers[name]
    assert said == "", done.stdout[-20_000:] + done.stderr[-20_000:]
    for key, value in one.environment.items():
        monkeypatch.setenv(key, value)
    there = next(run for run in kyrios.runs() if run.head.engine == "airflow")
    outputs = _outputs(there)
    # The local run must make its tables itself, not find those that Airflow's tasks have kept.
    for kept in Path(one.environment["KYRIOS_HOME"]).rglob("objects"):
        shutil.rmtree(kept)
    one.prepared.again()
    local = one.flow.run(one.prepared.params)

    assert outputs == _outputs(local)
    assert there.state == local.state == "succeeded"
    assert _steps(there) == _steps(local)
    schema = json.loads((ROOT / "docs" / "reference" / "lineage.schema.json").read_text(encoding="utf-8"))
    for run in (there, local):
        jsonschema.validate(run.lineage, schema, cls=jsonschema.Draft202012Validator)
    for key in ("flow", "parameters", "packages", "datasets", "environment"):
        assert there.lineage[key] == local.lineage[key]


def _outputs(run: kyrios.Run) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((Path(run.where) / "outputs").glob("*.arrow"))}


def _steps(run: kyrios.Run) -> list[tuple[str, str]]:
    return sorted((event.task, event.state) for event in run.events)
