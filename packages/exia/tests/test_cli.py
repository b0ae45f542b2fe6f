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
    assert [row for row in json.loads(compared) if row["value"].startswith(("params", "metrics.ic"))] == [
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
    assert [row["name"] for row in json.loads(out)] == [
        "runs", "objects", "blobs", "monitor", "artifacts", "log", "params", "isolated models", "loaders",
    ]  # fmt: skip

    (tmp_path / "text.db").write_text("no database at all, and long enough to be read as one" * 20)
    monkeypatch.setenv("EXIA_RUNS", f"sqlite:///{tmp_path / 'text.db'}")
    code, out, _ = command("doctor")
    assert code == 6
    assert "FAIL" in out


def test_models_are_saved_compared_and_rolled_back(command, tmp_path):
    for n in (1, 2):
        (tmp_path / "w.json").write_text(json.dumps({"w": n}))
        code, out, _ = command(
            "models", "save", "weights", "w.json", "--alias", "champion", "--tag", "desk=a", "--json"
        )
        assert (code, json.loads(out)["ref"], json.loads(out)["tags"]) == (0, f"weights@{n}", {"desk": "a"})

    code, out, _ = command("models", "diff", "weights@1", "weights@2", "--json")
    assert {"field": "w", "one": 1, "other": 2} in json.loads(out)
    code, out, _ = command("models", "rollback", "weights", "--json")
    assert (code, json.loads(out)["version"]) == (0, 1)
    code, out, _ = command("models", "list", "--json")
    assert json.loads(out) == [{"name": "weights", "version": 2, "aliases": {"champion": 1}}]
    code, out, _ = command("models", "verify", "weights@champion")
    assert code == 0
    assert "ok" in out


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (("models", "show", "weigths"), 3, "did you mean 'weights'?"),
        (("models", "show", "../weights"), 2, "begin with a letter"),
        (("models", "remove", "weights@1", "--no-input"), 2, "--yes"),
        (("models", "remove", "weights@1", "--yes"), 5, "exia models alias weights champion VERSION"),
        (("models", "save", "weights", "w.bin"), 2, "from Python"),
        (("models", "save", "weights", "ghost.json"), 3, ""),
        (("models", "import", "w.json"), 2, "exia models export"),
        (("models", "trust"), 2, "exia models trust"),
        (("params", "get", "ghost"), 3, "exia params define ghost"),
        (("params", "set", "normal", "sigm=1"), 2, "did you mean 'sigma'?"),
        (("params", "set", "normal", "sigma=x"), 2, "it takes"),
        (("params", "set", "normal", "sigma"), 2, "window=20"),
        (("params", "set", "normal", "sigma=NaN"), 2, "finite"),
        (("params", "set", "normal", "mu=1", "mu=2"), 2, "leave one"),
        (("params", "set", "normal", "mu=1", "--expect", "7"), 5, "exia params diff normal 7 1"),
        (("params", "apply", "normal", "w.json"), 2, "it takes"),
        (("params", "rollback", "normal"), 3, "exia params history normal"),
    ],
)
def test_a_mistake_gets_one_line_a_hint_and_its_exit_code(command, tmp_path, words, code, hint):
    import exia.models
    import exia.params

    (tmp_path / "w.json").write_text('{"w": 1}')
    exia.models.save("weights", {"w": 1}, alias="champion")
    exia.params.define("normal", "python:statistics:NormalDist")

    found, out, err = command(*words)

    assert (found, out) == (code, "")
    assert err.startswith("error: ")
    assert hint in err
    assert err.count("\n") <= 2
    assert exia.params.get("normal").version == 1
    assert exia.models.info("weights").version == 1


def test_parameters_are_set_applied_and_rolled_back(command, tmp_path):
    command("params", "define", "normal", "python:statistics:NormalDist", "mu=1")
    code, out, _ = command("params", "set", "normal", "mu=2", "sigma=0.5", "--why", "wider", "--json")
    assert (code, json.loads(out)["values"]) == (0, {"mu": 2, "sigma": 0.5})
    (tmp_path / "n.toml").write_text("mu = 3.0\n")

    command("params", "apply", "normal", "n.toml")
    assert command("params", "get", "normal", "sigma") == (0, "1.0\n", "")
    code, out, _ = command("params", "diff", "normal", "--json")
    assert json.loads(out) == [{"key": "mu", "one": 2, "other": 3.0}, {"key": "sigma", "one": 0.5, "other": 1.0}]
    command("params", "rollback", "normal", "2")
    code, out, _ = command("params", "history", "normal", "--json")
    assert [(v["version"], v["why"]) for v in json.loads(out)][:2] == [
        (4, "rollback to version 2"),
        (3, "apply n.toml"),
    ]
    code, out, _ = command("params", "watch", "normal", "--count", "1", "--json")
    assert (code, json.loads(out)["values"]) == (0, {"mu": 2, "sigma": 0.5})
