from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kyrios.serving.server import FlowServer

#: Waits until a file is there, and says how far it is; a gate that a test opens.
WAITING = """
import time
from pathlib import Path
import pyarrow as pa

def numbers(*, first, factor):
    print("waiting for the gate", flush=True)
    while not Path("GATE").exists():
        time.sleep(0.01)
    print("through", flush=True)
    return pa.table({"n": pa.array([first, first + 1], pa.int64())})
"""


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Client:
    """Asks a server as a program does."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.token = ""

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body if isinstance(body, bytes | None) else json.dumps(body), sent)
        answer = connection.getresponse()
        found = Answer(answer.status, dict(answer.headers), answer.read().decode())
        connection.close()
        return found

    def get(self, path: str, **headers: str) -> Answer:
        return self("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self("POST", path, {} if body is None else body, **headers)

    def steps(self, run: str, **headers: str) -> Iterator[tuple[str, str, Any]]:
        """Give id, kind and data of each event of a run, as they come."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        connection.request("GET", f"/runs/{run}/events", headers=sent | headers)
        answer = connection.getresponse()
        assert answer.status == 200
        known: dict[str, str] = {}
        while line := answer.readline().decode():
            key, _, value = line.rstrip("\n").partition(": ")
            if key:
                known[key] = value
            elif "event" in known:
                yield known.get("id", ""), known["event"], json.loads(known["data"])
                known = {}
        connection.close()

    def end_of(self, run: str) -> dict[str, Any]:
        """Return a run when it has ended."""
        for _, kind, _ in self.steps(run):
            if kind == "end":
                break
        return self.get(f"/runs/{run}").json


@pytest.fixture
def serving(sums: Any) -> Iterator[Callable[..., tuple[FlowServer, Client]]]:
    servers: list[FlowServer] = []

    def serve(**options: Any) -> tuple[FlowServer, Client]:
        server = FlowServer([Path(sums.folder).parent], 0, **options)
        server.__enter__()
        servers.append(server)
        return server, Client(int(server.url.rpartition(":")[2]))

    yield serve
    for server in servers:
        server.__exit__()


@pytest.fixture
def ask(serving: Callable[..., tuple[FlowServer, Client]]) -> Client:
    return serving()[1]


@pytest.fixture
def gate(sums: Any, tmp_path: Path) -> Path:
    """Let the first unit of the flow wait until this file is there."""
    path = tmp_path / "gate"
    rest = sums.code_text().partition("def double")
    imports = "import os\nimport pyarrow.compute as pc\nimport kyrios\n\ndef double"
    sums.code(WAITING.replace("GATE", str(path)) + imports + rest[2])
    return path
