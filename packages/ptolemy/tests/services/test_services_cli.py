"""``ptolemy up``, ``down``, ``restart``, ``status``, ``ps`` and ``logs`` as a person uses them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ptolemy.cli import root
from ptolemy.testing.services import until

TWO = """
[services.api]
command = ["sh", "-c", "echo the api says hello; exec sleep 1000"]
ready = { log = "hello" }
group = "front"

[services.worker]
command = ["sh", "-c", "echo the worker says $TOKEN; exec sleep 1000"]
depends_on = ["api"]
env = { TOKEN = "hunter2hunter2" }
"""


def states(ptolemy: Any) -> dict[str, str]:
    return {row["component"]: row["state"] for row in json.loads(ptolemy("status", "--json").out)}


def test_a_centre_is_started_looked_at_and_stopped(ptolemy: Any, centre: Callable[[str], Path]):
    centre(TWO)

    code, out, _ = ptolemy("up", "--verbose")
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [["api", "running"], ["worker", "running"]]
    assert ptolemy("status").code == 0
    rows = json.loads(ptolemy("ps", "--json").out)
    assert [row["component"] for row in rows] == ["api", "worker"]
    assert all(row["pid"] > 1 and row["command"].startswith("sh -c") for row in rows)
    assert ptolemy("restart", "front").code == 0
    after = json.loads(ptolemy("ps", "--json").out)
    assert after[0]["pid"] != rows[0]["pid"]
    assert after[1]["pid"] == rows[1]["pid"]

    code, out, _ = ptolemy("down", "--json")
    assert (code, {row["state"] for row in json.loads(out)}) == (0, {"stopped"})
    assert json.loads(ptolemy("ps", "--json").out) == []


def test_down_can_be_tried_without_stopping_anything(ptolemy: Any, centre: Callable[[str], Path]):
    centre(TWO)
    ptolemy("up")

    out = ptolemy("down", "api", "--dry-run", "--json").out

    assert [row["component"] for row in json.loads(out)] == ["worker", "api"]
    assert states(ptolemy) == {"api": "running", "worker": "running"}
    ptolemy("down")


def test_logs_are_searched_and_hold_no_secret(ptolemy: Any, centre: Callable[[str], Path]):
    centre(TWO)
    ptolemy("up")
    until(lambda: "***" in ptolemy("logs").out)

    assert ptolemy("logs", "api").out == "the api says hello\n"
    assert ptolemy("logs", "--search", "WORKER").out == "worker: the worker says ***\n"
    assert ptolemy("logs", "api", "--lines", "0").out == ""
    assert json.loads(ptolemy("logs", "api", "--json").out) == {"component": "api", "line": "the api says hello"}
    ptolemy("down")


def test_logs_can_be_followed(ptolemy: Any, centre: Callable[[str], Path], tmp_path: Path):
    centre("[services.one]\ncommand = ['sh', '-c', 'until [ -e go ]; do sleep 0.02; done; echo now; exec sleep 1000']")
    ptolemy("up")
    command = [str(Path(sys.executable).with_name("ptolemy")), "logs", "--follow"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as following:
        (tmp_path / "go").touch()

        assert following.stdout is not None
        assert following.stdout.readline() == "now\n"
        following.send_signal(signal.SIGINT)
        assert following.wait(30) == 130
    ptolemy("down")


def test_status_is_a_finding_when_the_keeper_was_killed(ptolemy: Any, centre: Callable[[str], Path], home: Path):
    centre(TWO)
    ptolemy("up")
    (folder,) = (home / "services").iterdir()
    os.kill(int((folder / "keeper.pid").read_text()), signal.SIGKILL)
    until(lambda: states(ptolemy) == {"api": "unkept", "worker": "unkept"})

    code, out, _ = ptolemy("status")

    assert code == 1
    assert "ptolemy up" in out
    ptolemy("down")


def test_one_that_cannot_be_started_ends_with_code_1_and_where_to_look(ptolemy: Any, centre: Callable[[str], Path]):
    centre('[services.bad]\ncommand = "no-such-program --now"\n')

    code, out, err = ptolemy("up")

    assert (code, out) == (1, "")
    assert "cannot be started: no-such-program: no such command" in err
    assert "hint: ptolemy logs bad" in err
    assert ptolemy("status").code == 1
    ptolemy("down")


def test_an_unknown_component_is_code_3_with_the_nearest_name(ptolemy: Any, centre: Callable[[str], Path]):
    centre(TWO)

    for verb in ("up", "down", "restart", "status", "ps", "logs"):
        code, out, err = ptolemy(verb, "workr")
        assert (code, out) == (3, "")
        assert "did you mean 'worker'?" in err


def test_without_a_definition_nothing_is_started(ptolemy: Any, home: Path):
    code, out, err = ptolemy("up")

    assert (code, out) == (3, "")
    assert "[services.NAME]" in err
    assert not (home / "services").exists()


def test_a_mistyped_key_is_code_2_and_nothing_is_started(ptolemy: Any, centre: Callable[[str], Path], home: Path):
    centre("[services.api]\ncommand = 'x'\nrestarts = 'always'\n")

    code, _, err = ptolemy("up")

    assert code == 2
    assert "did you mean 'restart'?" in err
    assert not (home / "services").exists()


def test_two_projects_have_their_own_programs(
    ptolemy: Any, centre: Callable[[str], Path], tmp_path: Path, monkeypatch: Any
):
    centre(TWO)
    ptolemy("up", "api")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "jiyuan.toml").write_text("[services.mine]\ncommand = 'sleep 1000'\n")
    monkeypatch.chdir(tmp_path / "other")

    assert states(ptolemy) == {"mine": "stopped"}
    monkeypatch.chdir(tmp_path)
    assert states(ptolemy)["api"] == "running"
    ptolemy("down")


def test_a_url_names_another_folder(ptolemy: Any, centre: Callable[[str], Path], tmp_path: Path):
    centre(TWO)

    ptolemy("up", "api", "--services", f"process://{tmp_path}/elsewhere")

    assert (tmp_path / "elsewhere" / "logs" / "api.log").exists()
    assert states(ptolemy) == {"api": "stopped", "worker": "stopped"}
    assert ptolemy("down", "--services", f"process://{tmp_path}/elsewhere").code == 0


def test_the_example_of_each_command_works(ptolemy: Any, centre: Callable[[str], Path]):
    centre("""
[services.api]
command = "sh -c 'echo an error of the api; exec sleep 1000'"
ready = { log = "error" }

[services.worker]
command = "sleep 1000"
group = "collectors"
""")
    for name in ("up", "status", "ps", "logs", "restart", "down"):
        command = root.get_command(click.Context(root), name)
        assert command is not None
        words = str(command.epilog).removeprefix("Example: ptolemy ").split()

        code, out, _ = ptolemy(*words)

        assert (words[0], code, bool(out)) == (name, 0, True)
