"""A local run is killed or loses power: what has succeeded is kept, and the resumed run gives the same tables."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.faults.figures import Faults
from tests.faults.tools import kill, power

pytestmark = pytest.mark.skipif(kill.available() is not None, reason=str(kill.available()))

RUN_ID = "01900000-0000-7000-8000-000000000001"
UNITS = ("source", "left", "right", "join")
KILLS = 80
LOSSES = 300

FLOW = """\
kyrios: 1
flow: diamond
info: {version: "1.0", summary: A diamond of four units, owner: tests}
units:
  source: {use: source@1}
  left: {use: left@1, in: {values: source.values}}
  right: {use: right@1, in: {values: source.values}}
  join: {use: join@1, in: {left: left.values, right: right.values}}
"""
UNIT = """\
kyrios: 1
unit: NAME
info: {version: "1.0", summary: One unit, owner: tests}
run: {call: "units:NAME"}
interface:
  inputs: {INPUTS}
  outputs:
    values: {type: table}
"""
CODE = """
import pyarrow as pa

def source():
    return pa.table({"n": list(range(500))})

def left(values):
    return pa.table({"n": [2 * v.as_py() for v in values["n"]]})

def right(values):
    return pa.table({"n": [v.as_py() + 1 for v in values["n"]]})

def join(left, right):
    return pa.table({"n": [a.as_py() * b.as_py() for a, b in zip(left["n"], right["n"])]})
"""
#: Runs the flow and says each unit that has succeeded, and the end.
RUN = """
import sys
import kyrios

def said(event):
    if event.task and event.state == "succeeded":
        print(event.task, flush=True)

run = kyrios.load_flow(sys.argv[1]).run(run_id=sys.argv[2], workers=2, on_event=said)
print("end", run.state, flush=True)
"""


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a flow of four units."""
    folder = tmp_path_factory.mktemp("flow")
    (folder / "flow.yaml").write_text(FLOW)
    (folder / "units.py").write_text(CODE)
    (folder / "units").mkdir()
    inputs = {"source": "", "left": "values: {type: table}", "right": "values: {type: table}",
              "join": "left: {type: table}, right: {type: table}"}  # fmt: skip
    for name in UNITS:
        text = UNIT.replace("NAME", name).replace("INPUTS", inputs[name])
        (folder / "units" / f"{name}.yaml").write_text(text)
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KYRIOS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", "")
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def argv(flow: Path) -> list[str]:
    return [sys.executable, "-c", RUN, str(flow), RUN_ID]


def outputs(home: Path) -> dict[str, str]:
    """Return the digest of each output table."""
    found = (home / "data" / RUN_ID / "outputs").glob("*.arrow")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def harm(acknowledged: Sequence[str], at: object) -> str | None:
    """Return what the fault did to what was acknowledged, None if nothing."""
    import kyrios

    try:
        run = kyrios.get_run(RUN_ID)
    except kyrios.RunNotFound:
        return f"{at}: no run after {acknowledged[-1]}" if acknowledged else None
    except kyrios.KyriosError as exc:
        return f"{at}: {exc}"
    for line in acknowledged:
        if line.startswith("end"):
            if run.state != "succeeded":
                return f"{at}: the run is {run.state}"
        elif run.task(line).state != "succeeded":
            return f"{at}: {line} is {run.task(line).state}"
    for task in run.tasks:
        for output in task.outputs:
            path = Path(run.data.where(f"{RUN_ID}/{output['path']}"))
            if not path.is_file():
                return f"{at}: {task.name} succeeded without its output"
            if f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" != output["digest"]:
                return f"{at}: the output of {task.name} is torn"
    return None


def went_on(home: Path, flow: Path, acknowledged: Sequence[str], wanted: dict[str, str]) -> str | None:
    """Resume the run, and return what is wrong with what it leaves."""
    import kyrios

    again: list[str] = []

    def started(event: kyrios.Event) -> None:
        if event.task and event.state == "running":
            again.append(event.task)

    found = kyrios.load_flow(flow)
    try:
        known = kyrios.get_run(RUN_ID)
        done = known.state == "succeeded"
    except kyrios.RunNotFound:
        done = False
        found.run(run_id=RUN_ID, workers=2)
    else:
        if not done:
            found.run(resume=RUN_ID, workers=2, on_event=started)
    if kyrios.get_run(RUN_ID).state != "succeeded":
        return "the resumed run has not succeeded"
    if twice := set(again) & set(acknowledged):
        return f"{sorted(twice)} ran again after they had succeeded"
    return None if outputs(home) == wanted else "the resumed run gave other tables"


def test_a_run_that_is_killed_keeps_what_has_succeeded_and_resumes_to_the_same_tables(
    home: Path, flow: Path, faults: Faults
):
    figure = faults.figure("run-kill", "kyrios", "kill -9 of a local run at a write, fsync or rename")
    points = kill.points(argv(flow))
    wanted = outputs(home)
    assert len(wanted) == len(UNITS)

    for point in kill.spread(points, faults.count(KILLS)):
        shutil.rmtree(home)
        home.mkdir()
        run = kill.kill_at(point, argv(flow))
        figure.survives(harm(run.acknowledged, point) or went_on(home, flow, run.acknowledged, wanted))

    assert figure.lost == 0, figure.harms


def test_a_run_that_loses_power_keeps_what_has_succeeded(home: Path, flow: Path, faults: Faults):
    figure = faults.figure("run-power", "kyrios", "power loss during a local run")
    recording = power.record(argv(flow), home)
    assert "end succeeded" in recording.run.acknowledged, recording.run.stderr

    for loss in recording.losses(faults.count(LOSSES)):
        loss.restore()
        figure.survives(harm(loss.acknowledged, loss.at))

    assert figure.lost == 0, figure.harms


def test_a_new_home_survives_a_power_loss_with_the_runs_in_it(home: Path, flow: Path, faults: Faults):
    figure = faults.figure("run-power-new-home", "kyrios", "power loss during the first local run of a new home")
    home.rmdir()
    recording = power.record(argv(flow), home.parent)

    for loss in recording.losses(faults.count(LOSSES)):
        loss.restore()
        figure.survives(harm(loss.acknowledged, loss.at))

    assert figure.lost == 0, figure.harms


def test_a_new_home_survives_where_an_fsync_settles_older_names_as_on_ext4_and_xfs(
    home: Path, flow: Path, faults: Faults
):
    home.rmdir()
    recording = power.record(argv(flow), home.parent)

    harms = []
    for loss in recording.losses(faults.count(LOSSES), names="journalled"):
        loss.restore()
        harms.append(harm(loss.acknowledged, loss.at))

    assert not any(harms)
