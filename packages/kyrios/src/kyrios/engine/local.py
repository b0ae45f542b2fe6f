"""``local:?workers=4``: units in threads of this process, started as soon as their inputs are there."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any

from kyrios._house.backends import BackendURL
from kyrios.engine.port import Job, Runner, Step, Target
from kyrios.errors import BadInput, UnitFailed
from kyrios.graph import Graph, ReadySet, Task
from kyrios.state import State


class LocalEngine:
    """A ready set and `workers` threads."""

    name = "local"

    def __init__(self, url: BackendURL) -> None:
        words = url.query.get("workers", "")
        if words and (not words.isdecimal() or int(words) < 1):
            raise BadInput(f"workers must be a whole number from 1, not {words!r}", hint="engine = 'local:?workers=4'")
        self.workers = int(words) if words else min(4, os.cpu_count() or 1)

    def render(self, graph: Graph, target: Target) -> Mapping[str, str]:
        """Return one Python script that runs the units one after another with nothing but Python."""
        from kyrios.engine.template import render_template

        return {f"{graph.flow}.py": render_template("local.py.j2", graph, target)}

    def run(self, job: Job) -> None:
        """Run the tasks of `job`, see `Runner.run`."""
        _Dispatcher(job, self.workers).run()


_LONGEST_WAIT = 0.2  # seconds


@dataclass
class _Attempt:
    task: Task
    number: int
    deadline: float | None = None
    abandoned: threading.Event = field(default_factory=threading.Event)


class _Dispatcher:
    """Owns every state of one run; the threads only execute."""

    def __init__(self, job: Job, workers: int) -> None:
        self.job = job
        self.free = workers
        self.ready = ReadySet(job.graph, job.done)
        self.running: dict[str, _Attempt] = {}
        self.delayed: list[tuple[float, str, int]] = []
        self.lost: set[str] = set()
        self.todo: SimpleQueue[_Attempt | None] = SimpleQueue()
        self.results: SimpleQueue[tuple[_Attempt, Mapping[str, Any] | None, BaseException | None]] = SimpleQueue()
        for _ in range(workers):
            self._start_thread()

    def run(self) -> None:
        try:
            steps: list[Step] = []
            while True:
                steps = self._dispatch(steps)
                if not self.running and not self.delayed:
                    if steps:
                        self.job.record(steps)
                    return
                steps += self._collect()
        except KeyboardInterrupt:
            left = [*self.running, *(name for _, name, _ in self.delayed)]
            for attempt in self.running.values():
                attempt.abandoned.set()
            self.job.record([(name, State.CANCELLED, {"reason": "interrupted"}) for name in sorted(left)])
            raise
        finally:
            for _ in range(self.free + len(self.running)):
                self.todo.put(None)

    def _dispatch(self, steps: list[Step]) -> list[Step]:
        """Record `steps` with those of the tasks that start now, in one go, and start these."""
        starting: list[_Attempt] = []
        now = monotonic()
        while self.free and self.delayed and self.delayed[0][0] <= now:
            _, name, number = self.delayed.pop(0)
            starting.append(self._attempt(name, number, now))
            steps.append((name, State.RUNNING, {"attempt": number}))
        while self.free and self.ready:
            name = self.ready.pop()
            starting.append(self._attempt(name, 1, now))
            steps += [(name, State.QUEUED, {}), (name, State.RUNNING, {"attempt": 1})]
        if starting:
            self.job.record(steps)
            steps = []
        for attempt in starting:
            self.todo.put(attempt)
        return steps

    def _attempt(self, name: str, number: int, now: float) -> _Attempt:
        task = self.job.graph.task(name)
        self.free -= 1
        attempt = self.running[name] = _Attempt(task, number, now + task.timeout if task.timeout else None)
        return attempt

    def _collect(self) -> list[Step]:
        """Wait until something has happened; return the steps that follow from it."""
        due = [a.deadline for a in self.running.values() if a.deadline is not None]
        if self.delayed and self.free:
            due.append(self.delayed[0][0])
        steps: list[Step] = []
        # Never for long: a signal that comes just before the wait would be seen only after it.
        wait = max(0.0, min([*(when - monotonic() for when in due), _LONGEST_WAIT]))
        with suppress(Empty):
            while True:
                attempt, detail, error = self.results.get(timeout=wait)
                wait = 0.0
                if not attempt.abandoned.is_set():
                    self.free += 1
                    steps += self._settle(attempt, detail, error)
        now = monotonic()
        for attempt in [a for a in self.running.values() if a.deadline is not None and a.deadline <= now]:
            attempt.abandoned.set()  # the thread cannot be stopped, so another takes its place
            self._start_thread()
            self.free += 1
            steps += self._settle(attempt, None, TimeoutError(f"no result within {attempt.task.timeout:g} s"))
        return steps

    def _settle(self, attempt: _Attempt, detail: Mapping[str, Any] | None, error: BaseException | None) -> list[Step]:
        name = attempt.task.name
        del self.running[name]
        if error is None:
            self.ready.finish(name)
            return [(name, State.SUCCEEDED, detail or {})]
        known: dict[str, Any] = {"error": str(error), "attempt": attempt.number}
        if isinstance(error, UnitFailed):
            known.update(error=error.reason, log=error.log)
        if attempt.number <= attempt.task.retries:
            self.delayed.append((monotonic() + attempt.task.retry_delay, name, attempt.number + 1))
            self.delayed.sort()
            return [(name, State.UP_FOR_RETRY, known)]
        dropped = [d for d in self.ready.drop(name) if d not in self.lost]
        self.lost.update(dropped)
        return [(name, State.FAILED, known), *((d, State.SKIPPED, {"reason": f"{name} failed"}) for d in dropped)]

    def _start_thread(self) -> None:
        # Daemons: a unit that hangs must not keep the process alive after Ctrl-C.
        threading.Thread(target=self._work, daemon=True, name="kyrios-worker").start()

    def _work(self) -> None:
        while (attempt := self.todo.get()) is not None:
            try:
                self.results.put((attempt, self.job.execute(attempt.task, attempt.abandoned), None))
            except BaseException as exc:
                self.results.put((attempt, None, exc))
            if attempt.abandoned.is_set():
                return


if TYPE_CHECKING:
    _fits: type[Runner] = LocalEngine
