from __future__ import annotations

import json

import pytest

import exia
from exia.cli import main


@pytest.fixture
def command(capsys):
    """Run the command line; return exit code, stdout and stderr."""

    def command(*words):
        with pytest.raises(SystemExit) as left:
            main_with(words)
        out, err = capsys.readouterr()
        return left.value.code, out, err

    return command


def main_with(words):
    import sys
    from unittest.mock import patch

    with patch.object(sys, "argv", ["exia", *words]):
        main()


def test_call_prints_the_result_as_json(command):
    assert command("call", "python:statistics:NormalDist", "cdf", "--json", "[0]") == (0, "0.5\n", "")


def test_call_takes_arguments_by_name(command):
    code, out, _ = command("call", "python:textwrap", "shorten", "--json", '{"text": "a b c", "width": 10}')

    assert (code, json.loads(out)) == (0, "a b c")


def test_call_reads_arguments_from_stdin(command, monkeypatch):
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("[4]"))

    assert command("call", "python:math", "sqrt", "--json", "-")[1] == "2.0\n"


@pytest.mark.parametrize(
    ("method", "arguments", "shown"),
    [
        ("inf", "[]", None),
        ("nan", "[]", None),
        ("table", "[]", {"a": [1, None]}),
        ("numbers", "[]", [1.0, 2.0]),
        ("when", "[]", "2026-01-02"),
    ],
)
def test_results_that_json_lacks_are_translated(command, tmp_path, monkeypatch, method, arguments, shown):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "odd.py").write_text(
        "import array, datetime, math\n"
        "def inf(): return math.inf\n"
        "def nan(): return math.nan\n"
        "def table(): return {'a': (1, math.nan)}\n"
        "def numbers(): return array.array('d', [1, 2])\n"
        "def when(): return datetime.date(2026, 1, 2)\n"
    )

    code, out, err = command("call", "python:odd", method, "--json", arguments)

    assert (code, json.loads(out), err) == (0, shown, "")


def test_call_makes_the_object_with_params(command):
    words = ("call", "python:statistics:NormalDist", "cdf", "--json", "[3]", "--params", '{"mu": 3, "sigma": 2}')

    assert command(*words)[:2] == (0, "0.5\n")


def test_show_prints_the_traceback_of_a_failed_run_line_by_line(command):
    run = exia.run("breaks")
    with pytest.raises(ValueError, match="colour"), run:
        raise ValueError("colour \x1b[31m")

    code, out, _ = command("runs", "show", run.id)

    assert code == 0
    assert "Traceback (most recent call last):\n" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (
            ("call", "python:statistics:NormalDist", "pdf", "--params", "[1]"),
            2,
            """write it as --params '{"window": 20}'""",
        ),
        (("call", "python:statistics:NormalDist", "pfd"), 3, "did you mean 'pdf'?"),
        (("call", "python:statistics:NormalDist", "pdf"), 2, "call it as pdf(x)"),
        (("call", "python:statistics:NormalDits", "pdf"), 3, "did you mean 'NormalDist'?"),
        (("call", "python:math", "sqrt", "--json", "4"), 2, "write them as --json '[4]'"),
        (("call", "python:math", "sqrt", "--json", "[4"), 2, "write them as --json '[1, 2]'"),
        (("methods", "python:nowhere"), 3, "is it installed here?"),
        (("runs", "show", "ghost"), 3, "exia runs list"),
        (("runs", "compare", "one"), 2, "give the ids of two runs or more"),
        (("runs", "list", "--runs", "sqllite://"), 2, "did you mean 'sqlite'?"),
    ],
)
def test_mistakes_are_one_line_with_a_way_out(command, words, code, hint):
    left, out, err = command(*words)

    assert (left, out) == (code, "")
    lines = err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("error: ")
    assert lines[1] == f"hint: {hint}"


def test_an_error_inside_the_method_is_one_line_too(command):
    code, out, err = command("call", "python:math", "sqrt", "--json", "[-1]")

    assert (code, out) == (1, "")
    assert err.startswith("error: sqrt raised ValueError: ")
    assert "Traceback" not in err


def test_methods_lists_what_can_be_called(command):
    code, out, _ = command("methods", "python:statistics:NormalDist", "--json")

    rows = {row["method"]: row for row in json.loads(out)}
    assert code == 0
    assert rows["pdf"]["signature"] == "(x)"
    assert rows["pdf"]["summary"].startswith("Probability density function")


def test_runs_are_listed_shown_and_compared(command):
    with exia.run("momentum", params={"window": 20, "top": 3}) as first:
        first.log_metric("ic", 0.03)
    with exia.run("momentum", params={"window": 60, "top": 3}) as second:
        second.log_metric("ic", 0.04)

    _, listed, _ = command("runs", "list", "--json")
    _, shown, _ = command("runs", "show", first.id, "--json")
    _, compared, _ = command("runs", "compare", first.id, second.id, "--json")
    _, table, _ = command("runs", "compare", first.id, second.id)

    assert [row["id"] for row in json.loads(listed)] == [second.id, first.id]
    assert json.loads(shown)["metrics"] == {"ic": 0.03}
    assert json.loads(compared) == [
        {"value": "params.top", first.id: 3, second.id: 3, "differs": "no"},
        {"value": "params.window", first.id: 20, second.id: 60, "differs": "yes"},
        {"value": "metrics.ic", first.id: 0.03, second.id: 0.04, "differs": "yes"},
    ]
    assert "params.window" in table


def test_runs_are_filtered_by_name_and_status(command):
    with exia.run("good"):
        pass
    with pytest.raises(ValueError, match="bad"), exia.run("bad"):
        raise ValueError("bad")

    assert [r["name"] for r in json.loads(command("runs", "list", "--status", "failed", "--json")[1])] == ["bad"]
    assert [r["name"] for r in json.loads(command("runs", "list", "--name", "good", "--json")[1])] == ["good"]


def test_doctor_asks_the_store_and_the_loaders(command, monkeypatch, tmp_path):
    code, out, _ = command("doctor", "--json")
    assert code == 0
    assert [row["name"] for row in json.loads(out)] == ["runs", "loaders"]

    (tmp_path / "text.db").write_text("no database at all, and long enough to be read as one" * 20)
    monkeypatch.setenv("EXIA_RUNS", f"sqlite:///{tmp_path / 'text.db'}")
    code, out, _ = command("doctor")
    assert code == 6
    assert "FAIL" in out
