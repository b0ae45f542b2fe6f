"""Services kept by supervisord: ``supervisor:///folder``, and ``?nodes=FILE`` for supervisords of other machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import supervisor

from ptolemy._house.backends import BackendURL
from ptolemy._house.files import write_durably
from ptolemy.errors import BackendUnavailable, NotAllowed, NotReady, UnknownComponent
from ptolemy.services import checks, processes
from ptolemy.services.definition import select, with_dependants, with_dependencies
from ptolemy.services.listener import begun
from ptolemy.services.logs import Log, masked, secrets_of
from ptolemy.services.nodes import WORDS, Node, read_nodes, states_of
from ptolemy.services.port import Component, LogPart, Said, Services, State, say_nothing
from ptolemy.services.process import default_folder
from ptolemy.services.record import mark_of
from ptolemy.services.rpc import ALREADY_ADDED, ALREADY_STARTED, BAD_NAME, NOT_RUNNING, Rpc

_DRIVER = supervisor.__name__
_START = 20.0
_FALLS = 3
_ENDED = ("stopped", "exited", "failed")
_AUTORESTART = {"always": "true", "on-failure": "unexpected", "never": "false"}


class SupervisorServices:
    """A supervisord of our own in `folder`, run by its user, and the nodes of a list.

    Parameters
    ----------
    folder
        Where configuration, definitions, logs and socket lie; for its user alone (0700).
    nodes
        Supervisords that somebody else configures; their programs are ``NODE/PROGRAM``.
    """

    def __init__(self, folder: Path, nodes: Sequence[Node] = ()) -> None:
        self.folder, self.nodes = folder.absolute(), list(nodes)
        self.mark = mark_of(self.folder)
        self.rpc = Rpc(f"unix://{self._socket()}")
        self._components: list[Component] = []
        self._sampled: tuple[float, dict[int, float]] = (0.0, {})

    @classmethod
    def from_url(cls, url: BackendURL) -> Self:
        """Open the folder that `url` names, and the nodes of ``?nodes=FILE``."""
        listed = url.query.get("nodes")
        return cls(url.file_path(default_folder()), read_nodes(Path(listed).expanduser()) if listed else ())

    def configure(self, components: Sequence[Component]) -> None:
        self._components = list(components)

    def up(self, names: Iterable[str] = (), *, said: Said = say_nothing) -> list[State]:
        own, foreign = self._chosen(names)
        if own:
            self._ensure()
            self._load()
        bad: dict[str, State] = {}
        for component in with_dependencies(self._components, own):
            if bad.keys() & set(component.depends_on):
                bad[component.name] = State(component.name, "waiting", reason="waits for what is not ready")
            elif state := self._start(component, said):
                bad[component.name] = state
        self._act("up", foreign)
        if bad:
            raise NotReady(list(bad.values()))
        return self.states()

    def down(self, names: Iterable[str] = (), *, said: Said = say_nothing) -> list[State]:
        chosen = list(names)
        own, foreign = self._chosen(chosen)
        self._act("down", foreign)
        if self._is_up():
            for component in reversed(with_dependants(self._components, own)):
                self._stop(component, said)
            if not any(s.pid for s in self._own()):
                self._shut()
        return self.states()

    def restart(self, names: Iterable[str] = (), *, said: Said = say_nothing) -> list[State]:
        own, foreign = self._chosen(names)
        if own:
            self._ensure()
            self._load()
        for component in own:
            self._stop(component, said)
            if state := self._start(component, said):
                raise NotReady([state])
        self._act("restart", foreign)
        return self.states()

    def states(self) -> list[State]:
        return [*self._own(), *states_of(self.nodes)]

    def feeds(self) -> dict[str, Callable[[], list[State]]]:
        """Return how to ask for the states of each node alone, so that a dead one holds nobody up; ours is ``""``."""
        return {"": self._own, **{node.name: node.states for node in self.nodes}}

    def log(self, name: str, offset: int = -1, size: int = 65536) -> LogPart:
        if found := self._foreign(name):
            return found[0].log(found[1], offset, size)
        component = next((c for c in self._components if c.name == name), None)
        if component is None:
            raise UnknownComponent(name, [s.component for s in self.states()])
        log = Log(self.folder / "logs" / f"{name}.log")
        # supervisord begins a new file when it rotates.
        part = log.read(offset if offset <= log.size() else 0, size)
        return replace(part, text=masked(part.text, secrets_of(component.env)))

    def close(self) -> None:
        """Let go of the handle; the programs run on."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _chosen(self, names: Iterable[str]) -> tuple[list[Component], list[tuple[Node, str]]]:
        wanted = list(names)
        foreign = [s for s in states_of(self.nodes) if not s.component.endswith("/")] if self.nodes else []
        known = [*self._components, *(Component(s.component, (), group=s.group) for s in foreign)]
        chosen = select(known, wanted)
        there = [found for c in chosen if (found := self._foreign(c.name))]
        return [c for c in chosen if c in self._components], there

    def _foreign(self, name: str) -> tuple[Node, str] | None:
        node, slash, program = name.partition("/")
        found = next((n for n in self.nodes if n.name == node), None) if slash else None
        return (found, program) if found else None

    def _act(self, verb: str, foreign: Iterable[tuple[Node, str]]) -> None:
        for node, program in foreign:
            node.act(verb, program)

    def _own(self) -> list[State]:
        if not self._components:
            return []
        try:
            infos = {i["name"]: i for i in self.rpc.call("getAllProcessInfo")}
        except BackendUnavailable:
            infos = {}
        found = processes.usage([i["pid"] for i in infos.values() if i["pid"]])
        now, (then, before) = time.monotonic(), self._sampled
        if now - then > 0.2:
            self._sampled = now, {pid: u.cpu_seconds for pid, u in found.items()}
        states = []
        for component in self._components:
            state = self._state(component, infos.get(component.name))
            if state.pid and (use := found.get(state.pid)):
                cpu = max(0.0, use.cpu_seconds - before[state.pid]) / (now - then) if state.pid in before else 0.0
                state = replace(state, cpu=cpu, rss=use.rss, threads=use.threads)
            states.append(state)
        return states

    def _state(self, component: Component, info: dict[str, Any] | None) -> State:
        secrets = secrets_of(component.env)
        command = masked(" ".join(component.command), secrets)
        facts: dict[str, Any] = {
            "group": component.group, "depends_on": component.depends_on, "command": command, "heartbeat": time.time()
        }  # fmt: skip
        if info is None:
            return State(component.name, "stopped", **facts)
        start, pid = begun(self.folder, component.name), info["pid"] or None
        log = Log(self.folder / "logs" / f"{component.name}.log")
        word, reason = WORDS.get(info["statename"], "unknown"), ""
        if word == "running":
            word, reason = self._running(component, start, log)
        elif word == "exited" and info["exitstatus"]:
            word = "failed"
        if word in ("failed", "backoff"):
            reason = info["spawnerr"] or f"ended with code {info['exitstatus']}"
        if word in ("failed", "backoff", "exited"):
            facts["last_lines"] = tuple(masked(line, secrets) for line in log.last_lines(20))
            facts["code"] = info["exitstatus"]
        if pid:
            last = checks.last_sign(component.fresh, log.path) if component.fresh else checks.modified(str(log.path))
            facts["age"] = None if last is None else max(0.0, time.time() - last)
        since = start.get("at", info["start"]) if pid else info["stop"]
        return State(
            component.name, word, float(since), max(0, start.get("starts", 1) - 1), pid, reason=reason,
            changed=bool(pid and start and start["digest"] != component.digest()), **facts,
        )  # fmt: skip

    def _running(self, component: Component, start: Any, log: Log) -> tuple[str, str]:
        """Return whether a program that runs is ready, and fresh; that it was ready once is kept in a file."""
        if not start:
            return "starting", ""
        passed = self.folder / "ready" / f"{component.name}.json"
        key = json.dumps([start["pid"], start["at"]]).encode()
        if not passed.exists() or passed.read_bytes() != key:
            if not checks.is_ready(
                component.ready, start["at"], time.time(), lambda text: log.holds(text, start["log_from"])
            ):
                return "starting", ""
            write_durably(passed, key)
            passed.chmod(0o600)
        fresh = component.fresh
        if fresh is None:
            return "running", ""
        if fresh.http:
            return ("running", "") if checks.answers(fresh.http) else ("stale", f"{fresh.http} does not answer")
        last = checks.last_sign(fresh, log.path)
        if time.time() - max(last or 0.0, start["at"]) > fresh.max_age:
            return "stale", f"{fresh.file or 'its output'} is more than {fresh.max_age:g} s old"
        return "running", ""

    def _start(self, component: Component, said: Said) -> State | None:
        """Start a component and wait until it is ready; return its state if it is not."""
        state = self._of(component)
        if state.changed or state.state == "failed":
            self._stop(component, said)
            state = self._of(component)
        if state.pid is None:
            (self.folder / "begun" / f"{component.name}.json").unlink(missing_ok=True)
            self._call("startProcess", component, False, unless=ALREADY_STARTED)
        end = time.monotonic() + component.ready.timeout + 1.0  # a second of it is supervisord's
        told = ""
        while True:
            state = self._of(component)
            if state.state != told:
                told = state.state
                said(state)
            if state.state in ("running", "stale") or (state.state == "exited" and state.code == 0):
                return None
            starts = begun(self.folder, component.name).get("starts", 0)
            if state.state in ("failed", "exited") or (state.state == "backoff" and starts >= _FALLS):
                return state
            if time.monotonic() > end:
                self._stop(component, said)
                return replace(state, state="failed", reason=f"was not ready within {component.ready.timeout:g} s")
            time.sleep(0.02)

    def _stop(self, component: Component, said: Said) -> None:
        state = self._of(component)
        if state.state in ("stopped", "exited", "failed") and state.pid is None:
            return
        self._call("stopProcess", component, False, unless=NOT_RUNNING)
        end = time.monotonic() + component.stop_timeout + 10
        while (state := self._of(component)).state not in _ENDED or state.pid is not None:
            if time.monotonic() > end:
                raise BackendUnavailable(f"{component.name} does not end", hint=f"ptolemy logs {component.name}")
            time.sleep(0.02)
        said(state)

    def _of(self, component: Component) -> State:
        try:
            info = self.rpc.call("getProcessInfo", _full(component))
        except xmlrpc.client.Fault as exc:
            if exc.faultCode != BAD_NAME:
                raise
            info = None
        return self._state(component, info)

    def _call(self, method: str, component: Component, wait: bool, *, unless: int) -> None:
        try:
            self.rpc.call(method, _full(component), wait)
        except xmlrpc.client.Fault as exc:
            if exc.faultCode not in (unless, BAD_NAME) and method != "startProcess":
                raise BackendUnavailable(f"supervisord refuses: {exc.faultString}", hint=str(self.folder)) from None

    def _is_up(self) -> bool:
        try:
            return bool(self.rpc.call("getState")["statename"] == "RUNNING")
        except BackendUnavailable:
            return False

    def _ensure(self) -> None:
        """Start supervisord if none answers."""
        if self._is_up():
            return
        try:
            for name in ("", "components", "begun", "ready", "logs"):
                (self.folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder.chmod(0o700)
        except OSError as exc:
            raise BackendUnavailable(f"{exc.filename}: {exc.strerror}", hint="ptolemy config show --origin") from None
        # A supervisord that was killed leaves its programs running, and another one cannot adopt them.
        for process in processes.marked(self.mark, by_group=True).values():
            processes.send(process.pid, 15)
            end = time.monotonic() + 5
            while processes.look(process.pid) and time.monotonic() < end:
                time.sleep(0.01)
            processes.send(process.pid, 9)
        self._write()
        done = subprocess.run(
            [sys.executable, "-m", f"{_DRIVER}.supervisord", "-c", str(self.folder / "supervisord.conf")],
            capture_output=True, umask=0o077, text=True, cwd=self.folder, timeout=_START,
        )  # fmt: skip
        end = time.monotonic() + _START
        while not self._is_up():
            if done.returncode or time.monotonic() > end:
                lines = (done.stdout + done.stderr).strip().splitlines()[-1:]
                raise BackendUnavailable(
                    f"supervisord did not start: {'; '.join(lines) or 'no answer'}",
                    hint=f"read {self.folder / 'supervisord.log'}",
                )
            time.sleep(0.02)

    def _shut(self) -> None:
        pid = self.rpc.call("getPID")
        self.rpc.call("shutdown")
        end = time.monotonic() + _START
        while processes.look(pid) and time.monotonic() < end:
            time.sleep(0.01)

    def _load(self) -> None:
        """Let supervisord know the components as they are now; what has not changed runs on."""
        self._write()
        ((added, changed, removed),) = self.rpc.call("reloadConfig")
        for group in [*changed, *removed]:
            self.rpc.call("stopProcessGroup", group, True)
            self.rpc.call("removeProcessGroup", group)
        for group in [*added, *changed]:
            try:
                self.rpc.call("addProcessGroup", group)
            except xmlrpc.client.Fault as exc:
                if exc.faultCode != ALREADY_ADDED:
                    raise

    def _write(self) -> None:
        folder = self.folder
        for component in self._components:
            facts = {**asdict(component), "cwd": str(component.cwd), "digest": component.digest()}
            facts["umask"] = processes.umask()
            facts["mark"] = f"{self.mark}/{component.name}/{facts['digest']}"
            path = folder / "components" / f"{component.name}.json"
            write_durably(path, json.dumps(facts).encode())
            path.chmod(0o600)
        path = folder / "supervisord.conf"
        write_durably(path, self._configuration().encode())
        path.chmod(0o600)

    def _configuration(self) -> str:
        folder = self.folder
        if set(str(folder)) & set("%;\n"):
            raise NotAllowed(f"{folder}: supervisord takes no %, ; or line break in a path", hint="name another folder")
        sections: dict[str, dict[str, object]] = {
            "unix_http_server": {"file": self._socket(), "chmod": "0700"},
            "supervisord": {
                "logfile": folder / "supervisord.log", "logfile_maxbytes": "1MB", "logfile_backups": 1,
                "pidfile": folder / "supervisord.pid", "childlogdir": folder / "logs", "directory": folder,
                "umask": "077", "identifier": "ptolemy",
            },
            "rpcinterface:supervisor": {
                "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
            },
            "supervisorctl": {"serverurl": f"unix://{self._socket()}"},
            "eventlistener:ptolemy": {
                "command": f"{sys.executable} -m ptolemy.services.listener {_quoted(folder)} unix://{self._socket()}",
                "events": "PROCESS_STATE,TICK_5", "buffer_size": 1000, "autorestart": "true",
                "stderr_logfile": folder / "listener.log", "stderr_logfile_maxbytes": "1MB", "startretries": 1_000_000,
            },
        }  # fmt: skip
        groups: dict[str, list[str]] = {}
        for c in self._components:
            sections[f"program:{c.name}"] = {
                "command": f"{sys.executable} -m ptolemy.services.launch {_quoted(folder)} {c.name}",
                "autostart": "false", "autorestart": _AUTORESTART[c.restart],
                "startsecs": 0 if c.restart == "never" else 1, "startretries": c.retries or 1_000_000,
                "stopsignal": c.stop_signal, "stopwaitsecs": max(1, round(c.stop_timeout)),
                "stopasgroup": "true", "killasgroup": "true", "redirect_stderr": "true",
                "stdout_logfile": folder / "logs" / f"{c.name}.log",
                "stdout_logfile_maxbytes": c.log_size, "stdout_logfile_backups": c.log_files,
            }  # fmt: skip
            if c.group:
                groups.setdefault(c.group, []).append(c.name)
        for group, names in groups.items():
            sections[f"group:{group}"] = {"programs": ",".join(names)}
        return "\n".join(
            f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in words.items())
            for name, words in sections.items()
        )

    def _socket(self) -> Path:
        """Return where the socket lies: in the folder, or, where that path is too long for one, in the user's own."""
        path = self.folder / "supervisor.sock"
        if len(os.fsencode(path)) <= 85:  # of 107; supervisord makes it under a longer name first
            return path
        runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
        place = runtime / f"ptolemy-{os.getuid()}-{self.mark}"
        place.mkdir(mode=0o700, exist_ok=True)
        found = place.lstat()
        if found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise NotAllowed(f"{place} is not this user's alone", hint="remove it, or set XDG_RUNTIME_DIR")
        return place / "supervisor.sock"


def _full(component: Component) -> str:
    return f"{component.group or component.name}:{component.name}"


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))


if TYPE_CHECKING:
    _fits: type[Services] = SupervisorServices
