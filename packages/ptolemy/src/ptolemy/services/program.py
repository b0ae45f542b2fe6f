"""One program and its keeping: start, readiness, freshness, restart with backoff, stop."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ptolemy.services import checks, processes
from ptolemy.services.logs import Log, masked, secrets_of
from ptolemy.services.port import Component, State
from ptolemy.services.record import Entry

if TYPE_CHECKING:
    from ptolemy.services.keeper import Keeper

_SETTLED = 1.0  # seconds that a program must have been ready for its failures to be forgotten
_LINES = 20


class Program:
    """Keeps one component in the state that was asked for; `keep` is its task."""

    def __init__(self, keeper: Keeper, component: Component, entry: Entry) -> None:
        self.keeper, self.component, self.entry = keeper, component, entry
        self.log = Log(keeper.folder / "logs" / f"{component.name}.log")
        self.state, self.since, self.reason = "stopped", time.time(), entry.reason
        self.failures = 0  #: Ends and starts that came to nothing, one after the other.
        self.heartbeat = time.time()
        self.age: float | None = None
        self.again = False  #: Whether it is to be stopped and started once.
        self.orphan = False  #: Whether its definition has gone.
        self._answered = time.time()
        self._turn = asyncio.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._ended = False

    @property
    def is_ready(self) -> bool:
        """Whether what depends on it may start."""
        return self.state in ("running", "stale") or (self.state == "exited" and self.entry.code == 0)

    @property
    def is_changed(self) -> bool:
        """Whether it runs under another definition than its newest."""
        return self.entry.pid is not None and self.entry.digest != self.component.digest()

    def want(self, wanted: bool, *, again: bool = False) -> None:
        """Ask for it to run or not; `again` asks for another start."""
        if wanted and (not self.entry.wanted or again or self.state in ("failed", "exited", "backoff")):
            self.failures = 0
            if not self.entry.wanted or self.state in ("failed", "exited"):
                self.entry.restarts = 0
        self.again = self.again or (again and wanted)
        self.entry.wanted = wanted
        self.turn()

    def turn(self) -> None:
        """Let its task look again."""
        self._turn.set()

    def adopt(self, process: processes.Process, digest: str) -> None:
        """Go on with a process that an earlier keeper started."""
        entry = self.entry
        if (entry.pid, entry.started) != (process.pid, process.started):
            entry.ready, entry.at, entry.log_from, entry.wanted = False, time.time(), 0, True
        entry.pid, entry.started, entry.digest = process.pid, process.started, digest
        self._watch_end(process.pid)
        self._to("running" if entry.ready else "starting")
        self.since = entry.at

    async def keep(self) -> None:
        """Keep it until the task is cancelled."""
        while True:
            try:
                await self._keep_once()
            except Exception as exc:  # whatever it is, the program is kept
                print(f"{self.component.name}: {type(exc).__name__}: {exc}", file=sys.stderr, flush=True)
                await asyncio.sleep(1)

    async def _keep_once(self) -> None:
        self._turn.clear()
        self.heartbeat = time.time()
        entry = self.entry
        if entry.pid is not None:
            if not entry.wanted or self.again:
                await self._stop()
            else:
                await self._watch()
        elif not entry.wanted:
            self._to("stopped")
            await self._turn.wait()
        elif self.state in ("failed", "exited") and self.failures:
            await self._turn.wait()  # until somebody asks again, which forgives the failures
        elif late := [d for d in self.component.depends_on if not self.keeper.is_ready(d)]:
            self._to("waiting", f"waits for {', '.join(late)}")
            await self._turn.wait()
        else:
            self._start()

    def show(self) -> State:
        """Return its state as the port tells it."""
        use = self.keeper.use.get(self.entry.pid or 0, (0.0, 0, 0))
        running = self.entry.pid is not None
        secrets = secrets_of(self.component.env)
        return State(
            component=self.component.name, state=self.state, since=self.since, restarts=self.entry.restarts,
            pid=self.entry.pid, code=self.entry.code, reason=self.reason, age=self._sign() if running else None,
            heartbeat=self.heartbeat, cpu=use[0] if running else 0.0, rss=use[1] if running else 0,
            threads=use[2] if running else 0,
            last_lines=tuple(masked(line, secrets) for line in self.entry.last_lines),
            changed=self.is_changed or (self.orphan and running), group=self.component.group,
            command=masked(" ".join(self.component.command), secrets), depends_on=self.component.depends_on,
        )  # fmt: skip

    def _start(self) -> None:
        component, entry = self.component, self.entry
        self.again = False
        entry.log_from, entry.at, entry.ready = self.log.size(), time.time(), False
        entry.digest, entry.code = component.digest(), None
        # The programs of this environment come first, so that `ptolemy` and `python` are those that started it.
        path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
        environ = {**os.environ, "PATH": path, **component.env}
        environ[processes.MARK] = f"{self.keeper.mark}/{component.name}/{entry.digest}"
        try:
            log = self.log.open()
            try:
                self._child = subprocess.Popen(
                    _found(component, environ["PATH"]),
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=component.cwd, env=environ,
                    start_new_session=True, umask=self.keeper.umask,
                )  # fmt: skip
            finally:
                os.close(log)
        except OSError as exc:
            self.failures += 1
            place = component.cwd if not component.cwd.is_dir() else component.command[0] if component.command else "?"
            self._to("failed", f"cannot be started: {place}: {exc.strerror or exc}")
            return
        process = processes.look(self._child.pid)
        entry.pid, entry.started = self._child.pid, process.started if process else 0
        self._answered = time.time()
        self._watch_end(entry.pid)
        self._to("starting")

    def _watch_end(self, pid: int) -> None:
        self._ended = False
        loop = asyncio.get_running_loop()
        try:
            # Also tells the end of a program that an earlier keeper started, which is no child of this one.
            self._pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            self._ended = True
            return

        def ended() -> None:
            loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
            self._ended = True
            self.turn()

        loop.add_reader(self._pidfd, ended)

    async def _watch(self) -> None:
        """Watch a running program until it ends, or another state is asked for."""
        while self.entry.pid is not None and self.entry.wanted and not self.again:
            self._turn.clear()
            self.heartbeat = now = time.time()
            if self._ended:
                await self._end()
                return
            if self.state == "starting":
                if self.component.command:  # else an earlier keeper's, and not configured yet
                    await self._ask_ready(now)
            elif self.component.fresh:
                await self._ask_fresh()
            fresh = self.component.fresh
            pause = 0.05 if self.state == "starting" else min(2.0, fresh.max_age / 4) if fresh else 2.0
            with suppress(TimeoutError):
                await asyncio.wait_for(self._turn.wait(), pause)

    async def _ask_ready(self, now: float) -> None:
        ready, entry = self.component.ready, self.entry
        passed = await asyncio.to_thread(checks.is_ready, ready, entry.at, now, self._has_said)
        if self._ended:
            return  # something else answers in its place
        if passed:
            entry.ready = True
            self._to("running")
        elif now - entry.at > ready.timeout:
            self.failures += 1
            entry.last_lines = self.log.last_lines(_LINES)
            await self._stop(f"was not ready within {ready.timeout:g} s")
            await self._again(self.reason)

    def _has_said(self, text: bytes) -> bool:
        return self.log.holds(text, self.entry.log_from)

    async def _ask_fresh(self) -> None:
        fresh = self.component.fresh
        assert fresh is not None
        if fresh.http:
            answered = await asyncio.to_thread(checks.answers, fresh.http)
            self._answered = time.time() if answered else self._answered
        age = self._sign()
        what = fresh.file or fresh.http or "its output"
        if age is not None and age <= fresh.max_age:
            self._to("running")
        elif time.time() - self.entry.at > fresh.max_age:  # one that has just begun has its time too
            if self.state != "stale":  # its age is told each time anew
                old = "not there" if age is None else f"more than {fresh.max_age:g} s old"
                self._to("stale", f"{what} is {old}")
            if fresh.restart and not self._ended:
                self.entry.restarts += 1
                await self._stop(self.reason)

    def _sign(self) -> float | None:
        fresh = self.component.fresh
        if fresh and fresh.http:
            return max(0.0, time.time() - self._answered)
        last = checks.last_sign(fresh, self.log.path) if fresh else checks.modified(str(self.log.path))
        return None if last is None else max(0.0, time.time() - last)

    async def _end(self) -> None:
        """Take note that it has ended, and do as its policy says."""
        entry, component = self.entry, self.component
        code = self._reap()
        if entry.ready and time.time() - max(entry.at, self.since) > _SETTLED:
            self.failures = 0
        self.failures += 1
        entry.last_lines = self.log.last_lines(_LINES)
        entry.code, entry.pid = code, None
        reason = _told(code)
        if component.restart == "never" or (component.restart == "on-failure" and code == 0):
            self._to("exited" if code == 0 else "failed", reason)
        else:
            await self._again(reason)

    async def _again(self, reason: str) -> None:
        """Wait before the next start, the longer the more of them came to nothing."""
        component = self.component
        if component.retries and self.failures > component.retries:
            self._to("failed", f"{reason}; given up after {component.retries} more starts")
            return
        if not component.command:
            self._to("failed", f"{reason}; its definition is gone")
            return
        if not self.entry.wanted:
            return
        self.entry.restarts += 1
        self._to("backoff", reason)
        pause = min(component.backoff_max, component.backoff * 2 ** min(self.failures - 1, 30))
        # Programs that fell together do not all come back in one moment.
        end = time.monotonic() + pause * random.uniform(0.75, 1.0)
        before = self.failures
        while self.entry.wanted and not self.again and self.failures == before and (left := end - time.monotonic()) > 0:
            self._turn.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._turn.wait(), left)

    async def _stop(self, reason: str = "") -> None:
        entry, component = self.entry, self.component
        pid = entry.pid
        assert pid is not None
        self._to("stopping", reason)
        end = time.monotonic() + component.stop_timeout
        if not self._ended:
            processes.send(pid, getattr(signal, f"SIG{component.stop_signal}"))
        killed = False
        while not self._ended:
            left = end - time.monotonic()
            if left <= 0 and not killed:
                killed = True
                processes.send(pid, signal.SIGKILL)
                reason = reason or f"killed: it did not end within {component.stop_timeout:g} s"
            self._turn.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._turn.wait(), 1.0 if killed else max(left, 0.001))
        entry.code, entry.pid, entry.ready = self._reap(), None, False
        self.again = False
        self._to("stopped", reason)

    def _reap(self) -> int | None:
        """Return the exit code of a program that has ended; what it left behind is killed."""
        if self.entry.pid is not None:  # before it is reaped, its number belongs to nobody else
            processes.kill_rest(self.entry.pid)
        child, self._child = self._child, None
        return child.wait() if child else None

    def _to(self, state: str, reason: str = "") -> None:
        if (state, reason) == (self.state, self.reason):
            return
        if state != self.state:
            self.since = time.time()
        self.state, self.reason, self.entry.reason = state, reason, reason
        self.keeper.changed(self)


def _found(component: Component, path: str) -> list[str]:
    """Return the command with its program looked up in `path`, from the component's own folder."""
    import shutil

    if not component.command:
        raise OSError(2, "no command is known")
    name, *rest = component.command
    if "/" in name:
        return [str(component.cwd / name), *rest]
    if (found := shutil.which(name, path=path)) is None:
        raise FileNotFoundError(2, "no such command", name)
    return [found, *rest]


def _told(code: int | None) -> str:
    if code is None:
        return "ended, and its code is not known"
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
