"""``jiyuan lab up`` is killed at any moment, or a program that it starts is: the same command goes on."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from tests.faults.figures import Faults
from tests.faults.tools import kill
from tests.lab.conftest import BIN, LAB, Project, installed

from ptolemy.services import processes
from ptolemy.services.record import mark_of

KILLS = 40
WRITES = 40

#: What the command does before it asks for the programs.
MAKE = """
import sys
from pathlib import Path
from jiyuan.lab.place import Place, Ports
from jiyuan.lab.programs import write_files
place, ports = Place(Path(sys.argv[1])), Ports(1, 2, 3, 4)
with place.making():
    write_files(place, ports)
    place.keep(ports)
print("made", flush=True)
"""
FILES = (
    "cookie", "jupyter/config/jupyter_server_config.json", "jupyter/kernels/python3/kernel.json", "lab.json",
    "operator.token", "password", "proxy.password", "proxy.toml", "routes.toml",
)  # fmt: skip
VICTIMS = ("command", "keeper", "tracker", "hub", "all")


def tables(path: Path) -> int:
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=0.1)) as found:
        return int(found.execute("select count(*) from sqlite_master where type = 'table'").fetchone()[0])
    return 0


#: How far a start has come, in its folder; some happen in another order on another machine.
STAGES: tuple[Callable[[Path], bool], ...] = (
    lambda place: place.exists(),
    lambda place: (place / "lab.json").exists(),
    lambda place: (place / "services" / "keeper.pid").exists(),
    lambda place: (place / "mlflow-new.db").exists(),
    lambda place: tables(place / "mlflow-new.db") > 20,
    lambda place: tables(place / "hub.db") > 3,
    lambda place: (place / "mlflow.db").exists(),
    lambda place: (place / "routes.toml").exists() and (place / "routes.toml").stat().st_size > 0,
)


def folder_of(project: Project) -> Path | None:
    return next((project.folder.parent / ".local" / "share" / "jiyuan" / "labs").glob("*"), None)


def running(place: Path) -> dict[str, int]:
    """Return the programs of the lab that run, each once, by name."""
    found = processes.marked(mark_of(place / "services"))
    names = [text.rpartition("/")[0] for text in found]
    assert len(set(names)) == len(names), f"one runs twice: {names}"
    return {text.rpartition("/")[0]: process.pid for text, process in found.items()}


def strike(victim: str, command: subprocess.Popen[bytes], place: Path) -> None:
    pids = running(place)
    with suppress(OSError, ValueError):
        pids["keeper"] = int((place / "services" / "keeper.pid").read_text())
    chosen = [command.pid, *pids.values()] if victim == "all" else [pids.get(victim, command.pid)]
    for pid in chosen:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def harm(project: Project, place: Path, password: str | None) -> str | None:
    """Return what is wrong with a lab that was started again, None if nothing."""
    done = project.call("jiyuan", "lab", "up")
    if done.returncode:
        return f"up ended with {done.returncode}: {done.stderr}{project.call('jiyuan', 'lab', 'logs').stdout[-1500:]}"
    for url in (f"http://127.0.0.1:{project.ports[0]}/hub/login", f"http://127.0.0.1:{project.ports[1]}/version"):
        with urllib.request.urlopen(url, timeout=60) as answer:
            if answer.status != 200:
                return f"{url} answers {answer.status}"
    if set(running(place)) != {"tracker", "proxy", "hub"}:
        return f"{running(place)} run"
    if password and (place / "password").read_text() != password:
        return "the password is another"
    return None


@pytest.fixture
def lab_installed() -> None:
    installed()


@pytest.mark.usefixtures("lab_installed")
def test_a_start_that_is_killed_at_any_moment_goes_on_with_the_same_command(tmp_path: Path, faults: Faults) -> None:
    figure = faults.figure(
        "lab-up-kill", "jiyuan", "kill -9 of lab up, of the keeper, of a program or of all of them, at 8 stages"
    )
    random.seed(8)
    every = [(stage, victim) for victim in VICTIMS for stage in STAGES]
    count = faults.count(KILLS)
    for number in range(count):
        stage, victim = every[(number * len(every) // count + len(every) // 2) % len(every)]
        project = Project(tmp_path / str(number) / "project")
        project.folder.mkdir(parents=True)
        (project.folder / "jiyuan.toml").write_text("")
        env = {
            "HOME": str(tmp_path / str(number)), "PATH": os.environ["PATH"],
            "JIYUAN_LAB_PORT": str(project.ports[0]), "JIYUAN_LAB_TRACKER_PORT": str(project.ports[1]),
        }  # fmt: skip
        command = [str(LAB / "jiyuan"), "lab", "up"]
        with subprocess.Popen(command, cwd=project.folder, env=env, stderr=subprocess.DEVNULL) as start:
            while ((place := folder_of(project)) is None or not stage(place)) and start.poll() is None:
                time.sleep(0.002)
            time.sleep(random.random() * 0.5)
            assert place is not None
            password = (place / "password").read_text() if (place / "password").exists() else None
            strike(victim, start, place)
            start.wait(600)
        try:
            found = harm(project, place, password)
            print(f"{number}: {victim} at stage {STAGES.index(stage)}: {found or 'survived'}", flush=True)
            figure.survives(found)
        finally:
            project.call("jiyuan", "lab", "down")
            assert not running(place)
        shutil.rmtree(tmp_path / str(number))

    assert figure.lost == 0, figure.harms


@pytest.mark.skipif(kill.available() is not None, reason=str(kill.available()))
def test_files_of_a_lab_are_whole_or_absent_after_a_kill_at_any_write(tmp_path: Path, faults: Faults) -> None:
    figure = faults.figure("lab-files-kill", "jiyuan", "kill -9 while the files and secrets of a lab are written")
    argv = [str(BIN / "python"), "-c", MAKE]
    found = kill.points([*argv, str(tmp_path / "counted")])
    for number, point in enumerate(kill.spread(found, faults.count(WRITES))):
        place = tmp_path / str(number)
        assert kill.kill_at(point, [*argv, str(place)]).killed
        before = {name: (place / name).read_bytes() for name in FILES if (place / name).exists()}
        done = subprocess.run([*argv, str(place)], capture_output=True, text=True, check=False)
        after = {name: (place / name).read_bytes() for name in FILES if (place / name).exists()}
        whole = len(after) == len(FILES) and all(data for name, data in after.items() if name != "routes.toml")
        kept = all(after.get(name) == data for name, data in before.items())
        figure.survives(None if done.returncode == 0 and whole and kept else f"{point}: {sorted(after)} {done.stderr}")

    assert figure.lost == 0, figure.harms
