"""The command as a person runs it, and its workers."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ptolemy as pt
from ptolemy.errors import BadToken


def in_home(running: Any, *words: str) -> str:
    """Run a command in the home of a service and return what it prints."""
    environment = {"PATH": "/usr/bin:/bin", "PTOLEMY_HOME": str(running.home), "HOME": str(running.home)}
    command = [str(Path(sys.executable).with_name("ptolemy")), *words]
    return subprocess.run(
        command, env=environment, cwd=running.home, capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def test_the_first_token_closes_a_service_that_runs_and_a_revoked_one_ends_at_once(serve: Any, real: str):
    running = serve(real)
    with pt.api("any", running.url) as api:
        assert len(api.daily(limit=1)) == 1
        token = in_home(running, "token", "create", "desk")

        with pytest.raises(BadToken):
            api.daily(limit=1)
    with pt.api(token, running.url) as api:
        assert len(api.daily(limit=1)) == 1
        in_home(running, "token", "revoke", token.split("_")[1])

        with pytest.raises(BadToken):
            api.daily(limit=1)


def test_several_workers_answer_and_end_with_the_command(serve: Any, real: str):
    running = serve(real, "--workers", "2")

    with pt.api(url=running.url) as api:
        assert [len(api.daily(limit=3)) for _ in range(4)] == [3] * 4
    running.process.send_signal(signal.SIGTERM)
    running.process.communicate(timeout=30)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(running.url.rpartition(":")[2]))) != 0


def test_it_listens_on_loopback_alone(service: Any):
    folder = Path(f"/proc/{service.process.pid}/fd")
    sockets = {str(fd.readlink()) for fd in folder.iterdir() if fd.is_symlink()}
    inodes = {s[8:-1] for s in sockets if s.startswith("socket:[")}
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in inodes:
                listening.append(words[1].partition(":")[0])

    assert listening == ["0100007F"]


def test_a_port_that_is_taken_is_a_conflict_with_the_way_out(ptolemy: Any):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = ptolemy("serve", "--port", str(taken.getsockname()[1]))

    assert code == 5
    assert "is taken" in err
    assert "hint: ptolemy serve --port" in err


def test_an_address_that_is_none_of_this_machine_is_said(ptolemy: Any):
    code, _, err = ptolemy("serve", "--host", "192.0.2.1", "--port", "0")

    assert code == 2
    assert "cannot be listened on" in err


def test_a_store_of_an_unknown_kind_is_said_before_anything_is_served(ptolemy: Any):
    code, out, err = ptolemy("serve", "--port", "0", "--store", "nowhere://")

    assert (code, out) == (2, "")
    assert "known: " in err


def test_what_is_said_at_the_start_tells_whether_any_token_is_taken(tmp_path: Path):
    command = [str(Path(sys.executable).with_name("ptolemy")), "serve", "--port", "0"]
    said = []
    for host in ("127.0.0.1", "0.0.0.0"):
        with subprocess.Popen(
            [*command, "--host", host], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline().startswith(f"serving http://{host}:")
            said.append(process.stderr.readline())
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
            assert process.returncode == 130

    assert "any token is taken" in said[0]
    assert "every call is refused" in said[1]


def test_the_page_is_there_only_where_it_is_asked_for(call: Any, service: Any):
    assert call.get("/web").status == 404

    done = subprocess.run(
        [str(Path(sys.executable).with_name("ptolemy")), "serve", "--web", "--workers", "2", "--port", "0"],
        capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "PTOLEMY_HOME": str(service.home)},
    )  # fmt: skip
    assert done.returncode == 2
    assert "only one worker" in done.stderr
