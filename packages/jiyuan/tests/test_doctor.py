from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def doctor(tmp_path):
    """Give a function that runs ``jiyuan doctor`` in an empty folder and returns the finished process."""

    def run(*words, **variables):
        command = [str(Path(sys.executable).with_name("jiyuan")), "doctor", *words]
        env = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data"), **variables}
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)

    return run


def test_every_library_answers_for_its_backends(doctor):
    done = doctor("--json")

    assert done.returncode == 0, done.stderr
    names = {row["name"] for row in json.loads(done.stdout)}
    assert {"veda registry", "exia runs", "kyrios engine", "ptolemy series"} <= names


def test_a_server_that_is_down_is_named_with_a_hint(doctor):
    pytest.importorskip("pymongo", reason="no module pymongo; run: scripts/install servers")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        done = doctor(EXIA_RUNS=f"mongodb://127.0.0.1:{taken.getsockname()[1]}/runs")

    assert done.returncode == 6
    (failed,) = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert "exia runs" in failed
    assert "refuses the connection" in failed
    assert done.stderr == "hint: exia runs: is the server running?\n"


def test_a_wrong_setting_of_a_library_is_one_line(doctor, tmp_path):
    (tmp_path / "jiyuan.toml").write_text("[veda]\nstor = 'file:x'\n")

    done = doctor()

    assert done.returncode == 2
    assert done.stdout == ""
    assert "'stor'" in done.stderr.splitlines()[0]
    assert done.stderr.splitlines()[1].startswith("hint: ")


def test_a_file_of_the_users_is_not_taken_for_a_library(doctor, tmp_path):
    (tmp_path / "veda.py").write_text("raise SystemExit('not this one')\n")

    assert doctor().returncode == 0
