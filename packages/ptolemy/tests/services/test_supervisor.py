"""What `supervisor://` keeps besides the contract: its configuration, its own death, the nodes of a list."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("supervisor", reason="scripts/install servers")

from ptolemy.errors import BackendUnavailable, ConfigError, NotFound
from ptolemy.services import Component, open_services
from ptolemy.services.nodes import read_nodes
from ptolemy.services.processes import look
from ptolemy.services.rpc import Rpc
from ptolemy.services.supervisor import SupervisorServices
from ptolemy.testing.services import nobody_left, until

pytestmark = pytest.mark.supervisor


@pytest.fixture
def services(tmp_path: Path) -> Iterator[SupervisorServices]:
    with nobody_left(tmp_path):
        services = SupervisorServices(tmp_path / "kept")
        yield services
        services.down()


def sleeper(name: str, folder: Path, **words: Any) -> Component:
    return Component(name, ("sleep", "1000"), cwd=folder, **words)


def test_the_configuration_is_absolute_private_and_holds_no_secret(services: SupervisorServices, tmp_path: Path):
    hostile = {"TOKEN": "s3cr3t%of;the \"test'\n", "PLAIN": '100% ; "quoted"'}
    services.configure(
        [Component("one", ("sh", "-c", 'printf "%s" "$TOKEN$PLAIN" > got; exec sleep 1000'), cwd=tmp_path, env=hostile)]
    )

    services.up()

    written = (services.folder / "supervisord.conf").read_text()
    assert "s3cr3t" not in written
    assert "%(here)s" not in written
    assert "user" not in written
    assert "inet_http_server" not in written
    paths = [line.partition(" = ")[2] for line in written.splitlines() if "file = " in line]
    assert paths
    assert all(path.startswith("/") for path in paths)
    assert stat.S_IMODE(services.folder.stat().st_mode) == 0o700
    for path in services.folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert (tmp_path / "got").read_text() == hostile["TOKEN"] + hostile["PLAIN"]


def test_a_killed_supervisord_leads_to_no_program_that_runs_twice(services: SupervisorServices, tmp_path: Path):
    script = "echo $$ >> pids; exec sleep 1000"
    services.configure([Component("one", ("sh", "-c", script), cwd=tmp_path)])
    services.up()
    os.kill(int((services.folder / "supervisord.pid").read_text()), signal.SIGKILL)
    until(lambda: services.states()[0].state == "stopped")

    services.up()

    running = [pid for pid in map(int, (tmp_path / "pids").read_text().split()) if look(pid)]
    assert running == [services.states()[0].pid]


def test_the_listener_writes_each_change_of_state_down(services: SupervisorServices, tmp_path: Path):
    services.configure([sleeper("one", tmp_path)])
    services.up()
    pid = services.states()[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    def told() -> list[str]:
        lines = (services.folder / "events.jsonl").read_text().splitlines()
        return [json.loads(line)["state"] for line in lines if json.loads(line)["component"] == "one"]

    until(lambda: told()[-5:] == ["starting", "running", "exited", "starting", "running"])


def test_supervisord_ends_when_everything_is_down(services: SupervisorServices, tmp_path: Path):
    services.configure([sleeper("one", tmp_path)])
    services.up()
    pid = int((services.folder / "supervisord.pid").read_text())

    services.down()

    until(lambda: not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes())


def test_a_component_that_is_added_leaves_the_others_running(services: SupervisorServices, tmp_path: Path):
    services.configure([sleeper("one", tmp_path)])
    before = services.up()[0].pid
    services.configure([sleeper("one", tmp_path), sleeper("two", tmp_path, group="more")])

    states = services.up()

    assert [s.state for s in states] == ["running", "running"]
    assert states[0].pid == before


@pytest.fixture
def node(tmp_path: Path) -> Iterator[int]:
    """Give the port of a supervisord that somebody else configured, with a name and a password."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    folder = tmp_path / "node"
    folder.mkdir()
    (folder / "supervisord.conf").write_text(f"""
[inet_http_server]
port = 127.0.0.1:{port}
username = ops
password = hunter2-of-the-node
[supervisord]
logfile = {folder}/supervisord.log
pidfile = {folder}/supervisord.pid
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[program:feed]
command = sh -c 'echo the feed begins; exec sleep 1000'
stdout_logfile = {folder}/feed.log
startsecs = 0
[program:idle]
command = sleep 1000
autostart = false
startsecs = 0
""")
    command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(folder / "supervisord.conf")]
    with nobody_left(tmp_path), subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        rpc = Rpc(f"http://127.0.0.1:{port}", "ops", "hunter2-of-the-node")

        def answers() -> bool:
            try:
                return bool(rpc.call("getProcessInfo", "feed")["statename"] == "RUNNING")
            except BackendUnavailable:
                return False

        until(answers)
        yield port
        process.terminate()
        process.wait(20)


