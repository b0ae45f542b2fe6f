"""The course of one run: which task may start, what follows from an end; every runner keeps this one book."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from time import monotonic, time
from typing import Any

from kyrios.engine.port import Job, Step
from kyrios.errors import UnitFailed
from kyrios.graph import ReadySet, Task
from kyrios.state import State, end_of

_NOTHING: Mapping[str, Any] = {}
_FIRST: Mapping[str, Any] = {"attempt": 1}


class Attempt:
    """One try of one task.

    Parameters
    ----------
    number
        From 1.
    deadline
        By `time.monotonic`, None where the task may take its time.
    """

    __slots__ = ("abandoned", "deadline", "number", "task")

    def __init__(self, task: Task, number: int, deadline: float | None) -> None:
        self.task, self.number, self.deadline = task, number, deadline
        self.abandoned = False

    def is_set(self) -> bool:
        """Tell whether nobody waits for its result any more."""
        return self.abandoned


class Course:
    """What is ready, running, delayed and lost; it decides, and whoever holds it executes and records."""

    def __init__(self, job: Job, *, deadlines: bool = True) -> None:
        self._graph = job.graph
        self._ready = ReadySet(job.graph, job.done)
        self._delayed: list[tuple[float, str, int]] = []
        self._deadlines = deadlines and any(task.timeout for task in job.graph.tasks)
        self.running: dict[str, Attempt] = {}
        self.steps: list[Step] = []  #: What has happened and is not recorded yet.

    @property
    def ready(self) -> bool:
        """Whether a task may start now."""
        return bool(self._ready)

    @property
    def over(self) -> bool:
        """Whether nothing runs and nothing will."""
        return not (self.running or self._ready or self._delayed)

    def start(self) -> Attempt | None:
        """Begin the next task that may start now, if there is one."""
        if self._delayed and self._delayed[0][0] <= monotonic():
            _, name, number = heappop(self._delayed)
            self.steps.append((name, State.RUNNING, {"attempt": number}, time()))
        elif self._ready:
            name, number = self._ready.pop(), 1
            now = time()
            self.steps.append((name, State.QUEUED, _NOTHING, now))
            self.steps.append((name, State.RUNNING, _FIRST, now))
        else:
            return None
        task = self._graph.task(name)
        attempt = Attempt(task, number, monotonic() + task.timeout if task.timeout else None)
        self.running[name] = attempt
        return attempt

    def succeed(self, attempt: Attempt, detail: Mapping[str, Any]) -> None:
        """Say that `attempt` has given its outputs."""
        name = attempt.task.name
        del self.running[name]
        end = end_of(detail) if "state" in detail else State.SUCCEEDED
        self.steps.append((name, end, detail, time()))
        self._skip(self._ready.skip(name) if end == State.SKIPPED else self._ready.finish(name), f"{name} {end.value}")

    def fail(self, attempt: Attempt, error: BaseException) -> None:
        """Say that `attempt` has failed: it is tried again, or all that needs it is skipped."""
        name = attempt.task.name
        del self.running[name]
        known: dict[str, Any] = {"error": str(error), "attempt": attempt.number}
        now = time()
        if isinstance(error, UnitFailed):
            known.update(error=error.reason, log=error.log)
        if attempt.number <= attempt.task.retries:
            heappush(self._delayed, (monotonic() + attempt.task.delay(attempt.number), name, attempt.number + 1))
            self.steps.append((name, State.UP_FOR_RETRY, known, now))
            return
        self.steps.append((name, State.FAILED, known, now))
        self._skip(self._ready.drop(name), f"{name} failed")

    def _skip(self, names: Sequence[str], reason: str) -> None:
        if names:
            now = time()
            self.steps += [(name, State.SKIPPED, {"reason": reason}, now) for name in names]

    def expire(self) -> list[Attempt]:
        """Fail the attempts that have no time left, and return them."""
        if not self._deadlines:
            return []
        now = monotonic()
        late = [a for a in self.running.values() if a.deadline is not None and a.deadline <= now]
        for attempt in late:
            attempt.abandoned = True
            self.fail(attempt, TimeoutError(f"no result within {attempt.task.timeout:g} s"))
        return late

    def wait(self, longest: float, *, free: bool = True) -> float:
        """Return for how many seconds nothing becomes due, `longest` at most; `free` says that a task could start."""
        due = [self._delayed[0][0]] if self._delayed and free else []
        if self._deadlines:
            due += [a.deadline for a in self.running.values() if a.deadline is not None]
        return max(0.0, min(longest, min(due) - monotonic())) if due else longest

    def taken(self) -> list[Step]:
        """Return the steps that are not recorded yet; they count as recorded from now on."""
        steps, self.steps = self.steps, []
        return steps

    def interrupted(self) -> list[Step]:
        """Give everything up: return what is not recorded yet, and that what is under way is cancelled."""
        left = [*self.running, *(name for _, name, _ in self._delayed)]
        for attempt in self.running.values():
            attempt.abandoned = True
        reason = {"reason": "interrupted"}
        return [*self.taken(), *((name, State.CANCELLED, reason, time()) for name in sorted(left))]
