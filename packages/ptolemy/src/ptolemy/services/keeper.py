"""The keeper: one process for a folder, detached from whoever started it, that keeps the programs running.

It listens on a Unix socket in its folder, for its own user alone. If it is killed the programs run on; the next
keeper finds them by its record and by the mark in their environment, and starts none of them twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ptolemy._house.files import write_durably
from ptolemy.errors import PtolemyError
from ptolemy.services import processes
from ptolemy.services.definition import in_order, select, with_dependants, with_dependencies
from ptolemy.services.logs import Log
from ptolemy.services.port import Component, Fresh, Ready, State
from ptolemy.services.program import Program
from ptolemy.services.record import Entry, Record, mark_of

SOCKET = "keeper.sock"
LOCK = "keeper.lock"
LOG = "keeper.log"
EVENTS = "events.jsonl"
_SAMPLE = 2.0  # seconds between two looks at what the programs use
_EVENTS_SIZE = 5_000_000
_FALLS = 3  # ends in a row after which a command that waits gives up; the keeper goes on

_Send = Callable[[dict[str, Any]], Awaitable[None]]


class Keeper:
    """The programs of one folder."""

    def __init__(self, folder: Path, umask: int) -> None:
        self.folder, self.umask = folder, umask
        self.mark = mark_of(folder)
        self.record = Record.read(folder)
        self.programs: dict[str, Program] = {}
        self.use: dict[int, tuple[float, int, int]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._watchers: set[asyncio.Queue[State]] = set()
        self._sampled: tuple[float, dict[int, float]] = (0.0, {})
        self._over = asyncio.Event()
        self._acting = asyncio.Lock()
        self._calls: set[asyncio.Task[None]] = set()

    async def run(self, listening: socket.socket) -> None:
        """Adopt what runs, answer until told to end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: asyncio.ensure_future(self._leave()))
        self._adopt()
        server = await asyncio.start_unix_server(self._answer, sock=listening, limit=16 << 20)
        sampling = asyncio.create_task(self._sample())
        await self._over.wait()
        sampling.cancel()
        server.close()
        for task in self._tasks.values():
            task.cancel()
        (self.folder / SOCKET).unlink(missing_ok=True)

    def is_ready(self, name: str) -> bool:
        """Tell whether a component is ready; one that is not known is nobody's business."""
        return name not in self.programs or self.programs[name].is_ready

    def changed(self, program: Program) -> None:
        """Write down and tell that a program's state has changed."""
        self.record.entries[program.component.name] = program.entry
        self._write()
        shown = program.show()
        self._event(component=shown.component, state=shown.state, pid=shown.pid, code=shown.code, reason=shown.reason)
        for queue in self._watchers:
            queue.put_nowait(shown)
        for other in self.programs.values():
            if program.component.name in other.component.depends_on:
                other.turn()

    def _event(self, **facts: Any) -> None:
        line = json.dumps({"at": time.time(), **facts}, ensure_ascii=False) + "\n"
        path = self.folder / EVENTS
        with contextlib.suppress(OSError):  # a full disk must not end what it keeps
            with path.open("a", encoding="utf-8") as file:
                file.write(line)
                long = file.tell() > _EVENTS_SIZE
            if long:
                path.replace(path.with_name(f"{EVENTS}.1"))

    def _adopt(self) -> None:
        running = {}
        for name, entry in self.record.entries.items():
            found = processes.look(entry.pid) if entry.pid else None
            if found and found.started == entry.started:
                running[name] = (found, entry.digest)
        for text, process in processes.marked(self.mark).items():
            name, _, digest = text.rpartition("/")
            running.setdefault(name, (process, digest))
        for name in sorted({*running, *(n for n, e in self.record.entries.items() if e.wanted)}):
            entry = self.record.entries.setdefault(name, Entry(wanted=True))
            # Until somebody configures it, a program can be watched and stopped, but not started again.
            program = self._add(Component(name, ()), entry)
            program.orphan = True
            if name in running:
                program.adopt(*running[name])
            else:
                entry.pid = None

    def _add(self, component: Component, entry: Entry) -> Program:
        program = self.programs[component.name] = Program(self, component, entry)
        return program

    def _configure(self, components: Sequence[Component]) -> None:
        names = {c.name for c in components}
        for component in components:
            if program := self.programs.get(component.name):
                program.component, program.orphan = component, False
            else:
                # Whoever was asked for before runs again when somebody asks again.
                entry = self.record.entries.setdefault(component.name, Entry())
                entry.wanted = False
                self._add(component, entry)
        for name, program in list(self.programs.items()):
            if name not in names:
                program.orphan = True
                if program.entry.pid is None and not program.entry.wanted:
                    self._drop(name)
        order = [c.name for c in components]
        self.programs = {n: self.programs[n] for n in [*order, *(n for n in self.programs if n not in names)]}
        self._keep_all()

    def _keep_all(self) -> None:
        for name, program in self.programs.items():
            if name not in self._tasks:
                self._tasks[name] = asyncio.create_task(program.keep(), name=name)
            program.turn()

    def _drop(self, name: str) -> None:
        del self.programs[name]
        self.record.entries.pop(name, None)
        if task := self._tasks.pop(name, None):
            task.cancel()
        self._write()

    def _write(self) -> None:
        try:
            self.record.write(self.folder)
        except OSError as exc:  # on a full disk the programs are kept all the same, and bear their mark
            print(f"the record cannot be written: {exc}", file=sys.stderr, flush=True)

    def _components(self) -> list[Component]:
        return in_order([p.component for p in self.programs.values()])

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def send(message: dict[str, Any]) -> None:
            writer.write(json.dumps(message).encode() + b"\n")
            await writer.drain()

        try:
            if not _is_own(writer):
                return
            request = json.loads(await reader.readline())
            try:
                await self._unless_left(reader, self._do(request, send))
            except PtolemyError as exc:
                await send({"error": type(exc).__name__, "message": str(exc), "hint": exc.hint})
        except (ConnectionError, ValueError, asyncio.IncompleteReadError):
            pass  # the caller has gone; what it asked for goes on
        except Exception as exc:
            print(f"a call failed: {type(exc).__name__}: {exc}", file=sys.stderr, flush=True)
            with contextlib.suppress(ConnectionError):
                hint = f"read {self.folder / LOG}"
                await send({"error": "PtolemyError", "message": f"the keeper failed: {exc}", "hint": hint})
        finally:
            writer.close()

    async def _unless_left(self, reader: asyncio.StreamReader, doing: Coroutine[Any, Any, None]) -> None:
        """Do what a caller waits for; one that has gone lets the next one in, and what it began goes on."""
        task, leaving = asyncio.create_task(doing), asyncio.create_task(reader.read())
        self._calls.add(task)
        try:
            await asyncio.wait([task, leaving], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        finally:
            self._calls.discard(task)
            leaving.cancel()

    async def _do(self, request: dict[str, Any], send: _Send) -> None:
        verb, names = request["do"], request.get("names", [])
        if verb == "states":
            await send({"states": self._states()})
            return
        async with self._acting:  # one command after the other
            if "components" in request:
                self._configure([_component(c) for c in request["components"]])
            self._keep_all()
            chosen = [c.name for c in select(self._components(), names)]
            self._event(action=verb, names=chosen, by=request.get("by", ""))
            async with self._telling(send):
                bad = await {"up": self._up, "down": self._down, "restart": self._restart}[verb](chosen)
        await send({"states": self._states(), "bad": bad})
        if verb == "down" and not any(p.entry.wanted or p.entry.pid for p in self.programs.values()):
            self._over.set()

    async def _up(self, names: Sequence[str]) -> list[str]:
        known = self._components()
        wanted = with_dependencies(known, [c for c in known if c.name in names])
        for component in wanted:
            program = self.programs[component.name]
            program.want(True, again=program.is_changed and not program.orphan)
        return await self._settled([c.name for c in wanted])

    async def _down(self, names: Sequence[str]) -> list[str]:
        known = self._components()
        for component in reversed(with_dependants(known, [c for c in known if c.name in names])):
            program = self.programs[component.name]
            program.want(False)
            # What it depends on runs until it has ended.
            while program.entry.pid is not None or program.state != "stopped":
                await asyncio.sleep(0.01)
            if program.orphan:
                self._drop(component.name)
        return []

    async def _restart(self, names: Sequence[str]) -> list[str]:
        for name in names:
            program = self.programs[name]
            program.want(True, again=program.entry.pid is not None)
            while program.again:
                await asyncio.sleep(0.01)
            if bad := await self._settled([name]):
                return bad
        return []

    async def _settled(self, names: Sequence[str]) -> list[str]:
        """Wait until each is ready; return those that are not, and will not be soon."""
        while True:
            programs = [self.programs[n] for n in names if n in self.programs]
            bad = {p.component.name for p in programs if _has_fallen(p)}
            for program in programs:  # in order: what depends on a fallen one waits in vain
                if program.state == "waiting" and any(
                    d in bad or not self.programs[d].entry.wanted or _has_fallen(self.programs[d])
                    for d in program.component.depends_on
                    if d in self.programs and not self.is_ready(d)
                ):
                    bad.add(program.component.name)
            if all(p.component.name in bad or (p.is_ready and not p.again) for p in programs):
                return sorted(bad, key=list(names).index)
            await asyncio.sleep(0.01)

    def _states(self) -> list[dict[str, Any]]:
        return [asdict(p.show()) for p in self.programs.values()]

    @contextlib.asynccontextmanager
    async def _telling(self, send: _Send) -> AsyncIterator[None]:
        """Tell each state to a caller that waits."""
        queue: asyncio.Queue[State] = asyncio.Queue()

        async def pass_on() -> None:
            while True:
                state = await queue.get()
                with contextlib.suppress(ConnectionError):
                    await send({"said": asdict(state)})

        self._watchers.add(queue)
        task = asyncio.create_task(pass_on())
        try:
            yield
        finally:
            self._watchers.discard(queue)
            task.cancel()
            while not queue.empty():
                await send({"said": asdict(queue.get_nowait())})

    async def _sample(self) -> None:
        while True:
            try:
                await self._look()
            except Exception as exc:  # a full disk, a log that is no more: the next look comes
                print(f"cannot look after the logs: {exc}", file=sys.stderr, flush=True)
            await asyncio.sleep(_SAMPLE)

    async def _look(self) -> None:
        pids = [p.entry.pid for p in self.programs.values() if p.entry.pid]
        found = await asyncio.to_thread(processes.usage, pids)
        now, (then, before) = time.monotonic(), self._sampled
        self.use = {
            pid: (max(0.0, u.cpu_seconds - before[pid]) / (now - then) if pid in before else 0.0, u.rss, u.threads)
            for pid, u in found.items()
        }
        self._sampled = now, {pid: u.cpu_seconds for pid, u in found.items()}
        for program in list(self.programs.values()):
            await asyncio.to_thread(program.log.rotate, program.component.log_size, program.component.log_files)
        await asyncio.to_thread(Log(self.folder / LOG).rotate, 1_000_000, 1)

    async def _leave(self) -> None:
        self._event(action="down", names=list(self.programs), by="a signal to the keeper")
        for call in self._calls:
            call.cancel()
        self._keep_all()
        async with self._acting:
            await self._down(list(self.programs))
        self._over.set()


def main(folder: Path) -> int:
    """Keep the programs of `folder`; return at once if another keeper does."""
    umask = os.umask(0o077)  # what the programs write is as whoever started this wants it
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        # The kernel lets go of it however this process ends.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return 0
    write_durably(folder / "keeper.pid", f"{os.getpid()}\n".encode())
    with listen(folder) as listening:
        asyncio.run(Keeper(folder, umask).run(listening))
    return 0


def listen(folder: Path) -> socket.socket:
    """Return the socket of `folder`; reached through a descriptor, for the path of a socket may have 107 bytes only."""
    place = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        (folder / SOCKET).unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(f"/proc/self/fd/{place}/{SOCKET}")
        listening.listen(64)
        return listening
    finally:
        os.close(place)


def connect(folder: Path, timeout: float | None) -> socket.socket:
    """Return a connection to the keeper of `folder`; raise `OSError` if there is none."""
    place = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        try:
            connection.connect(f"/proc/self/fd/{place}/{SOCKET}")
        except OSError:
            connection.close()
            raise
        return connection
    finally:
        os.close(place)


def components_to_json(components: Sequence[Component]) -> list[dict[str, Any]]:
    """Return components as the socket carries them."""
    return [{**asdict(c), "cwd": str(c.cwd)} for c in components]


def _component(facts: dict[str, Any]) -> Component:
    fresh = Fresh(**facts["fresh"]) if facts["fresh"] else None
    known = Component(**{**facts, "ready": Ready(**facts["ready"]), "fresh": fresh, "cwd": Path(facts["cwd"])})
    return replace(known, command=tuple(known.command), depends_on=tuple(known.depends_on))


def _has_fallen(program: Program) -> bool:
    if program.state == "failed" or (program.state == "exited" and program.entry.code != 0):
        return not program.again
    late = program.state == "backoff" and "not ready within" in program.reason
    return late or (program.failures >= _FALLS and not program.is_ready)


def _is_own(writer: asyncio.StreamWriter) -> bool:
    packed = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return bool(struct.unpack("3i", packed)[1] in (os.getuid(), 0))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
