"""The example flows give the same bytes, and every unit the same end, on every engine that runs flows from here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

import kyrios

ROOT = Path(__file__).parents[2]
#: Those that need nothing prepared; `momentum` is run by the demo and by Airflow.
FLOWS = sorted(p.parent.name for p in (ROOT / "examples/flows").glob("*/flow.yaml") if p.parent.name != "momentum")

Result = tuple[str, dict[str, bytes], list[tuple[str, str]]]


def needs(module: str) -> pytest.MarkDecorator:
    """Skip without the driver of an engine."""
    return pytest.mark.skipif(find_spec(module) is None, reason=f"no module {module}; run: scripts/install servers")


ENGINES = [
    pytest.param("celery", marks=[pytest.mark.celery, pytest.mark.redis, pytest.mark.mysql, needs("celery")]),
    pytest.param("dask:?workers=2", marks=[pytest.mark.dask, needs("distributed")]),
    pytest.param("ray:?workers=2", marks=[pytest.mark.ray, needs("ray")]),
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the home that this process and all workers share."""
    home = tmp_path_factory.mktemp("engines") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KYRIOS_HOME", str(home))
        yield home


@pytest.fixture(scope="module")
def engines(shared: Path) -> Iterator[dict[str, str]]:
    """Give the URL of each engine by its word; Celery's workers are started when they are first asked for."""
    started: list[subprocess.Popen[bytes]] = []

    class Engines(dict[str, str]):
        def __missing__(self, word: str) -> str:
            url = word
            if word == "celery":
                url = os.environ["KYRIOS_TEST_REDIS_URL"].replace("redis:", "celery:", 1) + f"?queue=m{os.getpid()}"
                words = [sys.executable, "-c", "from kyrios.cli import main; main()", "worker", "--engine", url]
                log = (shared.parent / "worker.log").open("wb")
                with log:
                    started.append(subprocess.Popen(words, cwd=shared.parent, stdout=log, stderr=log))
            self[word] = url
            return url

    yield Engines()
    for worker in started:
        worker.terminate()
        worker.wait(timeout=30)


@pytest.fixture(scope="module")
def run(shared: Path) -> Callable[[str, str], Result]:
    """Give the function that runs an example flow on an engine; what is asked for again is not run again."""
    marks = shared.parent / "marks"
    marks.mkdir()

    @cache
    def run(name: str, engine: str) -> Result:
        for mark in marks.iterdir():
            mark.unlink()  # the first try must fail in each run
        shutil.rmtree(shared / "data" / "cache", ignore_errors=True)  # and each engine make its tables itself
        params = {"mark": str(marks)} if name == "retry" else {}
        return result(kyrios.load_flow(ROOT / "examples/flows" / name).run(params, engine=engine))

    return run


def result(run: kyrios.Run) -> Result:
    """Return how a run has ended, the bytes of every table, and every state that every unit passed through."""
    outputs = ((task.name, output) for task in run.tasks for output in task.outputs)
    tables = {f"{name}.{o['name']}": bytes(run.data.get(f"{run.run_id}/{o['path']}")) for name, o in outputs}
    return run.state.value, tables, sorted((event.task, event.state.value) for event in run.events)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_gives_on_every_engine_the_bytes_and_states_of_a_local_run(name, engine, engines, run, monkeypatch):
    local = run(name, "local")
    if engine == "celery":
        monkeypatch.setenv("KYRIOS_HISTORY", os.environ["KYRIOS_TEST_MYSQL_URL"])
    there = run(name, engines[engine])

    assert local[0] == "succeeded"
    assert there == local


def test_there_are_at_least_twelve_example_flows_and_one_of_a_thousand_units():
    assert len(FLOWS) >= 12
    assert len(kyrios.load_flow(ROOT / "examples/flows/thousand").graph.tasks) >= 1000
