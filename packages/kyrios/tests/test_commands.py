"""The commands as a user meets them: results on stdout, the rest on stderr, the right exit code."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

import kyrios
from kyrios._house.command import run as run_command
from kyrios.cli import root

EXAMPLES = Path(__file__).parents[3] / "examples"


class Answer:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def call(capsys):
    def call(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            run_command(root, [str(word) for word in words])
        out, err = capsys.readouterr()
        return Answer(left.value.code, out, err)

    return call


def every_command(group=root, path=()):
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))
        else:
            yield (*path, name), command


def test_the_example_of_every_command_works(call, tmp_path):
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    run = kyrios.load_flow("examples/flows/hello").run()
    kyrios.load_flow("examples/flows/hello").render("airflow", "dags")
    for path, command in every_command():
        example = (command.epilog or "").partition("Example: ")[2].replace("RUN", run.run_id)
        if path[0] in ("completion", "serve") or path in (("token", "revoke"), ("token", "rotate")):
            continue  # for a shell to evaluate, without an end, or of a token that must exist: tests of their own
        words = shlex.split(example)
        assert words[: len(path) + 1] == ["kyrios", *path], path

        assert call(*words[1:]).code == 0, example


def test_run_prints_its_result_on_stdout_and_its_progress_on_stderr(call, sums):
    answer = call("run", sums.folder, "--param", "first=3", "--json")

    assert answer.code == 0
    assert answer.json["state"] == "succeeded"
    assert sorted(answer.json["outputs"]) == ["again.numbers", "both.sums", "double.numbers", "numbers.numbers"]
    assert all(Path(path).is_file() for path in answer.json["outputs"].values())
    assert "[4/4] succeeded    both" in answer.err
    assert "\x1b" not in answer.out + answer.err
    assert call("run", sums.folder, "--quiet").err == ""


def test_a_failed_run_exits_with_1_and_one_line_without_a_traceback(call, sums, monkeypatch):
    monkeypatch.setenv("BREAK", "1")
    answer = call("run", sums.folder)

    assert answer.code == 1
    assert answer.out == ""
    assert "Traceback" not in answer.err
    error = next(line for line in answer.err.splitlines() if line.startswith("error:"))
    assert f"{sums.folder / 'units.py'}:12, in double" in error
    run = kyrios.runs()[0]
    assert f"hint: kyrios runs logs {run.run_id}" in answer.err
    logged = call("runs", "logs", run.run_id, "double")
    assert logged.code == 0
    assert "Traceback" in logged.out
    shown = call("runs", "show", run.run_id, "--json").json
    assert {unit["name"]: unit["state"] for unit in shown["units"]}["both"] == "skipped"


def test_a_run_is_resumed_without_naming_its_flow(call, sums, monkeypatch):
    monkeypatch.setenv("BREAK", "1")
    call("run", sums.folder)
    monkeypatch.delenv("BREAK")
    answer = call("run", "--resume", kyrios.runs()[0].run_id, "--json")

    assert answer.json["state"] == "succeeded"
    assert "numbers" not in answer.err


def test_every_mistake_in_a_flow_is_printed_with_a_caret_and_then_one_error(call, sums):
    sums.replace("flow.yaml", "fuse: none", "fuze: none")
    sums.replace("units/double.yaml", "units:double", "units:dubble")
    answer = call("validate", sums.folder)

    assert answer.code == 2
    assert answer.out == ""
    assert "flows/sums/flow.yaml:10:1: unknown key 'fuze'; did you mean 'fuse'?\n    fuze: none\n    ^\n" in answer.err
    assert answer.err.rstrip().endswith("error: flows/sums has 2 problems")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["validate", "nowhere"], 3, "nowhere holds no flow"),
        (["run"], 2, "there is no flow to run"),
        (["run", "flows/sums", "--param", "first"], 2, "--param 'first' has no value"),
        (["run", "flows/sums", "--param", "first=x"], 2, "'first' of numbers must be of type integer, not 'x'"),
        (["run", "flows/sums", "--param", "frist=1"], 2, "hint: did you mean 'first'?"),
        (["run", "flows/sums", "--workers", "0"], 2, "workers must be a whole number from 1"),
        (["run", "flows/sums", "--engine", "airflow"], 2, "kyrios render FLOW --engine airflow"),
        (["run", "flows/sums", "--engine", "airlfow"], 2, "did you mean 'airflow'?"),
        (["run", "flows/sums", "--engine", "local:?workers=many"], 2, "workers must be a whole number"),
        (["run", "--resume", "none"], 3, "there is no run 'none'"),
        (["runs", "show", "none"], 3, "there is no run 'none'"),
        (["runs", "logs", "none"], 3, "there is no run 'none'"),
        (["run-unit", "--flow", "flows/sums", "--unit", "nubers", "--run-id", "r"], 3, "did you mean 'numbers'?"),
        (["run-unit", "--flow", "flows/sums", "--unit", "numbers"], 2, "--run-id"),
        (["run-unit", "--flow", "flows/sums", "--unit", "numbers", "--run-id", "a/b"], 2, "cannot be the id"),
        (["run-unit", "--flow", "flows/sums", "--unit", "numbers", "--run-id", "r", "--params", "{"], 2, "is not JSON"),
        (["run-unit", "--flow", "flows/sums", "--unit", "numbers", "--run-id", "r", "--params", "[]"], 2, "an object"),
        (["run-unit", "--flow", "flows/sums", "--unit", "both", "--run-id", "r"], 5, "has not succeeded"),
        (["check", "nowhere"], 3, "nothing was rendered into nowhere"),
        (["graph", "flows/sums", "--format", "png"], 2, "png"),
        (["rnder", "flows/sums"], 2, "did you mean 'render'?"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_error_with_a_way_out(call, sums, words, code, said):
    answer = call(*words)

    assert answer.code == code, answer.err
    assert answer.out == ""
    assert said.replace("an object", "a JSON object") in answer.err
    assert "Traceback" not in answer.err
    assert kyrios.runs() == [] or words[0] == "run-unit"


def test_plan_shows_a_diff_and_writes_nothing_until_render_does(call, sums, tmp_path):
    out = tmp_path / "dags"
    first = call("plan", sums.folder, "--engine", "airflow", "--out", out)
    assert first.out.startswith(f"--- /dev/null\n+++ {out}/sums.py\n")
    assert not out.exists()

    assert call("render", sums.folder, "--engine", "airflow", "--out", out).code == 0
    again = call("plan", sums.folder, "--engine", "airflow", "--out", out)
    assert (again.out, again.err) == ("", "nothing changes\n")

    sums.replace("flow.yaml", "{first: 1}", "{first: 2}")
    changed = call("plan", sums.folder, "--engine", "airflow", "--out", out)
    assert '-        "first": 1,' in changed.out
    assert '+        "first": 2,' in changed.out
    checked = call("check", out)
    assert checked.code == 1
    assert "stale  sums.py" in checked.out


def test_a_hand_edited_file_is_a_conflict(call, sums, tmp_path):
    call("render", sums.folder, "--engine", "airflow", "--out", tmp_path / "dags")
    (tmp_path / "dags" / "sums.py").write_text("# mine\n")

    assert call("render", sums.folder, "--engine", "airflow", "--out", tmp_path / "dags").code == 5
    assert call("check", tmp_path / "dags", "--json").json[0]["kind"] == "edited"
    assert call("render", sums.folder, "--engine", "airflow", "--out", tmp_path / "dags", "--force").code == 0


def test_run_unit_takes_its_run_from_the_environment_as_rendered_tasks_give_it(call, sums, monkeypatch):
    monkeypatch.setenv("KYRIOS_RUN_ID", "sums.manual__2026-01-05T10:00:00+00:00")
    monkeypatch.setenv("KYRIOS_PARAMS", '{"first": 8}')
    answer = call("run-unit", "--flow", sums.folder, "--unit", "numbers", "--engine", "airflow", "--json")

    assert answer.json["run"] == "sums.manual__2026-01-05T10:00:00+00:00"
    run = kyrios.runs()[0]
    assert run.head.engine == "airflow"
    assert run.table("numbers.numbers").to_pydict() == {"n": [8, 9]}


def test_doctor_asks_every_backend(call, home):
    answer = call("doctor", "--json")

    assert answer.code == 0
    assert [row["name"] for row in answer.json] == ["engine", "data", "channel", "history"]


def test_doctor_names_what_cannot_be_used(call, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("KYRIOS_DATA", f"file://{tmp_path}/file")
    monkeypatch.setenv("KYRIOS_HISTORY", f"sqlite://{tmp_path}/file/history.db")

    answer = call("doctor", "--json")

    assert answer.code == 6
    assert [row["ok"] for row in answer.json] == [True, False, True, False]


def test_an_unreachable_record_exits_with_6(call, sums, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("KYRIOS_HISTORY", f"sqlite://{tmp_path}/file/history.db")

    assert call("run", sums.folder).code == 6


def test_settings_beside_home_do_not_hide_the_home(call, sums, tmp_path):
    (tmp_path / "jiyuan.toml").write_text('[kyrios]\nengine = "local:?workers=2"\n')

    assert call("run", sums.folder).code == 0


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['kyrios', '--help']\nfrom kyrios.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = ('pyarrow', 'pydantic', 'yaml', 'jinja2', 'networkx', 'sqlite3', 'rich', 'numpy')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_what_is_promised_can_be_imported():
    assert kyrios.__all__ == sorted(kyrios.__all__)
    for name in kyrios.__all__:
        assert getattr(kyrios, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = kyrios.nothing
