"""``local:?workers=4``: units in threads of this process, started as soon as their inputs are there."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kyrios._house.backends import BackendURL
from kyrios.engine.course import Course
from kyrios.engine.interrupts import deferred
from kyrios.engine.port import Job, Runner, Target
from kyrios.errors import BadInput
from kyrios.graph import Graph


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


class _Dispatcher:
    """Threads that take the next task themselves; the thread that called records what they did.

    While a record is made durable the threads go on, and what they finish meanwhile is recorded with the next one:
    a slow disk makes the groups larger, not the run longer.
    """

    def __init__(self, job: Job, workers: int) -> None:
        self.job = job
        self.course = Course(job.graph, job.done)
        self.lock = threading.Lock()
        self.work = threading.Condition(self.lock)
        self.news = threading.Event()
        self.workers = workers
        self.idle = 0  # threads that wait and have not been called
        self.ended = False

    def run(self) -> None:
        course, job = self.course, self.job
        try:
            with deferred(self.news.set) as let_through:
                self._run(let_through)
        except BaseException as exc:
            with self.lock:
                steps = course.interrupted()
            if isinstance(exc, KeyboardInterrupt):
                job.record(steps)
            raise
        finally:
            with self.lock:
                self.ended = True
                self.work.notify_all()

    def _run(self, interrupts: Callable[[], None]) -> None:
        course, job = self.course, self.job
        for _ in range(min(self.workers, len(job.graph.tasks))):
            self._start_thread()
        while True:
            with self.lock:
                over = course.over
                steps = course.taken()
                # Never for long: a signal that comes just before the wait would be seen only after it.
                wait = course.wait(_LONGEST_WAIT, free=self.idle > 0)
            if steps:
                job.record(steps)
            interrupts()
            if over:
                return
            self.news.wait(wait)
            self.news.clear()
            self._see_to_time()

    def _see_to_time(self) -> None:
        """Give up what is overdue and let a thread take what is due again."""
        with self.lock:
            late = self.course.expire()
            for _ in late:
                self._start_thread()  # the thread cannot be stopped, so another takes its place
            if self.idle and self.course.wait(1.0) <= 0:
                self._call_one()
        for attempt in late:
            self.job.late(attempt.task, attempt.number, f"no result within {attempt.task.timeout:g} s")

    def _start_thread(self) -> None:
        # Daemons: a unit that hangs must not keep the process alive after Ctrl-C.
        threading.Thread(target=self._work, daemon=True, name="kyrios-worker").start()

    def _call_one(self) -> None:
        self.idle -= 1
        self.work.notify()

    def _work(self) -> None:
        course, execute = self.course, self.job.execute
        lock, news = self.lock, self.news
        with lock:
            while not self.ended:
                attempt = course.start()
                if attempt is None:
                    if not course.running:
                        news.set()
                    self.idle += 1
                    self.work.wait()
                    continue
                if self.idle and course.ready:
                    self._call_one()
                if not news.is_set():
                    news.set()
                lock.release()
                error: BaseException | None = None
                detail: Mapping[str, Any] = {}
                try:
                    detail = execute(attempt.task, attempt, attempt.number)
                except BaseException as exc:
                    error = exc
                finally:
                    lock.acquire()
                if attempt.abandoned:
                    return  # another thread has taken this one's place
                if error is None:
                    course.succeed(attempt, detail)
                else:
                    course.fail(attempt, error)
                if not news.is_set():
                    news.set()


if TYPE_CHECKING:
    _fits: type[Runner] = LocalEngine
