"""The process that stands by for units, asked by the hook of a rendered DAG file in a real Airflow's environment."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import kyrios

KYRIOS = Path(sys.executable).with_name("kyrios")
CALLING = Path(__file__).with_name("calling.py")

_UNITS = """
import json, os, resource, sys, time
import pyarrow as pa

def facts():
    old = os.umask(0)
    os.umask(old)
    found = {
        "parent": os.getppid(), "here": os.listdir(), "umask": old, "word": os.environ.get("WORD"),
        "warm_at": os.environ.get("KYRIOS_WARM_AT"), "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "program": sys.argv[0], "path": sys.path[0], "session": os.getsid(0) == os.getpid(),
    }
    with open(os.environ["FACTS"], "w") as file:
        json.dump(found, file)
    return pa.table({"n": [1]})

def wait():
    mark = os.environ["MARK"]
    with open(mark + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(mark + ".new", mark)
    while not os.path.exists(mark + ".go"):
        time.sleep(0.02)
    return pa.table({"n": [2]})

def fail():
    raise ValueError("it fails")

def leave():
    import atexit
    atexit.register(lambda: open(os.environ["MARK"], "w").write("left"))
    return pa.table({"n": [3]})
"""


class Caller:
    """Has the hook run units of the flow, each for a client process of its own."""

    def __init__(self, process: subprocess.Popen[str], folder: Path, flow: kyrios.Flow) -> None:
        self.process, self.folder, self.flow = process, folder, flow
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "KYRIOS_HOME": str(folder / "home"),
            "KYRIOS_WARM": "60",
            "FACTS": str(folder / "facts.json"),
            "MARK": str(folder / "mark"),
        }
        self.number = 0

    def begin(self, unit: str, *, run: str = "r", **order: Any) -> tuple[int, Path]:
        """Let a client begin a unit; return its process and where its answer will be."""
        self.number += 1
        answer = self.folder / f"answer-{self.number}"
        command = f"{KYRIOS} run-unit --flow {self.flow.folder} --unit {unit} --run-id {run}-{unit}"
        order = {"command": command, "environment": self.environment, "answer": str(answer), **order}
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline()), answer

    def end(self, answer: Path) -> dict[str, Any]:
        """Wait for an answer."""
        wait_for(answer.exists, answer.name)
        return dict(json.loads(answer.read_text()))

    def __call__(self, unit: str, **order: Any) -> dict[str, Any]:
        return self.end(self.begin(unit, **order)[1])

    @property
    def place(self) -> Path | None:
        """The socket at which a process stands by, if there is one."""
        found = [p for p in (self.folder / f"kyrios-{os.getuid()}").glob("*-*") if p.suffix != ".log"]
        return found[0] if found else None

    def warmed(self) -> int:
        """Run a unit so that a process stands by; return the number of that process."""
        self("facts", run="first")
        wait_for(lambda: self.place, "a process stands by")
        assert self("facts", run="second")["child"]
        return int(self.facts["parent"])

    @property
    def facts(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "facts.json").read_text()))

    @property
    def waiting(self) -> int:
        """The process of the unit that waits, as soon as it does."""
        mark = self.folder / "mark"
        wait_for(mark.exists, "the unit waits")
        return int(mark.read_text())

    def go(self) -> None:
        (self.folder / "mark.go").touch()


def wait_for(happened: Callable[[], Any], what: str) -> None:
    until = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def is_over(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture(scope="session")
def flow(tmp_path_factory: pytest.TempPathFactory) -> kyrios.Flow:
    folder = tmp_path_factory.mktemp("warm") / "flow"
    (folder / "units").mkdir(parents=True)
    (folder / "units.py").write_text(dedent(_UNITS))
    names = ("facts", "wait", "fail", "leave")
    for name in names:
        (folder / "units" / f"{name}.yaml").write_text(
            f'kyrios: 1\nunit: {name}\ninfo: {{version: "1.0"}}\nrun: {{call: "units:{name}"}}\n'
            "interface: {outputs: {result: {type: table}}}\n"
        )
    (folder / "flow.yaml").write_text(
        'kyrios: 1\nflow: warm\ninfo: {version: "1.0"}\nunits:\n'
        + "".join(f"  {name}: {{use: {name}@1}}\n" for name in names)
    )
    return kyrios.load_flow(folder)


@pytest.fixture
def caller(airflow: Any, flow: kyrios.Flow, tmp_path: Path) -> Iterator[Caller]:
    (file,) = flow.render("airflow", tmp_path / "dags", command=str(KYRIOS))
    folder = Path(tempfile.mkdtemp(prefix="warm-"))  # a socket's path must be short
    with (tmp_path / "calling.log").open("w") as log:
        process = subprocess.Popen(
            [str(airflow.environment / "bin" / "python"), str(CALLING), str(tmp_path / "dags" / file.name)],
            env={**airflow.variables, "TMPDIR": str(folder)},
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout
    words = iter(process.stdout.readline, "")
    assert "ready\n" in words, (tmp_path / "calling.log").read_text()
    yield Caller(process, folder, flow)
    assert process.stdin
    process.stdin.close()
    process.wait(30)
    process.stdout.close()
    shutil.rmtree(folder)  # whoever stands by ends when its socket is gone


def test_a_unit_runs_in_a_fork_of_the_process_that_stands_by_as_it_would_in_a_new_one(caller):
    cold = caller("facts", run="cold")
    there = caller.facts
    wait_for(lambda: caller.place, "a process stands by")

    warm = caller("facts", run="warm")

    assert (cold["child"], cold["code"], warm["code"]) == (0, 0, 0)
    assert warm["child"]
    assert caller.facts.pop("parent") != there.pop("parent")
    assert {**caller.facts, "parent": 0} == {**there, "parent": 0}
    assert there["here"] == []
    assert there["umask"] == 0o027
    assert there["warm_at"] is None
    lines = [line for line in warm["lines"] if not line.startswith("Process ")]
    assert [line.replace("warm-facts", "cold-facts") for line in lines][:3] == cold["lines"][-len(lines) :][:3]
    assert warm["lines"][-1] == "Command exited with return code 0"
    outputs = [Path(caller.environment["KYRIOS_HOME"], "data", f"{run}-facts") for run in ("cold", "warm")]
    assert len({next(path.rglob("*.arrow")).read_bytes() for path in outputs}) == 1


def test_variables_and_limits_are_those_of_the_client(caller):
    caller.warmed()
    caller.environment["KYRIOS_WORD"] = "of this task"

    answer = caller("facts", environment={**caller.environment, "AIRFLOW_CTX_X": "1"})

    assert answer["child"]
    assert caller.facts["files"] == _limit(caller.process.pid)


def _limit(pid: int) -> int:
    import resource

    return resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]


def test_another_environment_is_another_processs(caller):
    caller.warmed()
    caller.environment["WORD"] = "other"

    answer = caller("facts")

    assert answer["child"] == 0
    assert caller.facts["word"] == "other"


def test_a_unit_that_fails_says_why_and_gives_the_exit_code_of_a_new_process(caller):
    cold = caller("fail", run="cold")
    wait_for(lambda: caller.place, "a process stands by")

    warm = caller("fail", run="warm")

    assert warm["child"]
    assert cold["code"] == warm["code"] == 1
    assert any("it fails" in line for line in warm["lines"])
    assert kyrios_state(caller, "warm-fail") == "failed"


def test_what_was_to_be_done_at_the_end_of_the_process_is_done(caller):
    caller.warmed()

    assert caller("leave")["code"] == 0
    assert (caller.folder / "mark").read_text() == "left"


def test_a_unit_that_is_killed_is_one_that_failed_and_the_next_one_is_forked_again(caller):
    caller.warmed()
    _, answer = caller.begin("wait")

    os.kill(caller.waiting, signal.SIGKILL)

    assert caller.end(answer)["code"] == -signal.SIGKILL
    caller.go()
    again = caller("wait")
    assert (again["code"], bool(again["child"])) == (0, True)


def test_a_unit_outlives_the_process_that_stood_by_and_the_next_one_gets_a_new_process(caller):
    runner = caller.warmed()
    _, answer = caller.begin("wait")
    assert caller.waiting

    os.kill(runner, signal.SIGKILL)
    wait_for(lambda: is_over(runner), "it is dead")
    caller.go()

    assert caller.end(answer)["code"] == 0
    assert kyrios_state(caller, "r-wait") == "succeeded"
    after = caller("facts")
    assert (after["code"], after["child"]) == (0, 0)
    wait_for(lambda: caller("facts", run=f"n{caller.number}")["child"], "another one stands by")


def test_a_client_that_is_killed_takes_its_unit_along_and_the_unit_can_run_again(caller):
    caller.warmed()
    client, _ = caller.begin("wait")
    unit = caller.waiting

    os.kill(client, signal.SIGKILL)

    wait_for(lambda: is_over(unit), "the unit has ended")
    caller.go()
    assert caller("wait")["code"] == 0


def test_a_process_that_answers_no_more_is_done_without(caller):
    runner = caller.warmed()
    os.kill(runner, signal.SIGSTOP)
    try:
        answer = caller("facts")
    finally:
        os.kill(runner, signal.SIGCONT)

    assert (answer["code"], answer["child"]) == (0, 0)
    wait_for(lambda: is_over(runner), "it ends, for its place is taken")


def test_a_task_that_is_stopped_ends_its_unit(caller):
    caller.warmed()

    answer = caller("wait", stop_at=caller.environment["MARK"])

    assert answer["code"] == -signal.SIGTERM


def test_a_process_stands_by_for_its_own_user_only(caller):
    caller.warmed()
    folder = caller.place.parent

    assert folder.stat().st_mode & 0o777 == 0o700
    assert caller.place.stat().st_mode & 0o777 == 0o600
    folder.chmod(0o755)
    assert caller("facts")["child"] == 0


def test_after_an_installation_it_ends(caller, tmp_path):
    caller.environment["PYTHONPATH"] = str(tmp_path)
    runner = caller.warmed()

    (tmp_path / "new.dist-info").mkdir()

    assert caller("facts")["child"] == 0
    wait_for(lambda: is_over(runner), "it has ended")


def test_it_ends_when_nobody_comes_and_is_not_there_where_none_is_wanted(caller):
    caller.environment["KYRIOS_WARM"] = "0"
    caller("facts", run="none")
    assert caller.place is None
    caller.environment["KYRIOS_WARM"] = "1"

    _, answer = caller.begin("facts")

    wait_for(lambda: caller.place, "a process stands by")
    assert caller.end(answer)["child"] == 0
    wait_for(lambda: caller.place is None, "it has ended")


def test_a_command_that_changes_its_environment_gets_a_new_process_each_time(caller, tmp_path):
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(f'#!/bin/sh\nWORD=changed exec {KYRIOS} "$@"\n')
    wrapper.chmod(0o755)
    command = f"{wrapper} run-unit --flow {caller.flow.folder} --unit facts --run-id "

    for run in ("a", "b"):
        assert caller("facts", command=command + run)["child"] == 0
        assert caller.facts["word"] == "changed"
    assert caller.place is None


def kyrios_state(caller: Caller, run: str) -> str:
    history = f"sqlite://{caller.environment['KYRIOS_HOME']}/history.db"
    return kyrios.get_run(run, history=history).task(run.rpartition("-")[2]).state.value
