"""A new project runs at once, and its results can be proven."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jiyuan.errors import BadInput, Conflict
from jiyuan.starting import new_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_project(tmp_path_factory.mktemp("init") / "project")


def typed(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the project, with nothing of the caller's settings."""
    place = Path(sys.executable).parent

    kept = {k: v for k, v in os.environ.items() if not k.startswith(("EXIA_", "JIYUAN_", "KYRIOS_", "PTOLEMY_", "VEDA_"))}
    return subprocess.run(
        [str(place / words[0]), *words[1:]], cwd=project, env={**kept, "HOME": str(project.parent)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_a_new_project_runs_traces_reproduces_and_writes_nothing_elsewhere(project):
    run = typed(project, "kyrios", "run", "flow", "--json")
    assert run.returncode == 0, run.stderr
    run_id = json.loads(run.stdout)["run"]

    traced = typed(project, "jiyuan", "trace", run_id[-6:])
    again = typed(project, "jiyuan", "reproduce", run_id[-6:])

    assert "trend@0.1.0" in traced.stdout
    assert "daily@v1 180 rows 20240101" in traced.stdout
    assert (again.returncode, again.stdout) == (0, "equal: 2 tables of trend are the same byte by byte\n")
    assert [p.name for p in project.parent.iterdir()] == ["project"]


def test_its_components_are_started_shown_and_stopped(project):
    text = (project / "jiyuan.toml").read_text()
    try:
        import socket

        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        (project / "jiyuan.toml").write_text(text.replace("8100", str(port)))

        up = typed(project, "jiyuan", "up", "--json")
        status = typed(project, "jiyuan", "status", "--json")
        logs = typed(project, "jiyuan", "logs", "api")

        assert [row["state"] for row in json.loads(up.stdout)] == ["running"], up.stderr
        assert [row["component"] for row in json.loads(status.stdout)] == ["api"]
        assert f"http://127.0.0.1:{port}" in logs.stdout
    finally:
        down = typed(project, "jiyuan", "down", "--json")
        (project / "jiyuan.toml").write_text(text)
    assert [row["state"] for row in json.loads(down.stdout)] == ["stopped"]


def test_a_folder_with_a_file_of_the_project_is_left_alone(tmp_path):
    (tmp_path / "flow").mkdir()
    (tmp_path / "flow" / "units.py").write_text("mine")

    with pytest.raises(Conflict, match=r"has flow/units\.py already; nothing was written"):
        new_project(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["flow"]

    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="is not a folder"):
        new_project(tmp_path / "file")


def test_a_folder_with_other_files_gets_the_project_beside_them(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")

    new_project(tmp_path)

    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "jiyuan.toml").is_file()
