"""Flows run here: their tables, their record, their lineage, and what is left when they stop half way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import pyarrow as pa
import pytest

import kyrios
from kyrios.state import TRANSITIONS, State

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/reference/lineage.schema.json").read_text(encoding="utf-8"))


def kyrios_command(*words, **environment):
    return subprocess.run(
        [sys.executable, "-c", "from kyrios.cli import main; main()", *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def bytes_of(run):
    return {p.name: p.read_bytes() for p in sorted((Path(run.where) / "outputs").glob("*.arrow"))}


def test_a_run_gives_the_tables_of_its_units(sums):
    run = kyrios.load_flow(sums).run({"first": 10})

    assert run.state == "succeeded"
    assert run.table("both.sums").to_pydict() == {"n": [40, 44]}
    assert run.table("numbers.numbers").to_pydict() == {"n": [10, 11]}


def test_two_runs_give_the_same_bytes_with_one_worker_and_with_many(sums):
    flow = kyrios.load_flow(sums)

    assert bytes_of(flow.run(workers=1)) == bytes_of(flow.run(workers=4))
    assert sorted(bytes_of(flow.run())) == [
        "again.numbers.arrow",
        "both.sums.arrow",
        "double.numbers.arrow",
        "numbers.numbers.arrow",
    ]


def test_how_a_table_was_put_together_does_not_show_in_its_bytes():
    from kyrios.tables import to_bytes

    whole = pa.table({"n": [1, 2, None, 4], "s": ["a", None, "c", "d"]})
    parts = pa.concat_tables([whole.slice(0, 1), whole.slice(1, 2), whole.slice(3)])

    assert to_bytes(parts) == to_bytes(whole)
    assert to_bytes(pa.concat_tables([whole, whole]).slice(4)) == to_bytes(whole)


def test_a_run_on_memory_leaves_no_file_of_data(sums, home):
    run = kyrios.load_flow(sums).run(data="memory://")

    assert run.table("both.sums").num_rows == 2
    assert not (home / "data").exists()


def test_runs_are_listed_newest_first_and_found_by_their_id(sums):
    flow = kyrios.load_flow(sums)
    first, second = flow.run({"first": 1}), flow.run({"first": 2})

    assert [run.run_id for run in kyrios.runs()] == [second.run_id, first.run_id]
    assert kyrios.get_run(first.run_id).head.params == {"first": 1}
    assert kyrios.get_run(first.run_id).table("numbers.numbers").to_pydict() == {"n": [1, 2]}
    with pytest.raises(kyrios.RunNotFound):
        kyrios.get_run("none")


def test_only_legal_transitions_are_recorded_and_every_task_is_told_of_once(sums):
    heard = []
    run = kyrios.load_flow(sums).run(on_event=heard.append)

    assert tuple(heard) == run.events
    now = {}
    for event in run.events:
        assert event.state in TRANSITIONS[now.get(event.task, State.DECLARED)]
        now[event.task] = event.state
    assert now == dict.fromkeys(["", "numbers", "double", "again", "both"], State.SUCCEEDED)


def test_the_lineage_says_what_gave_the_results_and_fits_its_schema(sums):
    run = kyrios.load_flow(sums).run({"first": 3})

    lineage = run.lineage
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(lineage, SCHEMA, cls=jsonschema.Draft202012Validator)
    assert lineage["flow"] == kyrios.load_flow(sums).digest
    assert lineage["parameters"]["values"] == {"first": 3}
    assert lineage["packages"] == [{"ref": "add@1", "name": "add", "version": "1.0.0", "digest": "sha256:" + "0" * 64}]
    assert lineage["datasets"] == [
        {"name": "daily", "version": "7", "rows": 2, "first": "20200101", "last": "20200102"}
    ]
    both = next(task for task in lineage["tasks"] if task["unit"] == "both")
    assert both["inputs"] == {"left": "double.numbers", "right": "again.numbers"}
    assert both["outputs"][0]["path"] == "outputs/both.sums.arrow"
    assert lineage["environment"]["distributions"]["pyarrow"] == pa.__version__


def test_what_a_unit_uses_can_only_be_said_inside_a_running_unit():
    with pytest.raises(kyrios.KyriosError, match="outside a running unit"):
        kyrios.uses_package(ref="a", name="a", version="1", digest="sha256:0")
    with pytest.raises(kyrios.KyriosError, match="outside a running unit"):
        kyrios.uses_dataset(name="a", version="1")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"frist": 1}, "the flow sums has no parameter 'frist'"),
        ({"first": "one"}, "'first' of numbers must be of type integer, not 'one'"),
        ({"first": True}, "'first' of numbers must be of type integer, not True"),
        ({"first": None}, "the parameter 'first' has no value, but numbers needs it"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_refused_before_anything_is_recorded(sums, home, given, said):
    with pytest.raises(kyrios.BadInput, match=said):
        kyrios.load_flow(sums).run(given)

    assert kyrios.runs() == []


def test_a_parameter_inside_a_text_becomes_part_of_it(sums):
    sums.flow("""
        kyrios: 1
        flow: sums
        info: {version: "1.0"}
        params: {day: "20200101", top: 2}
        units: {say: {use: say@1, with: {text: "from ${params.day}, ${params.top} of them", whole: "${params.top}"}}}
    """)
    sums.unit("say", "{params: {text: {type: string}, whole: {type: integer}}, outputs: {said: {type: table}}}")
    sums.code("import pyarrow as pa\ndef say(*, text, whole):\n    return pa.table({'text': [text], 'n': [whole]})\n")

    said = kyrios.load_flow(sums).run({"top": 5}).table("say.said")
    assert said.to_pydict() == {"text": ["from 20200101, 5 of them"], "n": [5]}


def test_a_failure_names_the_unit_the_users_line_and_the_log(sums, monkeypatch, home):
    monkeypatch.setenv("BREAK", "1")
    with pytest.raises(kyrios.UnitFailed) as caught:
        kyrios.load_flow(sums).run()

    message = str(caught.value)
    assert "ValueError: the numbers are wrong" in message
    assert f"{sums.folder / 'units.py'}:12, in double" in message
    assert str(home / "logs") in message
    log = Path(caught.value.log).read_text()
    assert "Traceback" in log
    run = kyrios.runs()[0]
    assert run.state == "failed"
    assert {t.name: t.state for t in run.tasks} == {
        "numbers": "succeeded",
        "double": "failed",
        "again": "failed",
        "both": "skipped",
    }
    assert run.lineage["state"] == "failed"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return None", "it must return a dict of tables"),
        ("return {'numbers': 3}", "output 'numbers' must be a pyarrow Table, not int"),
        ("return {}", "what it returned lacks numbers"),
        ("return {'numbers': pa.table({'n': [1]}), 'more': 1}", "what it returned has more too"),
        ("return pa.table({'m': [1]})", "output 'numbers' lacks the column 'n'"),
        ("return pa.table({'n': ['x']})", "column 'n' of output 'numbers' must be int64, not string"),
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("raise SystemExit(0)", "SystemExit"),
    ],
)
def test_what_a_unit_returns_is_held_to_its_interface(sums, home, body, said):
    sums.code(
        f"import pyarrow as pa\ndef double(numbers): ...\ndef both(left, right): ...\ndef numbers(**_):\n    {body}\n"
    )

    with pytest.raises(kyrios.UnitFailed, match=said):
        kyrios.load_flow(sums).run()
    assert list((home / "data").rglob("*.arrow")) == []


def test_what_a_unit_prints_and_logs_goes_to_its_log_and_not_to_stdout(sums, home, capsys):
    run = kyrios.load_flow(sums).run({"first": 7})

    assert capsys.readouterr().out == ""
    assert "first is 7" in (home / "logs" / run.run_id / "numbers.log").read_text()


ONCE = """
import pathlib, uuid
def _once(folder):
    tries = pathlib.Path(folder)
    tries.mkdir(exist_ok=True)
    (tries / uuid.uuid4().hex).touch()
    if len(list(tries.iterdir())) < 3:
        raise OSError("not yet")
