"""Talk to a lab as a program does: the hub's interface, and the kernels of a user's server."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass, field
from typing import Any

from websockets.sync.client import connect

_PATIENCE = 240.0  # seconds that a user's server may take to start on a busy machine


@dataclass
class Hub:
    """The hub at `url`, asked with `token`."""

    url: str
    token: str = field(repr=False)

    def ask(self, method: str, path: str, data: Any = None) -> tuple[int, Any]:
        """Return status and answer; JSON both ways."""
        body = None if data is None else json.dumps(data).encode()
        headers = {"Authorization": f"token {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                told = answer.read()
                return answer.status, json.loads(told) if told else None
        except urllib.error.HTTPError as exc:
            return exc.code, exc.read().decode(errors="replace")

    def start_server(self, user: str) -> None:
        """Make the user if there is none, start its server, and return when it answers."""
        status, told = self.ask("POST", f"/hub/api/users/{user}")
        assert status in (201, 409), told
        status, told = self.ask("POST", f"/hub/api/users/{user}/server")
        assert status in (201, 202, 400), told  # 400: it runs already
        end = time.monotonic() + _PATIENCE
        while True:
            status, told = self.ask("GET", f"/hub/api/users/{user}")
            if status == 200 and told["server"]:
                break
            assert time.monotonic() < end, f"the server of {user} has not started: {status} {told}"
            time.sleep(0.25)
        while self.ask("GET", f"/user/{user}/api/status")[0] != 200:
            assert time.monotonic() < end, f"the server of {user} does not answer"
            time.sleep(0.25)

    def run_notebook(self, user: str, cells: list[str], path: str = "work.ipynb") -> list[str]:
        """Keep a notebook in the user's folder, run its cells in a session of it, and return what each printed."""
        empty: dict[str, Any] = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
        notebook = {
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Jiyuan"}}, "nbformat": 4,
            "nbformat_minor": 5,
            "cells": [
                {**empty, "id": f"c{n}", "source": cell}
                for n, cell in enumerate(cells)
            ],
        }  # fmt: skip
        status, told = self.ask(
            "PUT", f"/user/{user}/api/contents/{path}", {"type": "notebook", "format": "json", "content": notebook}
        )
        assert status in (200, 201), told
        wanted = {"path": path, "name": path, "type": "notebook", "kernel": {"name": "python3"}}
        status, session = self.ask("POST", f"/user/{user}/api/sessions", wanted)
        assert status == 201, session
        kernel = session["kernel"]["id"]
        try:
            return self._run(user, kernel, cells)
        finally:
            self.ask("DELETE", f"/user/{user}/api/sessions/{session['id']}")

    def _run(self, user: str, kernel: str, cells: list[str]) -> list[str]:
        address = f"{self.url.replace('http', 'ws', 1)}/user/{user}/api/kernels/{kernel}/channels"
        headers = {"Authorization": f"token {self.token}"}
        with connect(address, additional_headers=headers, max_size=None, open_timeout=60) as socket:
            return [_execute(socket, cell) for cell in cells]


def _execute(socket: Any, code: str) -> str:
    asked = uuid.uuid4().hex
    header = {"msg_id": asked, "msg_type": "execute_request", "username": "", "session": asked, "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
    socket.send(
        json.dumps({"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"})
    )
    said: list[str] = []
    while True:
        message = json.loads(socket.recv(timeout=_PATIENCE))
        if message["parent_header"].get("msg_id") != asked:
            continue
        kind, told = message["msg_type"], message["content"]
        if kind == "stream" and told["name"] == "stdout":
            said.append(told["text"])
        elif kind in ("execute_result", "display_data"):
            said.append(told["data"].get("text/html") or told["data"].get("text/plain", ""))
        elif kind == "error":
            raise AssertionError("\n".join(told["traceback"]))
        elif kind == "status" and told["execution_state"] == "idle":
            return "".join(said)
