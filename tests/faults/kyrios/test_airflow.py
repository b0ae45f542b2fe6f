"""Units, and the scheduler with all its tasks, are killed under a real Airflow: each run completes by itself."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.airflow.running import Scheduled
from tests.faults.figures import Faults
from tests.faults.kyrios.test_engines import UNITS, harm, kill_one, slow

KILLS = 40
RESTARTS = 4
KYRIOS = Path(sys.executable).with_name("kyrios")


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduled]:
    """Give an Airflow that runs, with the slow flow in it."""
    import kyrios

    folder = tmp_path_factory.mktemp("airflow")
    told = {"KYRIOS_HOME": str(folder / "kyrios")}
    found = Scheduled(folder / "home", told=told)
    if not found.installed:
        pytest.skip("Airflow is not installed in .venv-airflow; run: make test-airflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KYRIOS_HOME", told["KYRIOS_HOME"])
        flow = kyrios.load_flow(slow(folder / "flow", more="defaults: {retries: 2, retry_delay: 1s}\n"))
        flow.render("airflow", found.dags, command=str(KYRIOS))
        with found.running():
            found.wait(lambda: found.knows("slow"), "the DAG is known")
            yield found


def finished(airflow: Scheduled, name: str, notes: Path) -> str | None:
    """Wait for the end of a run; return what the kill did to it, None if nothing."""
    import kyrios

    airflow.wait(lambda: airflow.ended("slow", name), f"{name} has ended", longest=300)
    return harm(kyrios.get_run(f"slow.{name}"), notes)


def test_a_unit_that_is_killed_under_airflow_is_the_only_one_that_runs_again(
    airflow: Scheduled, tmp_path: Path, faults: Faults
):
    figure = faults.figure("engine-kill-airflow", "kyrios", "kill -9 of a unit's process under Airflow's LocalExecutor")

    for n in range(faults.count(KILLS)):
        notes = tmp_path / f"notes-{n}"
        killer = threading.Thread(target=kill_one, args=(notes, 1 + n % UNITS))
        killer.start()
        name = airflow.trigger("slow", notes=str(notes))
        problem = finished(airflow, name, notes)
        killer.join()
        figure.survives(problem)

    assert figure.lost == 0, figure.harms


def test_an_airflow_scheduler_that_is_killed_with_its_tasks_and_started_again_completes_the_run(
    airflow: Scheduled, tmp_path: Path, faults: Faults
):
    figure = faults.figure(
        "engine-restart-airflow", "kyrios", "kill -9 of Airflow's scheduler with its tasks, and a start"
    )

    for n in range(faults.count(RESTARTS)):
        notes = tmp_path / f"notes-{n}"
        name = airflow.trigger("slow", notes=str(notes))
        calls = 1 + n % UNITS
        airflow.wait(partial(called, notes, calls), f"call {calls}")
        airflow.kill("scheduler")
        airflow.start("scheduler")
        figure.survives(finished(airflow, name, notes))

    assert figure.lost == 0, figure.harms


def called(notes: Path, calls: int) -> bool:
    """Tell whether so many calls are noted."""
    return notes.exists() and len(notes.read_text().splitlines()) >= calls