"""


def test_a_unit_is_tried_again_as_its_file_says(sums, tmp_path):
    sums.unit(
        "double",
        "{inputs: {numbers: {type: table}}, outputs: {numbers: {type: table}}}",
        ", retries: 2, retry_delay: 1ms",
    )
    mark = tmp_path / "tried"
    sums.replace("units.py", "def double(numbers):", f"def double(numbers):\n    _once({str(mark)!r})")
    sums.replace("units.py", "import os", f"import os\n{ONCE}")

    run = kyrios.load_flow(sums).run(workers=1)

    assert run.state == "succeeded"
    assert sum(task.attempts for task in run.tasks) == 6


def test_a_unit_that_gives_no_result_in_time_fails_and_its_late_result_is_dropped(sums, home):
    sums.unit("double", "{inputs: {numbers: {type: table}}, outputs: {numbers: {type: table}}}", ", timeout: 20ms")
    sums.replace(
        "units.py", "def double(numbers):", "import threading\ndef double(numbers):\n    threading.Event().wait(0.2)"
    )

    with pytest.raises(kyrios.UnitFailed, match=r"no result within 0\.02 s"):
        kyrios.load_flow(sums).run()
    assert {t.name: t.state for t in kyrios.runs()[0].tasks}["both"] == "skipped"


def test_a_run_that_failed_goes_on_without_running_again_what_has_succeeded(sums, monkeypatch):
    flow = kyrios.load_flow(sums)
    monkeypatch.setenv("BREAK", "1")
    with pytest.raises(kyrios.UnitFailed) as caught:
        flow.run({"first": 5})
    monkeypatch.delenv("BREAK")

    run = flow.run(resume=caught.value.run_id)

    assert run.state == "succeeded"
    assert run.head.params == {"first": 5}
    assert [e.state for e in run.events if e.task == "numbers"] == ["queued", "running", "succeeded"]
    assert bytes_of(run) == bytes_of(flow.run({"first": 5}))


def test_an_output_that_was_changed_since_is_made_again(sums, monkeypatch):
    flow = kyrios.load_flow(sums)
    monkeypatch.setenv("BREAK", "1")
    with pytest.raises(kyrios.UnitFailed) as caught:
        flow.run()
    monkeypatch.delenv("BREAK")
    where = Path(kyrios.get_run(caught.value.run_id).where)
    (where / "outputs" / "numbers.numbers.arrow").write_bytes(b"torn")

    assert flow.run(resume=caught.value.run_id).state == "succeeded"
    assert bytes_of(kyrios.get_run(caught.value.run_id)) == bytes_of(flow.run())


def test_a_run_cannot_go_on_with_other_parameters_or_another_flow_or_after_its_end(sums, flow_folder, monkeypatch):
    flow = kyrios.load_flow(sums)
    done = flow.run()
    with pytest.raises(kyrios.Conflict, match="nothing to resume"):
        flow.run(resume=done.run_id)
    with pytest.raises(kyrios.BadInput, match="keeps its parameters"):
        flow.run({"first": 2}, resume=done.run_id)
    sums.replace("flow.yaml", "{first: 1}", "{first: 2}")
    with pytest.raises(kyrios.Conflict, match="another version"):
        kyrios.load_flow(sums).run(resume=done.run_id)
    with pytest.raises(kyrios.RunNotFound):
        flow.run(resume="none")


KILL = """
import os, pathlib, signal, threading
def stop():
    mark = pathlib.Path(os.environ["MARK"])
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), getattr(signal, os.environ["SIGNAL"]))
        threading.Event().wait()
