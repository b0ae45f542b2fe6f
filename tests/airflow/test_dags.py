"""Rendered DAG files in a real Airflow: imported without errors, and run with the outputs of a local run."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from unittest import mock

import jsonschema
import pytest

import kyrios

ROOT = Path(__file__).parents[2]
FLOWS = sorted(p.parent for p in (ROOT / "examples" / "flows").glob("*/flow.yaml"))
KYRIOS = Path(sys.executable).with_name("kyrios")

_IMPORT = """
import json, sys, warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    from airflow.dag_processing.dagbag import DagBag
    said.clear()
    bag = DagBag(sys.argv[1])
ours = [str(w.message) for w in said if w.filename.startswith(sys.argv[1])]
tasks = {d: sorted(f"{u}>{t.task_id}" for t in dag.tasks for u in t.upstream_task_ids) for d, dag in bag.dags.items()}
print("ANSWER" + json.dumps({"errors": bag.import_errors, "warnings": ours, "edges": tasks}))
"""


@pytest.fixture(params=FLOWS, ids=lambda p: p.name)
def flow(request, tmp_path, preparations):
    prepared = preparations.get(request.param.name, preparations["hello"])(tmp_path / "prepared")
    with mock.patch.dict(os.environ, {"KYRIOS_HOME": str(tmp_path / "home"), **prepared.environment}):
        yield kyrios.load_flow(request.param), prepared


def test_a_rendered_dag_is_imported_without_errors_and_with_every_edge(airflow, flow):
    found, prepared = flow
    found.render("airflow", airflow.dags, command=str(KYRIOS), params=prepared.params)

    done = airflow.call("python", "-c", _IMPORT, str(airflow.dags))

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.partition("ANSWER")[2])
    assert answer["errors"] == {}
    assert answer["warnings"] == []
    assert answer["edges"][found.name] == sorted(f"{before}>{after}" for before, after in found.graph.edges)


def test_an_airflow_run_gives_byte_for_byte_the_outputs_of_a_local_run(airflow, flow, tmp_path):
    found, prepared = flow
    found.render("airflow", airflow.dags, command=str(KYRIOS), params=prepared.params)
    local = found.run(prepared.params)
    # Airflow's tasks must make their tables themselves, not find those that the local run has kept.
    for kept in Path(os.environ["KYRIOS_HOME"]).rglob("objects"):
        shutil.rmtree(kept)

    environment = {"KYRIOS_HOME": str(tmp_path / "home"), **prepared.environment}
    done = airflow.call("airflow", "dags", "test", found.name, **environment)

    assert done.returncode == 0, done.stdout + done.stderr
    there = next(run for run in kyrios.runs() if run.head.engine == "airflow")
    assert _outputs(there) == _outputs(local)
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
