"""What the keeper of `process://` keeps besides the contract: its own death, its logs, its privacy."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from ptolemy.errors import NotReady
from ptolemy.services import Component, Fresh, Ready
from ptolemy.services.logs import Log
from ptolemy.services.process import ProcessServices
from ptolemy.testing.services import nobody_left, until


@pytest.fixture
def services(tmp_path: Path) -> Iterator[ProcessServices]:
    with nobody_left(tmp_path):
        services = ProcessServices(tmp_path / "kept")
        yield services
        services.down()


def shell(name: str, folder: Path, script: str, **words: object) -> Component:
    return Component(name, ("sh", "-c", script), cwd=folder, **words)  # type: ignore[arg-type]


def pids(services: ProcessServices) -> dict[str, int | None]:
    return {s.component: s.pid for s in services.states()}


def keeper(services: ProcessServices) -> int:
    return int((services.folder / "keeper.pid").read_text())


def kill_keeper(services: ProcessServices) -> None:
    pid = keeper(services)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes())


def test_a_killed_keeper_leaves_the_programs_running_and_the_next_one_adopts_them(
    services: ProcessServices, tmp_path: Path
):
    services.configure([shell(n, tmp_path, f"echo {n} >> starts; exec sleep 1000") for n in ("one", "two")])
    services.up()
    before = pids(services)
    kill_keeper(services)

    states = services.states()
    assert {s.component: s.state for s in states} == {"one": "unkept", "two": "unkept"}
    assert pids(services) == before
    services.up()

    assert pids(services) == before
    assert {s.state for s in services.states()} == {"running"}
    assert sorted((tmp_path / "starts").read_text().split()) == ["one", "two"]


def test_an_adopted_program_that_is_killed_runs_again(services: ProcessServices, tmp_path: Path):
    services.configure([shell("one", tmp_path, "exec sleep 1000")])
    services.up()
    kill_keeper(services)
    services.up()
    first = pids(services)["one"]
    assert first is not None

    os.kill(first, signal.SIGKILL)

    until(lambda: services.states()[0].state == "running" and pids(services)["one"] != first)


def test_a_keeper_without_a_record_finds_what_runs_by_its_mark(services: ProcessServices, tmp_path: Path):
    services.configure([shell("one", tmp_path, "exec sleep 1000")])
    services.up()
    before = pids(services)
    kill_keeper(services)
    (services.folder / "keeper.json").write_text("{torn")

    services.up()

    assert pids(services) == before


def test_what_ended_while_nobody_kept_it_is_started_once_somebody_asks(services: ProcessServices, tmp_path: Path):
    services.configure([shell("one", tmp_path, "exec sleep 1000")])
    services.up()
    first = pids(services)["one"]
    assert first is not None
    kill_keeper(services)
    os.kill(first, signal.SIGKILL)
    until(lambda: services.states()[0].state == "failed")
    assert "ptolemy up" in services.states()[0].reason

    services.up()

    assert services.states()[0].state == "running"
    assert pids(services)["one"] != first


def test_down_after_the_keeper_was_killed_stops_what_runs(services: ProcessServices, tmp_path: Path):
    services.configure([shell("one", tmp_path, "exec sleep 1000")])
    services.up()
    pid = pids(services)["one"]
    kill_keeper(services)

    services.down()

    until(lambda: not Path(f"/proc/{pid}").exists())
    assert services.states()[0].state == "stopped"


def test_a_program_that_changed_while_nobody_kept_it_is_started_again(services: ProcessServices, tmp_path: Path):
    services.configure([shell("one", tmp_path, "exec sleep 1000")])
    services.up()
    first = pids(services)["one"]
    kill_keeper(services)
    services.configure([shell("one", tmp_path, "exec sleep 2000")])

    services.up()

    assert pids(services)["one"] != first


def test_two_who_ask_at_once_start_one_keeper_and_each_program_once(services: ProcessServices, tmp_path: Path):
    (tmp_path / "jiyuan.toml").write_text(
        "[services.one]\ncommand = ['sh', '-c', 'echo one >> starts; exec sleep 1000']\n"
    )
    command = [str(Path(sys.executable).with_name("ptolemy")), "up", "--services", f"process://{services.folder}"]

    running = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) for _ in range(3)]

    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert (tmp_path / "starts").read_text().split() == ["one"]


def test_the_keeper_ends_when_everything_is_down(services: ProcessServices, tmp_path: Path):
    services.configure([shell("one", tmp_path, "exec sleep 1000")])
    services.up()
    pid = keeper(services)

    services.down()

    until(lambda: not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes())
    assert not (services.folder / "keeper.sock").exists()


def test_a_signal_to_the_keeper_stops_everything_in_order(services: ProcessServices, tmp_path: Path):
    script = "trap 'echo end > ended; exit 0' TERM; echo go; while :; do sleep 0.05; done"
    services.configure([shell("one", tmp_path, script, ready=Ready(log="go"))])
    services.up()

    os.kill(keeper(services), signal.SIGTERM)

    until(lambda: (tmp_path / "ended").exists() and not (services.folder / "keeper.sock").exists())


def test_a_component_that_left_the_definition_runs_on_until_it_is_stopped(services: ProcessServices, tmp_path: Path):
    one, two = (shell(n, tmp_path, "exec sleep 1000") for n in ("one", "two"))
    services.configure([one, two])
    services.up()
    services.configure([one])
    services.up()

    assert {s.component: (s.state, s.changed) for s in services.states()} == {
        "one": ("running", False), "two": ("running", True),
    }  # fmt: skip
    services.down(["two"])
    assert [s.component for s in services.states()] == ["one"]


def test_starts_that_come_to_nothing_wait_longer_each_time_and_are_given_up(services: ProcessServices, tmp_path: Path):
    services.configure(
        [
            shell(
                "one",
                tmp_path,
                "date +%s.%N >> starts; echo why; exit 7",
                retries=3,
                backoff=0.1,
                ready=Ready(log="never"),
            )
        ]
    )
    with pytest.raises(Exception, match="one"):
        services.up()

    until(lambda: services.states()[0].state == "failed")
    times = [float(t) for t in (tmp_path / "starts").read_text().split()]
    state = services.states()[0]

    assert len(times) == 4
    # Each pause is at least three quarters of twice the one before; how much longer it is, is the machine's.
    assert all(later - one >= 0.75 * 0.1 * 2**n for n, (one, later) in enumerate(pairwise(times)))
    assert (state.code, state.last_lines[-1]) == (7, "why")
    assert "given up after 3 more starts" in state.reason
    assert state.restarts == 3


def test_a_stale_component_is_started_again_where_its_definition_says_so(services: ProcessServices, tmp_path: Path):
    fresh = Fresh(log=True, max_age=0.5, restart=True)
    services.configure([shell("one", tmp_path, "echo said; exec sleep 1000", fresh=fresh)])
    services.up()
    first = pids(services)["one"]

    until(lambda: pids(services)["one"] not in (first, None) and services.states()[0].restarts >= 1)


def test_the_folder_is_for_its_user_alone_and_nothing_listens_on_the_network(services: ProcessServices, tmp_path: Path):
    services.configure([shell("one", tmp_path, "exec sleep 1000", env={"TOKEN": "s3cr3t-of-keeper"})])
    services.up()

    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in [services.folder, *services.folder.rglob("*")]}
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077 and name != "keeper.sock"} == {}
    inodes = {
        str(fd.readlink())[8:-1]
        for fd in Path(f"/proc/{keeper(services)}/fd").iterdir()
        if str(fd.readlink()).startswith("socket:")
    }
    for table in ("tcp", "tcp6", "udp"):
        used = {line.split()[9] for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]}
        assert not used & inodes
    held = b"".join(p.read_bytes() for p in services.folder.rglob("*") if p.is_file())
    assert b"s3cr3t-of-keeper" not in held


def test_a_socket_is_found_however_long_the_path_of_its_folder_is(tmp_path: Path):
    services = ProcessServices(tmp_path / ("long" * 40) / ("path" * 40))
    services.configure([shell("one", tmp_path, "exec sleep 1000")])
    with nobody_left(tmp_path):
        assert services.up()[0].state == "running"
        services.down()


def test_nonsense_on_the_socket_harms_nobody(services: ProcessServices, tmp_path: Path):
    from ptolemy.services.keeper import connect

    services.configure([shell("one", tmp_path, "exec sleep 1000")])
    services.up()
    before = pids(services)

    for line in (
        b"",
        b"\n",
        b"{",
        b"[]\n",
        b'{"do": "format"}\n',
        b'{"do": "up", "names": [1]}\n',
        b"x" * 100_000 + b"\n",
    ):
        with connect(services.folder, 5) as connection:
            connection.sendall(line)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(65536)

    assert pids(services) == before


def test_a_log_is_rotated_while_its_program_writes_and_not_a_line_is_lost(tmp_path: Path):
    log = Log(tmp_path / "one.log")
    descriptor = log.open()
    writer = "import os, sys\nfor i in range(40000): os.write(1, b'%d\\n' % i)"
    seen = 0
    with subprocess.Popen([sys.executable, "-c", writer], stdout=descriptor) as program:
        while program.poll() is None:
            seen += log.rotate(20_000, 1000)
    os.close(descriptor)

    lines = []
    for number in range(seen, 0, -1):
        lines += (tmp_path / f"one.log.{number}").read_bytes().replace(b"\0", b"").split()
    part = log.read(log.begin(), 1 << 20)
    lines += part.text.encode().split()

    assert seen > 1
    assert [int(line) for line in b"\n".join(lines).split()] == sorted({int(line) for line in lines})
    assert b"".join(lines).count(b"39999") == 1
    assert part.offset == log.size()


def test_only_so_many_older_parts_of_a_log_are_kept(tmp_path: Path):
    log = Log(tmp_path / "one.log")
    for number in range(5):
        descriptor = log.open()
        os.write(descriptor, f"part {number} ".encode() * 1000)
        os.close(descriptor)
        assert log.rotate(5000, 2)

    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.log", "one.log.1", "one.log.2"]
    assert "part 4" in (tmp_path / "one.log.1").read_text()
    assert log.read().text == ""


def test_a_part_of_a_log_never_cuts_a_character_in_two(tmp_path: Path):
    log = Log(tmp_path / "one.log")
    (tmp_path / "one.log").write_text("绩元" * 100)

    text, offset = "", 0
    while (part := log.read(offset, 7)).text:
        text, offset = text + part.text, part.offset

    assert text == "绩元" * 100


def test_a_restart_of_what_depends_on_something_that_is_down_is_said(services: ProcessServices, tmp_path: Path):
    one, two = (shell(n, tmp_path, "exec sleep 1000", depends_on=d) for n, d in (("one", ()), ("two", ("one",))))
    services.configure([one, two])

    with pytest.raises(NotReady, match="two waits for one"):
        services.restart(["two"])


def test_whoever_waits_and_leaves_lets_the_next_one_in(services: ProcessServices, tmp_path: Path):
    (tmp_path / "jiyuan.toml").write_text(
        "[services.one]\ncommand = 'sleep 1000'\nready = { log = 'never', timeout = 1000 }\n"
    )
    command = [str(Path(sys.executable).with_name("ptolemy")), "up", "--services", f"process://{services.folder}"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) as waiting:
        until(lambda: [s.state for s in services.states()] == ["starting"])
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(30) == 130

    states = services.down()

    assert [s.state for s in states] in (["stopped"], [])


def test_a_daemon_of_a_program_is_not_taken_for_the_program(services: ProcessServices, tmp_path: Path):
    script = "setsid sleep 1000 & echo $! > daemon; exec sleep 2000"
    services.configure([shell("one", tmp_path, script)])
    before = services.up()[0].pid
    kill_keeper(services)
    (services.folder / "keeper.json").unlink()

    assert services.up()[0].pid == before
    os.kill(int((tmp_path / "daemon").read_text()), signal.SIGKILL)


def test_a_keeper_started_by_a_component_is_no_part_of_it(services: ProcessServices, tmp_path: Path):
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "jiyuan.toml").write_text("[services.deep]\ncommand = 'sleep 1000'\n")
    ptolemy = Path(sys.executable).with_name("ptolemy")
    script = f"cd {inner} && {ptolemy} up --services process://{inner}/kept && echo done; exec sleep 1000"
    services.configure([shell("one", tmp_path, script, ready=Ready(log="done"))])
    services.up()

    services.down()

    within = ProcessServices(inner / "kept")
    assert [s.state for s in within.states()] == ["running"]
    within.down()