"""


@pytest.mark.parametrize("unit", ["double", "both"])
@pytest.mark.parametrize(("name", "code"), [("SIGKILL", -signal.SIGKILL), ("SIGINT", 130)])
def test_a_run_that_is_killed_or_interrupted_goes_on_from_where_it_was(sums, tmp_path, unit, name, code):
    flow = kyrios.load_flow(sums)
    expected = bytes_of(flow.run())
    for head in ("def numbers(*, first, factor):", "def double(numbers):", "def both(left, right):"):
        if head.startswith(f"def {unit}("):
            sums.replace("units.py", head, f"{KILL}\n{head}\n    stop()")
    environment = {"MARK": str(tmp_path / "mark"), "SIGNAL": name}

    stopped = kyrios_command("run", str(sums.folder), **environment)
    assert stopped.returncode == code, stopped.stderr
    left = kyrios.runs()[0]
    assert left.state == ("running" if name == "SIGKILL" else "cancelled")
    finished = {t.name for t in left.tasks if t.state == "succeeded"}

    done = kyrios_command("run", "--resume", left.run_id, "--json", **environment)
    assert done.returncode == 0, done.stderr
    run = kyrios.get_run(left.run_id)
    assert run.state == "succeeded"
    assert bytes_of(run) == expected
    for task in finished:
        assert [e.state for e in run.events if e.task == task] == ["queued", "running", "succeeded"]
    jsonschema.validate(run.lineage, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_a_run_that_another_process_holds_is_left_alone(sums, monkeypatch):
    from kyrios.execution import sole_owner

    flow = kyrios.load_flow(sums)
    monkeypatch.setenv("BREAK", "1")
    with pytest.raises(kyrios.UnitFailed) as caught:
        flow.run()

    with sole_owner(caught.value.run_id), pytest.raises(kyrios.Conflict, match="running in another process"):
        flow.run(resume=caught.value.run_id)


def test_units_that_a_scheduler_calls_one_by_one_give_the_run_of_one_process(sums):
    flow = kyrios.load_flow(sums)
    local = flow.run({"first": 4})

    for unit in flow.graph.names:
        state = flow.run_unit(unit, run_id="sums.manual__1", params={"first": 4}, digest=flow.digest).state
        assert state == ("succeeded" if unit == "both" else "running")

    run = kyrios.get_run("sums.manual__1")
    assert bytes_of(run) == bytes_of(local)
    assert sorted((e.task, e.state) for e in run.events) == sorted((e.task, e.state) for e in local.events)
    assert run.lineage["packages"] == local.lineage["packages"]
    jsonschema.validate(run.lineage, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_a_unit_that_is_called_twice_runs_once(sums):
    flow = kyrios.load_flow(sums)
    first = flow.run_unit("numbers", run_id="r")
    again = flow.run_unit("numbers", run_id="r")

    assert again.events == first.events


def test_a_unit_that_failed_may_be_called_again(sums, monkeypatch):
    flow = kyrios.load_flow(sums)
    flow.run_unit("numbers", run_id="r")
    monkeypatch.setenv("BREAK", "1")
    with pytest.raises(kyrios.UnitFailed):
        flow.run_unit("double", run_id="r")
    assert kyrios.get_run("r").state == "failed"
    monkeypatch.delenv("BREAK")

    assert flow.run_unit("double", run_id="r").state == "running"


def test_what_a_failure_cuts_off_is_skipped_in_the_record_of_a_schedulers_run_too(sums, monkeypatch):
    flow = kyrios.load_flow(sums)
    monkeypatch.setenv("BREAK", "1")
    with pytest.raises(kyrios.UnitFailed):
        flow.run(run_id="here", workers=1)
    flow.run_unit("numbers", run_id="there")
    for unit in ("again", "double"):
        with pytest.raises(kyrios.UnitFailed):
            flow.run_unit(unit, run_id="there")

    here, there = kyrios.get_run("here"), kyrios.get_run("there")
    assert {t.name: t.state for t in there.tasks} == {t.name: t.state for t in here.tasks}
    assert there.task("both").state == "skipped"
    steps = [sorted((e.task, e.state) for e in run.events if e.task) for run in (here, there)]
    assert steps[0] == steps[1]


def test_a_try_that_the_scheduler_repeats_is_up_for_retry_and_not_failed(sums, monkeypatch):
    sums.unit("double", DOUBLE_AGAIN, run=", retries: 1, retry_delay: 1ms")
    flow = kyrios.load_flow(sums)
    flow.run_unit("numbers", run_id="r")
    monkeypatch.setenv("BREAK", "1")
    with pytest.raises(kyrios.UnitFailed):
        flow.run_unit("double", run_id="r", attempt=1)
    assert kyrios.get_run("r").task("double").state == "up_for_retry"
    assert kyrios.get_run("r").state == "running"
    monkeypatch.delenv("BREAK")
    flow.run_unit("double", run_id="r", attempt=2)

    steps = [e.state for e in kyrios.get_run("r").events if e.task == "double"]
    assert steps == ["queued", "running", "up_for_retry", "running", "succeeded"]


DOUBLE_AGAIN = """
    inputs: {numbers: {type: table, columns: {n: int64}}}
    outputs: {numbers: {type: table}}
