"""Service loops: ticks, what is changed while they run, what is refused, failures, and a tick that hangs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import kyrios
from kyrios import watching

ROOT = Path(__file__).parents[3]

FLOW = """
kyrios: 1
flow: beat
info: {version: "1.0", summary: "Counts."}
schedule: {every: 2ms}
params: {by: 1}
units:
  count: {use: count@1, with: {by: "${params.by}"}}
  double: {use: double@1, in: {numbers: count.numbers}}
"""
COUNT = """
    params: {by: {type: integer}}
    outputs: {numbers: {type: table, columns: {n: int64}}}
"""
DOUBLE = """
    inputs: {numbers: {type: table, columns: {n: int64}}}
    outputs: {numbers: {type: table}}
"""
CODE = """
import pyarrow as pa
import pyarrow.compute as pc
import kyrios

def count(*, by):
    memory = kyrios.memory()
    memory["n"] = memory.get("n", 0) + by
    return pa.table({"n": pa.array([memory["n"]], pa.int64())})

def double(numbers):
    return {"numbers": pa.table({"n": pc.multiply(numbers["n"], 2)})}
"""


@pytest.fixture
def beat(flow_folder):
    folder = flow_folder("beat")
    for name in ("numbers", "both"):
        (folder.folder / f"units/{name}.yaml").unlink()
    folder.flow(FLOW)
    folder.unit("count", COUNT)
    folder.unit("double", DOUBLE)
    folder.code(CODE)
    return folder


@pytest.fixture
def running():
    """Give the function that starts a loop in a thread; it ends with the test."""
    found = []

    def start(folder, **params):
        found.append(Running(folder, **params))
        return found[-1]

    yield start
    for one in found:
        one.loop.stop()
        one.thread.join(20)


class Running:
    """A loop in a thread of its own, which is told when something was taken or refused."""

    def __init__(self, folder, **params):
        self.said: list[str] = []
        self.news = threading.Condition()
        self.started = threading.Event()
        self.answer = None
        flow = kyrios.load_flow(folder)

        def run():
            self.answer = flow.loop(params, on_change=self.hear, on_start=self.begin)

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        assert self.started.wait(20)

    def begin(self, loop):
        self.loop = loop
        self.started.set()

    def hear(self, said):
        with self.news:
            self.said.append(said)
            self.news.notify_all()

    def wait_for(self, text):
        with self.news:
            assert self.news.wait_for(lambda: any(text in said for said in self.said), 20), self.said

    def end(self):
        self.loop.stop()
        self.thread.join(20)
        assert self.answer is not None
        return self.answer


def test_every_unit_runs_at_every_tick_and_remembers(beat):
    run, report = kyrios.load_flow(beat).loop(ticks=50)

    assert report.ticks == 50
    assert report.failed == 0
    assert run.state == "succeeded"
    assert run.table("count.numbers").to_pydict() == {"n": [50]}
    assert run.table("double.numbers").to_pydict() == {"n": [100]}
    assert run.lineage["run_id"] == run.run_id


def test_a_loop_ends_when_it_is_told_to(beat, running):
    loop = running(beat)

    run, report = loop.end()

    assert run.state == "succeeded"
    assert report.skipped == 0 or report.ticks >= 0


def test_new_code_is_taken_between_two_ticks_and_nothing_is_forgotten(beat, running):
    loop = running(beat)
    beat.code(CODE.replace('numbers["n"], 2)', 'numbers["n"], -1)'))
    loop.wait_for("taken at tick")

    run, report = loop.end()

    count = run.table("count.numbers")["n"][0].as_py()
    assert run.table("double.numbers")["n"].to_pylist() == [-count]
    assert count == report.ticks
    assert report.reloads >= 1


def test_a_mistake_is_refused_and_the_loop_goes_on(beat, running):
    loop = running(beat)
    beat.replace("flow.yaml", "count@1", "caunt@1")
    loop.wait_for("not taken: flows/beat/flow.yaml:7:16: there is no unit 'caunt'; did you mean 'count'?")
    beat.replace("flow.yaml", "caunt@1", "count@1")
    beat.code(CODE.replace("def double", "def dabble"))
    loop.wait_for("has no function 'double'")
    beat.code(CODE + "\n1 / 0\n")
    loop.wait_for("ZeroDivisionError")
    beat.code(CODE)
    loop.wait_for("taken at tick")

    run, report = loop.end()

    assert run.state == "succeeded"
    assert report.refused >= 3


def test_parameters_are_taken_by_the_next_tick_and_outlive_the_loop(beat, running):
    loop = running(beat, by=10)
    watching.tune(kyrios.load_flow(beat), {"by": 0})
    loop.wait_for("taken at tick")
    run, _ = loop.end()

    again, _ = kyrios.load_flow(beat).loop(ticks=3)

    assert run.table("count.numbers")["n"][0].as_py() % 10 == 0
    assert again.table("count.numbers")["n"].to_pylist() == [0]
    assert again.head.params == {"by": 0}
    watching.tune(kyrios.load_flow(beat), {}, clear=True)
    assert watching.tuned("beat") == {}


def test_a_parameter_that_does_not_fit_changes_nothing(beat):
    with pytest.raises(kyrios.BadInput, match="'by' of count must be of type integer"):
        watching.tune(kyrios.load_flow(beat), {"by": "many"})
    with pytest.raises(kyrios.BadInput, match="no parameter 'bye'"):
        watching.tune(kyrios.load_flow(beat), {"bye": 2})

    assert watching.tuned("beat") == {}


def test_a_unit_that_fails_costs_its_tick_and_what_needs_it(beat):
    beat.code(CODE.replace("return pa.table", 'assert memory["n"] % 2, "even"\n    return pa.table'))

    run, report = kyrios.load_flow(beat).loop(ticks=5)

    assert (report.ticks, report.failed) == (5, 2)
    assert "AssertionError: even" in report.error
    assert run.state == "succeeded"
    assert run.table("double.numbers").to_pydict() == {"n": [10]}


def test_a_unit_that_fails_in_the_last_tick_fails_the_run(beat):
    beat.code(CODE.replace("return pa.table", "1 / 0\n    return pa.table"))

    with pytest.raises(kyrios.UnitFailed, match="unit count failed: ZeroDivisionError") as raised:
        kyrios.load_flow(beat).loop(ticks=2)

    run = kyrios.get_run(raised.value.run_id)
    assert {task.name: task.state for task in run.tasks} == {"count": "failed", "double": "skipped"}
    assert run.state == "failed"


def test_a_tick_that_hangs_is_told(beat):
    beat.replace("flow.yaml", "{every: 2ms}", "{every: 2ms, watchdog: 100ms}")
    beat.code(
        "import threading\nhung = threading.Event()\n"
        + CODE.replace("return pa.table", "hung.wait(20)\n    return pa.table")
    )
    told = []

    def hangs(seconds):
        told.append(seconds)
        for module in [m for name, m in sys.modules.items() if name.startswith("_kyrios_units_")]:
            getattr(module, "hung", threading.Event()).set()

    kyrios.load_flow(beat).loop(ticks=1, on_hang=hangs)

    assert len(told) == 1
    assert told[0] >= 0.1


def test_two_loops_of_one_flow_do_not_run_at_once(beat, running):
    running(beat)

    with pytest.raises(kyrios.Conflict, match="loop-beat is running in another process"):
        kyrios.load_flow(beat).loop(ticks=1)


def test_a_flow_without_a_rate_is_no_loop(sums):
    with pytest.raises(kyrios.BadInput, match="the flow sums is no service loop"):
        kyrios.load_flow(sums).loop(ticks=1)


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("{every: 2ms, overrun: slip}", "'overrun' must be 'skip', 'queue' or 'merge', not 'slip'"),
        ("{cron: '0 1 * * *', overrun: skip}", "must hold every where it holds overrun or watchdog"),
        ("{every: 0.5ms}", "must tick at most every 1ms"),
    ],
)
def test_a_schedule_that_cannot_be_is_named(beat, schedule, said):
    beat.replace("flow.yaml", "{every: 2ms}", schedule)

    with pytest.raises(kyrios.FlowInvalid) as raised:
        kyrios.load_flow(beat)

    assert said in str(raised.value)


def test_outside_a_loop_it_is_the_first_tick_and_nothing_is_remembered():
    assert kyrios.tick().number == 0
    kyrios.memory()["n"] = 1
    assert kyrios.memory() == {}


def test_a_loop_in_python_has_a_rate_too():
    with kyrios.flow("small", every="5ms", overrun="merge", watchdog="1s") as small:

        @kyrios.unit
        def one() -> None: ...

        one()

    graph = small.flow.graph
    assert (graph.every, graph.overrun, graph.watchdog) == (0.005, "merge", 1.0)


def command(*words):
    return [sys.executable, "-c", "from kyrios.cli import main; main()", *words]


def test_the_command_says_how_the_loop_kept_its_rate(home):
    pulse = str(ROOT / "examples/flows/pulse")
    done = subprocess.run(command("loop", pulse, "--ticks", "20", "--json"), capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["ticks"] == 20
    assert answer["late_p99"] <= answer["late_longest"]
    said = subprocess.run(command("tune", pulse, "--param", "weight=0.5", "--json"), capture_output=True, text=True)
    status = json.loads(said.stdout)
    assert (status["state"], status["ticks"], status["tuned"]) == ("ended", 20, {"weight": 0.5})


def test_whoever_supervises_a_loop_ends_it_by_a_signal(beat):
    process = subprocess.Popen(
        command("loop", os.fspath(beat)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert "beat ticks every 0.002 s" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)

    assert process.returncode == 0
    assert "succeeded" in out


def test_a_loop_that_hangs_ends_its_process_and_says_where(beat):
    beat.replace("flow.yaml", "{every: 2ms}", "{every: 2ms, watchdog: 100ms}")
    beat.code("import threading\n" + CODE.replace("return pa.table", "threading.Event().wait(60)\n    return pa.table"))

    done = subprocess.run(command("loop", os.fspath(beat)), capture_output=True, text=True, timeout=50)

    assert done.returncode == 1
    assert "a tick takes 0." in done.stderr
    assert "units.py" in done.stderr


def may_go_first():
    words = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))"
    return subprocess.run([sys.executable, "-c", words], capture_output=True).returncode == 0


def test_a_loop_in_real_time_goes_first_and_gives_its_place_back(beat):
    before = os.sched_getscheduler(0)
    noted = CODE.replace('memory["n"] = ', 'memory["p"] = os.sched_getscheduler(0)\n    memory["n"] = ')
    beat.code("import os\n" + noted)
    held = {}

    def loop():
        kyrios.load_flow(beat).loop(ticks=2, realtime=True, on_start=lambda loop: held.update(loop=loop))

    if may_go_first():
        loop()
        assert held["loop"].memories["count"]["p"] == os.SCHED_FIFO
    else:
        with pytest.raises(kyrios.NotAllowed, match="may not ask for real time"):
            loop()
    assert os.sched_getscheduler(0) == before
