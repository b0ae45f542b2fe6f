"""A real lab of a real project: JupyterHub, the proxy and MLflow of .venv-lab, started by the command."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.lab.hub import Hub

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / ".venv-lab" / "bin"
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Project:
    """A project, and the commands as its owner types them; `bin` is the environment that they are of."""

    folder: Path
    ports: tuple[int, int] = field(default_factory=lambda: free_ports(2))

    def call(self, *words: str, bin: Path = LAB, timeout: float = 400) -> subprocess.CompletedProcess[str]:
        kept = {k: os.environ[k] for k in ("LANG", "TMPDIR", "USER") if k in os.environ}
        ports = dict(zip(("JIYUAN_LAB_PORT", "JIYUAN_LAB_TRACKER_PORT"), map(str, self.ports), strict=True))
        # As `lab up` says it, so that what is recorded outside of notebooks is delivered to the tracker as well.
        kept["EXIA_MIRROR"] = f"mlflow://127.0.0.1:{self.ports[1]}/jiyuan"
        return subprocess.run(
            [str(bin / words[0]), *words[1:]], cwd=self.folder, capture_output=True, text=True, timeout=timeout,
            env={**kept, **ports, "HOME": str(self.folder.parent), "PATH": f"{bin}:{os.environ['PATH']}"},
        )  # fmt: skip

    def told(self, *words: str, bin: Path = LAB) -> Any:
        """Return what a command prints as JSON; it must succeed."""
        done = self.call(*words, "--json", bin=bin)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def pids(self) -> dict[str, int]:
        """Return the processes of the lab's programs."""
        done = self.call("jiyuan", "lab", "status", "--json")  # exit code 1 while one of them starts again
        return {row["component"]: row["pid"] for row in json.loads(done.stdout)}


@dataclass(frozen=True)
class Running:
    """A lab that runs; `said` is what its first start said."""

    project: Project
    hub: Hub
    tracker: str
    password: Path
    said: str

    @property
    def folder(self) -> Path:
        return self.password.parent


def installed() -> None:
    """Skip where the lab is not installed."""
    if not (LAB / "jupyterhub").exists():
        pytest.skip("the lab is not installed in .venv-lab; run: scripts/install-lab")


def free_ports(count: int) -> Any:
    """Return ports of 127.0.0.1 that nobody has, and that the kernel gives to no outgoing connection."""
    found: list[int] = []
    port = 12_000 + os.getpid() % 10_000
    while len(found) < count:
        port += 1
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    return tuple(found)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A new project whose flow has run once."""
    installed()
    found = Project(tmp_path_factory.mktemp("lab") / "project")
    found.folder.mkdir()
    done = found.call("jiyuan", "init", bin=BIN)
    assert done.returncode == 0, done.stderr
    assert found.call("kyrios", "run", "flow", bin=BIN).returncode == 0
    return found


@pytest.fixture(scope="session")
def lab(project: Project) -> Iterator[Running]:
    """The project's lab, stopped at the end."""
    try:
        done = project.call("jiyuan", "lab", "up")
        assert done.returncode == 0, done.stderr + project.call("jiyuan", "lab", "logs").stdout[-3000:]
        told = project.told("jiyuan", "lab", "up")
        password = Path(told["password_file"])
        token = (password.parent / "operator.token").read_text().strip()
        yield Running(project, Hub(told["url"], token), told["tracker"], password, done.stdout + done.stderr)
    finally:
        project.call("jiyuan", "lab", "down")
