"""A process that records runs is killed or loses power: every run and metric that was acknowledged is there."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.faults.figures import Faults
from tests.faults.tools import kill, power

pytestmark = pytest.mark.skipif(kill.available() is not None, reason=str(kill.available()))

RUNS = 4
METRICS = 50  #: between two flushes; two flushes a run
KILLS = 50
LOSSES = 300

#: Records runs; says when each has started, what of its metrics is flushed, and that it has finished.
RECORD = """
import sys
import exia
for n in range(int(sys.argv[2])):
    with exia.run("fault", params={"n": n}, store=f"sqlite:{sys.argv[1]}/runs.db") as run:
        print("started", run.id, flush=True)
        for flush in (1, 2):
            for _ in range(int(sys.argv[3])):
                run.log_metric("loss", 1.0)
            run.flush()
            print("flushed", run.id, flush * int(sys.argv[3]), flush=True)
    print("finished", run.id, flush=True)
"""


def argv(folder: Path) -> list[str]:
    return [sys.executable, "-c", RECORD, str(folder), str(RUNS), str(METRICS)]


def harm(folder: Path, acknowledged: Sequence[str], at: object) -> str | None:
    """Return what the fault did to what was acknowledged, None if nothing."""
    from exia.errors import ExiaError
    from exia.runs import open_runs

    if not acknowledged:
        return None
    try:
        store = open_runs(f"sqlite:{folder}/runs.db")
        try:
            for line in acknowledged:
                word, run_id, *count = line.split()
                record = store.get(run_id)
                points = store.points(run_id, "loss")
                if [p.seq for p in points] != list(range(len(points))):
                    return f"{at}: metrics of {run_id} have gaps"
                if word == "flushed" and len(points) < int(count[0]):
                    return f"{at}: {len(points)} metrics, {count[0]} acknowledged"
                if word == "finished" and record.status != "finished":
                    return f"{at}: {run_id} is {record.status}"
        finally:
            store.close()
    except ExiaError as exc:
        return f"{at}: {exc}"
    return None


def test_runs_survive_the_kill_of_the_process_that_records_them(tmp_path: Path, faults: Faults):
    figure = faults.figure("runs-kill", "exia", "kill -9 while runs are recorded (sqlite)")
    folder = tmp_path / "home"

    for point in kill.spread(kill.points(argv(folder)), faults.count(KILLS)):
        shutil.rmtree(folder, ignore_errors=True)
        run = kill.kill_at(point, argv(folder))
        figure.survives(harm(folder, run.acknowledged, point))

    assert figure.lost == 0, figure.harms


def test_runs_survive_a_power_loss(tmp_path: Path, faults: Faults):
    figure = faults.figure("runs-power", "exia", "power loss while runs are recorded (sqlite)")
    recording = power.record(argv(tmp_path), tmp_path)

    for loss in recording.losses(faults.count(LOSSES)):
        loss.restore()
        figure.survives(harm(tmp_path, loss.acknowledged, loss.at))

    assert figure.lost == 0, figure.harms


def test_a_new_home_survives_a_power_loss_with_the_runs_in_it(tmp_path: Path, faults: Faults):
    figure = faults.figure("runs-power-new-home", "exia", "power loss while the first runs of a new home are recorded")
    home = tmp_path / "data" / "exia"
    recording = power.record(argv(home), tmp_path)

    for loss in recording.losses(faults.count(LOSSES)):
        loss.restore()
        figure.survives(harm(home, loss.acknowledged, loss.at))

    assert figure.lost == 0, figure.harms


def test_a_new_home_survives_where_an_fsync_settles_older_names_as_on_ext4_and_xfs(tmp_path: Path, faults: Faults):
    home = tmp_path / "data" / "new"
    recording = power.record(argv(home), tmp_path)

    harms = []
    for loss in recording.losses(faults.count(LOSSES), names="journalled"):
        loss.restore()
        harms.append(harm(home, loss.acknowledged, loss.at))

    assert not any(harms)