"""


def test_a_unit_is_refused_before_those_before_it_or_with_another_flow_than_was_rendered(sums):
    flow = kyrios.load_flow(sums)
    with pytest.raises(kyrios.Conflict, match="double needs numbers, which has not succeeded"):
        flow.run_unit("double", run_id="r")
    with pytest.raises(kyrios.Conflict, match="has changed since this was rendered"):
        flow.run_unit("numbers", run_id="r", digest="sha256:0")
    with pytest.raises(kyrios.NotFound, match="no unit 'number'"):
        flow.run_unit("number", run_id="r")
    with pytest.raises(kyrios.BadInput, match="cannot be the id of a run"):
        flow.run_unit("numbers", run_id="../r")


def test_two_flows_may_call_their_module_by_the_same_name(sums, flow_folder):
    other = flow_folder("other")
    other.replace("units.py", 'numbers["n"], 2', 'numbers["n"], 3')

    assert kyrios.load_flow(sums).run().table("both.sums").to_pydict() == {"n": [4, 8]}
    assert kyrios.load_flow(other).run().table("both.sums").to_pydict() == {"n": [6, 12]}


def test_a_flow_cannot_be_run_on_an_engine_that_only_takes_files(sums):
    with pytest.raises(kyrios.BadInput, match="airflow runs flows by its own scheduler"):
        kyrios.load_flow(sums).run(engine="airflow")


def test_an_edit_within_the_same_second_and_of_the_same_size_is_what_runs(sums):
    program = "import sys, kyrios; print(kyrios.load_flow(sys.argv[1]).run(data='memory://').table('both.sums')['n'])"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    answers = []
    for factor in ("2", "3"):
        code = sums.code_text().replace('numbers["n"], 2)', f'numbers["n"], {factor})')
        sums.code(code)
        os.utime(sums.folder / "units.py", (1_600_000_000, 1_600_000_000))
        words = [sys.executable, "-c", program, str(sums.folder)]
        done = subprocess.run(words, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        answers.append(done.stdout)

    assert "4" in answers[0]
    assert "6" in answers[1]
