"""The programs of a centre, and what keeps them, are killed at any moment: all run again, and none runs twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.faults.figures import Faults

from ptolemy.services import Component, Ready, State
from ptolemy.services.process import ProcessServices
from ptolemy.testing.services import nobody_left, until

KEEPERS = 60
PROGRAMS = 60
TORN = 40
NAMES = ("api", "collector", "shipper", "worker")
LIMIT = 1.5  #: seconds from the kill of a program until it runs again

#: Says that it begins, in a file that counts the beginnings, and runs until it is killed.
SCRIPT = "echo $$ >> begun-{0}; echo ready; exec sleep 100000"


@pytest.fixture
def services(tmp_path: Path) -> Iterator[ProcessServices]:
    with nobody_left(tmp_path):
        services = ProcessServices(tmp_path / "kept")
        services.configure(
            [
                Component(name, ("sh", "-c", SCRIPT.format(name)), cwd=tmp_path, ready=Ready(log="ready"),
                          depends_on=NAMES[:1] if number else ())
                for number, name in enumerate(NAMES)
            ]
        )  # fmt: skip
        yield services
        services.down()


def alive(folder: Path, name: str) -> list[int]:
    """Return the processes of a component that run, of all that ever began."""
    begun = folder / f"begun-{name}"
    found = []
    for pid in map(int, begun.read_text().split()) if begun.exists() else []:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        if "(sleep)" in stat and stat.rpartition(")")[2].split()[0] != "Z":
            found.append(pid)
    return found


def others(folder: Path, name: str, before: int) -> list[int]:
    """Return the processes of a component that run now, but for one."""
    return [pid for pid in alive(folder, name) if pid != before]


def kill_keeper(services: ProcessServices) -> None:
    pid = int((services.folder / "keeper.pid").read_text())
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:  # it has not begun, or has gone
        return
    until(lambda: not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes())


def harm(states: list[State], folder: Path) -> str | None:
    """Return what is wrong when everything should run once, None if nothing."""
    for state in states:
        running = alive(folder, state.component)
        if state.state != "running":
            return f"{state.component} is {state.state}: {state.reason}"
        if running != [state.pid]:
            return f"{state.component}: {running} run, the state says {state.pid}"
    return None


def test_a_keeper_that_is_killed_at_any_moment_leaves_each_program_running_once(
    services: ProcessServices, tmp_path: Path, faults: Faults
):
    """Some kills hit a keeper at rest, some in the middle of starting, some while a program is down."""
    figure = faults.figure(
        "services-keeper-kill", "ptolemy", "kill -9 of the keeper, at rest and while it starts programs"
    )
    random.seed(7)
    services.up()
    command = [str(Path(sys.executable).with_name("ptolemy")), "up", "--services", f"process://{services.folder}"]
    lines = "".join(
        f"[services.{c.name}]\ncommand = ['sh', '-c', '{c.command[2]}']\nready = {{ log = 'ready' }}\n"
        f"depends_on = {list(c.depends_on)}\n"
        for c in services._components
    )
    (tmp_path / "jiyuan.toml").write_text(lines)
    for number in range(faults.count(KEEPERS)):
        before = {s.component: s.pid for s in services.states()}
        kind = number % 3
        if kind:
            services.down()  # the next start is interrupted
            with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as start:
                # The first program begins, and the keeper ends somewhere after it.
                end = time.monotonic() + 30
                while not any(alive(tmp_path, name) for name in NAMES[:kind]) and time.monotonic() < end:
                    time.sleep(0.001)
                time.sleep(random.random() * 0.2)
                kill_keeper(services)
                start.wait(60)
        else:
            kill_keeper(services)

        states = services.up()

        kept = {s.component: s.pid for s in states}
        moved = not kind and kept != before
        figure.survives(harm(states, tmp_path) or (f"{before} became {kept}" if moved else None))

    assert figure.lost == 0, figure.harms


def test_a_program_that_is_killed_runs_again_in_time(services: ProcessServices, tmp_path: Path, faults: Faults):
    figure = faults.figure("services-program-kill", "ptolemy", f"kill -9 of a program: it runs again within {LIMIT} s")
    random.seed(7)
    services.up()
    slowest = 0.0
    for number in range(faults.count(PROGRAMS)):
        name = NAMES[number % len(NAMES)]
        if number % 5 == 4:  # a keeper that has adopted it keeps it as well
            kill_keeper(services)
            services.up()
        (before,) = alive(tmp_path, name)
        begin = time.monotonic()
        os.kill(before, signal.SIGKILL)
        until(partial(others, tmp_path, name, before))
        seconds = time.monotonic() - begin
        slowest = max(slowest, seconds)
        until(lambda: all(s.state == "running" for s in services.states()))
        late = f"{name} ran again after {seconds:.2f} s" if seconds > LIMIT else None
        figure.survives(harm(services.states(), tmp_path) or late)

    print(f"slowest: {slowest:.2f} s")
    assert figure.lost == 0, figure.harms


def test_a_record_that_is_torn_or_lost_leads_to_no_second_start(
    services: ProcessServices, tmp_path: Path, faults: Faults
):
    figure = faults.figure("services-record-torn", "ptolemy", "keeper killed and its record cut, changed or gone")
    random.seed(7)
    services.up()
    record = services.folder / "keeper.json"
    for number in range(faults.count(TORN)):
        before = {s.component: s.pid for s in services.states()}
        kill_keeper(services)
        data = record.read_bytes()
        if number % 3 == 0:
            record.write_bytes(data[: random.randrange(len(data))])
        elif number % 3 == 1:
            at = random.randrange(len(data))
            record.write_bytes(data[:at] + bytes([random.randrange(256)]) + data[at + 1 :])
        else:
            record.unlink()

        states = services.up()

        kept = {s.component: s.pid for s in states}
        figure.survives(harm(states, tmp_path) or (f"{before} became {kept}" if kept != before else None))

    assert figure.lost == 0, figure.harms
