"""Workers are killed on each engine, and the broker restarts: the flow completes, only in-flight units run again."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.faults.figures import Faults
from tests.listening import is_loopback, listeners

KILLS = 40
UNITS = 6

UNIT = """\
kyrios: 1
unit: step
info: {version: "1.0", summary: One step, owner: tests}
run: {call: "units:step"}
interface:
  params: {name: {type: string}, notes: {type: string}}
  outputs: {values: {type: table}}
"""
CODE = """
import os
import threading
import pyarrow as pa

def step(*, name, notes):
    with open(notes, "a") as file:
        file.write(f"{name} {os.getpid()}\\n")
    threading.Event().wait(0.2)
    return pa.table({"name": [name] * 100})
"""


@pytest.fixture
def flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of a flow of six slow units, which note each call with their process."""
    monkeypatch.setenv("KYRIOS_HOME", str(tmp_path / "home"))
    return slow(tmp_path / "flow")


def slow(folder: Path, *, more: str = "") -> Path:
    """Write the flow of six slow units, with `more` in its file."""
    (folder / "units").mkdir(parents=True)
    (folder / "units" / "step.yaml").write_text(UNIT)
    (folder / "units.py").write_text(CODE)
    uses = []
    for i in range(UNITS):
        after = f"[u{i - 2}]" if i > 1 else "[]"
        uses.append(f'  u{i}: {{use: step@1, with: {{name: u{i}, notes: "${{params.notes}}"}}, after: {after}}}')
    (folder / "flow.yaml").write_text(
        f"kyrios: 1\nflow: slow\ninfo: {{version: '1.0', summary: Slow, owner: tests}}\n{more}"
        "params: {notes: ''}\nunits:\n" + "\n".join(uses) + "\n"
    )
    return folder


ENGINES = [
    pytest.param("celery", marks=[pytest.mark.celery, pytest.mark.redis]),
    pytest.param("dask:?workers=2", marks=pytest.mark.dask),
    pytest.param("ray:?workers=2", marks=pytest.mark.ray),
]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_worker_that_is_killed_costs_only_what_it_held(
    engine: str, flow: Path, tmp_path: Path, faults: Faults, request: pytest.FixtureRequest
):
    import kyrios

    word = engine.partition(":")[0]
    needs(word)
    url = request.getfixturevalue("celery") if engine == "celery" else engine
    figure = faults.figure(f"engine-kill-{word}", "kyrios", f"kill -9 of a worker of {word} inside a unit")
    loaded = kyrios.load_flow(flow)

    for n in range(faults.count(KILLS)):
        notes = tmp_path / f"notes-{n}"
        killer = threading.Thread(target=kill_one, args=(notes, 1 + n % UNITS))
        killer.start()
        run = loaded.run({"notes": str(notes)}, engine=url)
        killer.join()
        figure.survives(harm(run, notes))

    assert figure.lost == 0, figure.harms


def needs(word: str) -> None:
    """Skip where the driver is not installed; it is not imported here, for Ray must be imported by its engine."""
    if find_spec({"dask": "distributed"}.get(word, word)) is None:
        pytest.skip(f"{word} is not installed; run: scripts/install servers")


def kill_one(notes: Path, calls: int) -> None:
    """Kill the process of the call number `calls`, as soon as it is noted."""
    pause = threading.Event()
    for _ in range(3000):
        lines = notes.read_text().splitlines() if notes.exists() else []
        if len(lines) >= calls:
            os.kill(int(lines[calls - 1].split()[1]), signal.SIGKILL)
            return
        pause.wait(0.02)


def harm(run, notes: Path) -> str | None:
    """Return what the kill did to the run, None if nothing."""
    called = Counter(line.split()[0] for line in notes.read_text().splitlines())
    if run.state != "succeeded" or any(task.state != "succeeded" for task in run.tasks):
        return f"the run ended {run.state}"
    for i in range(UNITS):
        if run.table(f"u{i}.values").to_pydict() != {"name": [f"u{i}"] * 100}:
            return f"the output of u{i} is torn"
    again = [name for name, count in called.items() if count > 1]
    # Two run at once, and what the killed one held is all that may run again.
    return f"{', '.join(sorted(again))} ran again" if len(again) > 2 or max(called.values()) > 2 else None


@pytest.mark.parametrize("engine", ENGINES)
def test_no_engine_listens_outside_loopback(engine: str, flow: Path, tmp_path: Path, request: pytest.FixtureRequest):
    import kyrios

    word = engine.partition(":")[0]
    needs(word)
    url = request.getfixturevalue("celery") if engine == "celery" else engine
    before = listeners()

    assert kyrios.load_flow(flow).run({"notes": str(tmp_path / "notes")}, engine=url).state == "succeeded"

    assert {address for address in listeners() - before if not is_loopback(address)} == set()
