"""Other machines' supervisords, as Cesi's TOML lists them: ``[[nodes]]`` with name, host, port, username, password."""

from __future__ import annotations

import tomllib
import xmlrpc.client
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ptolemy.errors import BackendUnavailable, ConfigError, NotFound, nearest
from ptolemy.services.logs import masked
from ptolemy.services.port import LogPart, State
from ptolemy.services.rpc import ALREADY_STARTED, NOT_RUNNING, Rpc

_KEYS = ("name", "environment", "username", "password", "host", "port")
#: What supervisord calls a state, in our words.
WORDS = {
    "STOPPED": "stopped", "STARTING": "starting", "RUNNING": "running", "BACKOFF": "backoff", "STOPPING": "stopping",
    "EXITED": "exited", "FATAL": "failed", "UNKNOWN": "unknown",
}  # fmt: skip


@dataclass(frozen=True)
class Node:
    """One supervisord; its components are called ``NODE/PROGRAM`` or ``NODE/GROUP:PROGRAM``."""

    name: str
    host: str
    port: int
    environment: str = ""
    username: str = ""
    password: str = field(default="", repr=False)

    def rpc(self, timeout: float = 2.0) -> Rpc:
        """Return the way to it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return Rpc(f"http://{host}:{self.port}", self.username, self.password, timeout)

    def states(self, timeout: float = 2.0) -> list[State]:
        """Return the state of each of its programs; one of a node that does not answer if it does not."""
        try:
            return [self._state(info) for info in self.rpc(timeout).call("getAllProcessInfo")]
        except (BackendUnavailable, xmlrpc.client.Fault) as exc:
            return [State(f"{self.name}/", "unknown", reason=str(exc), node=self.name, group=self.environment)]

    def act(self, verb: str, program: str, timeout: float = 60.0) -> None:
        """Start (``up``), stop (``down``) or restart one of its programs; return when it is done."""
        rpc = self.rpc(timeout)
        if verb in ("down", "restart"):
            _unless(NOT_RUNNING, rpc, "stopProcess", program)
        if verb in ("up", "restart"):
            _unless(ALREADY_STARTED, rpc, "startProcess", program)

    def log(self, program: str, offset: int, size: int) -> LogPart:
        """Return a part of a program's output."""
        rpc = self.rpc()
        text, end, _ = rpc.call("tailProcessStdoutLog", program, max(offset, 0), size)
        if offset < 0 or offset > end:  # the last bytes are asked for, or the log was rotated
            text = rpc.call("readProcessStdoutLog", program, -size, 0) if end else ""
        return LogPart(masked(text, ()), end)

    def _state(self, info: dict[str, Any]) -> State:
        name = info["name"] if info["name"] == info["group"] else f"{info['group']}:{info['name']}"
        word = WORDS.get(info["statename"], "unknown")
        if word == "exited" and info["exitstatus"]:
            word = "failed"
        running = info["statename"] in ("RUNNING", "STARTING", "STOPPING")
        return State(
            f"{self.name}/{name}", word, float(info["start"] if running else info["stop"]), pid=info["pid"] or None,
            code=info["exitstatus"] if word in ("exited", "failed") else None,
            reason="" if word == "running" else str(info["spawnerr"] or ("" if running else info["description"])),
            heartbeat=float(info["now"]), node=self.name, group=self.environment,
        )  # fmt: skip


def read_nodes(path: Path) -> list[Node]:
    """Return the nodes of a file of Cesi's; raise `ConfigError` if it cannot be used."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound(f"there is no node list {path}", hint="name it with ?nodes=FILE") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(f"{path} cannot be read: {exc}", hint=f"mend or move {path}") from None
    listed = document.get("nodes", [])
    if not isinstance(listed, list) or not all(isinstance(n, dict) for n in listed):
        raise ConfigError(f"{path}: nodes must be a list", hint="write each node below [[nodes]]")
    nodes = [_node(path, number, facts) for number, facts in enumerate(listed, 1)]
    names = [n.name for n in nodes]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{path}: two nodes are called {name!r}", hint="give each a name of its own")
    return nodes


def states_of(nodes: Sequence[Node], timeout: float = 2.0) -> list[State]:
    """Return the states of all nodes, asked side by side: one that is dead takes its own time-out and no more."""
    if not nodes:
        return []
    with ThreadPoolExecutor(len(nodes)) as pool:
        return [state for states in pool.map(lambda node: node.states(timeout), nodes) for state in states]


def _node(path: Path, number: int, facts: dict[str, Any]) -> Node:
    place = f"{path}: node {number}"
    for key in facts:
        if key not in _KEYS:
            hint = nearest(key, _KEYS) or f"known keys: {', '.join(_KEYS)}"
            raise ConfigError(f"{place} has no key {key!r}", hint=hint)
    name, host, port = facts.get("name"), facts.get("host"), facts.get("port", 9001)
    if not isinstance(name, str) or not name or "/" in name:
        raise ConfigError(f"{place} has no name, or one with a slash", hint='name = "first"')
    if not isinstance(host, str) or not host:
        raise ConfigError(f"{place} ({name}) has no host", hint='host = "127.0.0.1"')
    if not str(port).isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(f"{place} ({name}): {port!r} is no port", hint='port = "9001"')
    texts = {k: str(facts.get(k, "")) for k in ("environment", "username", "password")}
    return Node(name, host, int(port), **texts)


def _unless(fault: int, rpc: Rpc, method: str, program: str) -> None:
    try:
        rpc.call(method, program)
    except xmlrpc.client.Fault as exc:
        if exc.faultCode != fault:
            why = f"{rpc.url} refuses: {exc.faultString}"
            raise BackendUnavailable(why, hint=f"read the log of {program}") from None
