"""The page with five nodes of 30 programs each, one node dead; and how soon it shows that a program runs again.

Four supervisords run 30 programs each, a fifth address takes connections and never answers. The peer is what
Cesi does: it asks the nodes one after the other, each with two calls, and has no time-out, so that the dead node
holds its page up for ever; here it gets ten seconds for each call and then an answer for what is left.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import xmlrpc.client
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.figures import figure

ROUNDS = 15
KILLS = 7
NODES, PROGRAMS = 4, 30
PATIENCE = 10.0


def figures() -> list[dict[str, Any]]:
    """Measure and return one dict per figure; the harness adds date, cpu and commit."""
    with tempfile.TemporaryDirectory() as text, ExitStack() as stack:
        folder = Path(text)
        ports = [stack.enter_context(_node(folder / f"node{i}")) for i in range(NODES)]
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        nodes = [*ports, silent.getsockname()[1]]
        (folder / "nodes.toml").write_text(
            "".join(f'[[nodes]]\nname = "n{i}"\nhost = "127.0.0.1"\nport = {p}\n' for i, p in enumerate(nodes))
        )
        url = stack.enter_context(_page(folder, f"supervisor://{folder}/own?nodes={folder}/nodes.toml"))
        _until(lambda: _get(url).count('class="tile running"') == NODES * PROGRAMS)
        seconds = []
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            page = _get(url)
            seconds.append(time.perf_counter() - begin)
            assert page.count('class="tile running"') == NODES * PROGRAMS
        assert 'class="tile unknown"' in page
        blocked = _one_after_the_other(nodes)
        again, seen = _killed(folder / "kills", stack)
    median = statistics.median
    peer = (
        f"what Cesi does: each node of supervisor {version('supervisor')} after the other, two XML-RPC calls a node; "
        "ten seconds for a call of the dead one, which Cesi does not limit"
    )
    return [
        _figure("page-dead", "page with 5 nodes x 30 programs, one dead", median(seconds) * 1000, "ms", 200, ROUNDS,
                peer=peer, peer_value=blocked * 1000),
        _figure("killed-runs", "program killed -> it runs again", median(again), "s", 1.5, KILLS),
        _figure("killed-seen", "the same -> the page shows its new process", median(seen), "s", 2.5, KILLS),
        _figure("shown", "it runs again -> the page shows it", median(s - a for s, a in zip(seen, again, strict=True)),
                "s", 1.0, KILLS),
    ]  # fmt: skip


def _killed(folder: Path, stack: ExitStack) -> tuple[list[float], list[float]]:
    """Return the seconds from the kill of a program until it runs again, and until the page has pushed that."""
    folder.mkdir()
    (folder / "jiyuan.toml").write_text(
        '[services.one]\ncommand = ["sh", "-c", "echo $$ >> pids; exec sleep 100000"]\n'
    )
    url = stack.enter_context(_page(folder, f"process://{folder}/own"))
    words = ["--services", f"process://{folder}/own"]
    subprocess.run([_ptolemy(), "up", *words], cwd=folder, env=_env(folder), check=True, capture_output=True)
    stack.callback(subprocess.run, [_ptolemy(), "down", *words], cwd=folder, env=_env(folder), capture_output=True)
    pushed: list[tuple[float, str]] = []
    threading.Thread(target=_listen, args=(url, pushed), daemon=True).start()
    _until(lambda: any("running" in html for _, html in pushed))
    again, seen = [], []
    for number in range(KILLS):
        time.sleep(2)  # what falls again and again waits longer each time; what has run for a second does not
        pid = int((folder / "pids").read_text().split()[-1])
        shown = len(pushed)
        begin = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        _until(lambda pid=pid: int((folder / "pids").read_text().split()[-1]) != pid)
        again.append(time.monotonic() - begin)
        word = f"<dt>restarts</dt><dd>{number + 1}</dd>"
        _until(lambda word=word, shown=shown: any(word in h and "tile running" in h for _, h in pushed[shown:]))
        at = next(t for t, h in pushed[shown:] if word in h and "tile running" in h)
        seen.append(at - begin)
    return again, seen


def _listen(url: str, pushed: list[tuple[float, str]]) -> None:
    request = urllib.request.Request(f"{url}/events", headers={"Accept-Language": "en"})
    with urllib.request.urlopen(request) as stream:
        for line in stream:
            if line.startswith(b"data: "):
                at = time.monotonic()
                pushed += [(at, re.sub(r"\s*\n\s*", "", t["html"])) for t in json.loads(line[6:])["tiles"]]


def _one_after_the_other(ports: list[int]) -> float:
    begin = time.perf_counter()
    for port in ports:
        for method in ("getState", "getAllProcessInfo"):
            proxy = xmlrpc.client.ServerProxy(f"http://127.0.0.1:{port}/RPC2", transport=_Patient())
            with suppress(OSError):
                getattr(proxy.supervisor, method)()
    return time.perf_counter() - begin


class _Patient(xmlrpc.client.Transport):
    def make_connection(self, host: Any) -> Any:
        connection = super().make_connection(host)
        connection.timeout = PATIENCE
        return connection


@contextmanager
def _node(folder: Path) -> Iterator[int]:
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    programs = "".join(
        f"[program:p{i}]\ncommand = sleep 100000\nstartsecs = 0\nstdout_logfile = NONE\nstderr_logfile = NONE\n"
        for i in range(PROGRAMS)
    )
    (folder / "supervisord.conf").write_text(
        f"[inet_http_server]\nport = 127.0.0.1:{port}\n[supervisord]\nlogfile = {folder}/log\npidfile = {folder}/pid\n"
        "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = "
        f"supervisor.rpcinterface:make_main_rpcinterface\n{programs}"
    )
    command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(folder / "supervisord.conf")]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        yield port
        process.terminate()
        process.wait(60)


@contextmanager
def _page(folder: Path, services: str) -> Iterator[str]:
    command = [_ptolemy(), "web", "--port", "0", "--json", "--services", services]
    with subprocess.Popen(
        command, cwd=folder, env=_env(folder), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        yield json.loads("".join(lines))["url"]
        process.terminate()
        process.wait(30)


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return str(answer.read().decode())


def _until(condition: Any) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def _ptolemy() -> str:
    return str(Path(sys.executable).with_name("ptolemy"))


def _env(folder: Path) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PTOLEMY_HOME": str(folder / "home"),
            "XDG_CONFIG_HOME": str(folder)}  # fmt: skip


def _figure(
    name: str, what: str, value: float, unit: str, bar: float | None, rounds: int, **more: Any
) -> dict[str, Any]:
    return figure("ptolemy-web", name, what, value, unit, bar, rounds=rounds, **more)
