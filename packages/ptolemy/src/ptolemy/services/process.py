"""Services kept by a process of ours: ``process:///folder``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import ptolemy.errors
from ptolemy._house.backends import BackendURL
from ptolemy._house.config import home, project_file
from ptolemy.errors import BackendUnavailable, NotReady, PtolemyError, UnknownComponent
from ptolemy.services import processes
from ptolemy.services.definition import select
from ptolemy.services.keeper import LOG, components_to_json, connect
from ptolemy.services.logs import Log, masked, secrets_of
from ptolemy.services.port import Component, LogPart, Said, Services, State, say_nothing
from ptolemy.services.record import RECORD, Record, mark_of

_START = 20.0  # seconds that a new keeper has to answer
_ANSWER = 10.0


class ProcessServices:
    """The programs of one folder; a keeper is started when something is to run, and goes on by itself.

    Parameters
    ----------
    folder
        Where record, logs and socket lie; for its user alone (0700).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._components: list[Component] = []

    @classmethod
    def from_url(cls, url: BackendURL) -> Self:
        """Open the folder that `url` names; by default one for each project, in the home folder."""
        return cls(url.file_path(default_folder()))

    def configure(self, components: Sequence[Component]) -> None:
        self._components = list(components)

    def up(self, names: Iterable[str] = (), *, said: Said = say_nothing) -> list[State]:
        return self._act("up", names, said)

    def down(self, names: Iterable[str] = (), *, said: Said = say_nothing) -> list[State]:
        chosen = list(names)
        if not self._is_kept() and not any(s.pid for s in self._found()):
            self._check(chosen)
            return self.states()
        return self._act("down", chosen, said)

    def restart(self, names: Iterable[str] = (), *, said: Said = say_nothing) -> list[State]:
        return self._act("restart", names, said)

    def states(self) -> list[State]:
        try:
            with self._asked({"do": "states"}, _ANSWER) as answers:
                found = [_state(s) for s in next(answers)["states"]]
        except (OSError, StopIteration):
            found = self._found()
        known = {s.component: s for s in found}
        for component in self._components:
            if component.name not in known:
                known[component.name] = _stopped(component)
        order = [c.name for c in self._components]
        return [known[n] for n in [*order, *(n for n in known if n not in order)]]

    def log(self, name: str, offset: int = -1, size: int = 65536) -> LogPart:
        component = next((c for c in self._components if c.name == name), None)
        path = self.folder / "logs" / f"{name}.log"
        if component is None and ("/" in name or not path.exists()):
            raise UnknownComponent(name, [s.component for s in self.states()])
        part = Log(path).read(offset, size)
        return replace(part, text=masked(part.text, secrets_of(component.env) if component else ()))

    def close(self) -> None:
        """Let go of the handle; the programs run on."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _act(self, verb: str, names: Iterable[str], said: Said) -> list[State]:
        chosen = list(names)
        self._check(chosen)
        self._keep()
        request: dict[str, Any] = {"do": verb, "names": chosen, "by": _caller()}
        if self._components:
            request["components"] = components_to_json(self._components)
        try:
            with self._asked(request, None) as answers:
                for answer in answers:
                    if "said" in answer:
                        said(_state(answer["said"]))
                    elif "error" in answer:
                        raise _raised(answer)
                    else:
                        states = [_state(s) for s in answer["states"]]
                        if answer["bad"]:
                            raise NotReady([s for s in states if s.component in answer["bad"]])
                        return states if verb != "down" else self.states()
        except OSError as exc:
            raise self._silent(exc) from exc
        raise self._silent("it ended")

    def _check(self, names: Sequence[str]) -> None:
        running = [Component(s.component, (), group=s.group) for s in self.states()]
        known = {c.name: c for c in [*running, *self._components]}
        select(list(known.values()), names)

    def _keep(self) -> None:
        """Start a keeper if none answers; of two that are started at once, one gives way."""
        if self._is_kept():
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder.chmod(0o700)
            log = Log(self.folder / LOG).open()
        except OSError as exc:
            raise BackendUnavailable(f"{exc.filename}: {exc.strerror}", hint="ptolemy config show --origin") from None
        try:
            keeper = subprocess.Popen(
                [sys.executable, "-m", "ptolemy.services.keeper", str(self.folder.absolute())],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
                # A keeper that a component starts is no part of that component.
                env={k: v for k, v in os.environ.items() if k != processes.MARK},
            )  # fmt: skip
        finally:
            os.close(log)
        end = time.monotonic() + _START
        while not self._is_kept():
            if keeper.poll() not in (None, 0) or time.monotonic() > end:
                raise self._silent("it did not start")
            time.sleep(0.01)
        keeper.returncode = keeper.poll() or 0  # it outlives this process, and nobody waits for it

    def _is_kept(self) -> bool:
        try:
            connect(self.folder, _ANSWER).close()
        except OSError:
            return False
        return True

    def _silent(self, why: object) -> BackendUnavailable:
        lines = "; ".join(Log(self.folder / LOG).last_lines(1))
        return BackendUnavailable(
            f"the keeper of {self.folder} does not answer: {why}{f' ({lines})' if lines else ''}",
            hint=f"read {self.folder / LOG}, then: ptolemy up",
        )

    @contextmanager
    def _asked(self, request: dict[str, Any], timeout: float | None) -> Iterator[Iterator[dict[str, Any]]]:
        with connect(self.folder, timeout) as connection, connection.makefile("rwb") as stream:
            stream.write(json.dumps(request).encode() + b"\n")
            stream.flush()
            yield (json.loads(line) for line in stream)

    def _found(self) -> list[State]:
        """Return what the record and the processes tell while no keeper runs."""
        if not (self.folder / RECORD).exists():
            return []
        marked = {text.rpartition("/")[0]: p for text, p in processes.marked(mark_of(self.folder)).items()}
        states = []
        for name, entry in sorted(Record.read(self.folder).entries.items()):
            recorded = processes.look(entry.pid) if entry.pid else None
            process = recorded if recorded and recorded.started == entry.started else marked.get(name)
            if process:
                states.append(State(name, "unkept", entry.at, entry.restarts, process.pid, reason="run: ptolemy up"))
            elif entry.wanted:
                why = "ended after its keeper; run: ptolemy up"
                states.append(State(name, "failed", entry.at, entry.restarts, reason=why))
        return states


def default_folder() -> Path:
    """Return the folder of the project in whose folder the command runs, in the home folder."""
    from hashlib import sha256

    project = project_file()
    if project is None:
        return home() / "services" / "default"
    digest = sha256(os.fsencode(project.parent.resolve())).hexdigest()[:8]
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in project.parent.name) or "root"
    return home() / "services" / f"{name}-{digest}"


def _state(facts: dict[str, Any]) -> State:
    return State(**{**facts, "last_lines": tuple(facts["last_lines"]), "depends_on": tuple(facts["depends_on"])})


def _stopped(component: Component) -> State:
    command = masked(" ".join(component.command), secrets_of(component.env))
    return State(component.name, "stopped", group=component.group, command=command, depends_on=component.depends_on)


def _raised(answer: dict[str, Any]) -> PtolemyError:
    kind: type[PtolemyError] = getattr(ptolemy.errors, str(answer["error"]), PtolemyError)
    made: PtolemyError = PtolemyError.__new__(kind)
    PtolemyError.__init__(made, answer["message"], hint=answer["hint"])
    return made


def _caller() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


if TYPE_CHECKING:
    _fits: type[Services] = ProcessServices