def cesi(path: Path, *nodes: tuple[str, str, int, str]) -> Path:
    """Write a node list as Cesi has it."""
    path.write_text(
        '[cesi]\ndatabase = "sqlite:///cesi.db"\nadmin_username = "admin"\n'
        + "".join(
            f'[[nodes]]\nname = "{name}"\nenvironment = "prod"\nusername = "ops"\npassword = "{password}"\n'
            f'host = "{host}"\nport = "{port}"\n'
            for name, host, port, password in nodes
        )
    )
    return path


def test_the_nodes_of_cesis_list_are_shown_and_a_dead_one_holds_nobody_up(tmp_path: Path, node: int):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        listed = cesi(
            tmp_path / "cesi.conf.toml",
            ("first", "127.0.0.1", node, "hunter2-of-the-node"),
            ("dead", "127.0.0.1", silent.getsockname()[1], "x"),
            ("wrong", "127.0.0.1", node, "not-the-password"),
        )
        with open_services(f"supervisor://{tmp_path}/kept?nodes={listed}") as services:
            begin = time.monotonic()
            states = {s.component: s for s in services.states()}
            seconds = time.monotonic() - begin

    assert {name: s.state for name, s in states.items()} == {
        "first/feed": "running", "first/idle": "stopped", "dead/": "unknown", "wrong/": "unknown",
    }  # fmt: skip
    assert "no answer within 2 s" in states["dead/"].reason
    assert "401" in states["wrong/"].reason
    assert "password" not in repr(states)
    assert states["first/feed"].node == "first"
    assert seconds < 20


def test_a_program_of_a_node_is_started_and_stopped_and_its_log_read(tmp_path: Path, node: int):
    listed = cesi(tmp_path / "cesi.conf.toml", ("first", "127.0.0.1", node, "hunter2-of-the-node"))
    with open_services(f"supervisor://{tmp_path}/kept?nodes={listed}") as services:

        def words() -> dict[str, str]:
            return {s.component: s.state for s in services.states()}

        services.up(["first/idle"])
        assert words() == {"first/feed": "running", "first/idle": "running"}
        before = {s.component: s.pid for s in services.states()}
        services.restart(["first/idle"])
        after = {s.component: s.pid for s in services.states()}
        assert after["first/idle"] != before["first/idle"]
        services.down(["first/idle"])
        services.down(["first/idle"])
        assert words() == {"first/feed": "running", "first/idle": "stopped"}
        part = services.log("first/feed")
        assert part.text == "the feed begins\n"
        assert services.log("first/feed", part.offset).text == ""


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("[[nodes]]\nhost = 'x'", "node 1 has no name", "name ="),
        ("[[nodes]]\nname = 'a/b'\nhost = 'x'", "node 1 has no name", "name ="),
        ("[[nodes]]\nname = 'a'", "has no host", "host ="),
        ("[[nodes]]\nname = 'a'\nhost = 'x'\nport = 'ssh'", "is no port", "port ="),
        ("[[nodes]]\nname = 'a'\nhost = 'x'\nusrname = 'o'", "no key 'usrname'", "did you mean 'username'?"),
        ("[[nodes]]\nname = 'a'\nhost = 'x'\n[[nodes]]\nname = 'a'\nhost = 'y'", "two nodes", "a name of its own"),
        ("nodes = 3", "must be a list", "[[nodes]]"),
        ("nodes = [", "cannot be read", "mend"),
    ],
)
def test_a_node_list_that_cannot_be_used_is_named(tmp_path: Path, text: str, said: str, hint: str):
    path = tmp_path / "nodes.toml"
    path.write_text(text)

    with pytest.raises(ConfigError) as caught:
        read_nodes(path)

    assert said in str(caught.value)
    assert hint in str(caught.value.hint)


def test_a_node_list_that_is_not_there_is_said(tmp_path: Path):
    with pytest.raises(NotFound, match=r"none\.toml"):
        open_services(f"supervisor://{tmp_path}?nodes={tmp_path}/none.toml")


def test_a_stranger_on_the_port_is_no_supervisord():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        rpc = Rpc(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=5)
        pid = os.fork()
        if pid == 0:
            taken, _ = listening.accept()
            taken.recv(4096)
            taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            taken.close()
            os._exit(0)

        with pytest.raises(BackendUnavailable, match="is no supervisord"):
            rpc.call("getState")
        os.waitpid(pid, 0)


def test_no_other_method_of_supervisord_can_be_called():
    with pytest.raises(ValueError, match="system"):
        Rpc("http://127.0.0.1:9").call("system.listMethods")
