"""The course of one run: which task may start, what follows from an end; every runner keeps this one book."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from time import monotonic, sleep, time
from typing import Any

from kyrios.engine.port import Step
from kyrios.errors import UnitFailed
from kyrios.graph import Graph, ReadySet, Task
from kyrios.state import FINISHED, State, end_of

_NOTHING: Mapping[str, Any] = {}
_CUT_OFF = "what comes before it did not succeed"
_FIRST: Mapping[str, Any] = {"attempt": 1}


class Attempt:
    """One try of one task, or of a group of them that runs as one.

    Parameters
    ----------
    number
        From 1.
    deadline
        By `time.monotonic`, None where the task may take its time.
    group
        All tasks of the group, `task` first; nothing where it is one task.
    ended
        How the tasks have ended that come before those of the group.
    """

    __slots__ = ("abandoned", "deadline", "ended", "group", "number", "task")

    def __init__(
        self,
        task: Task,
        number: int,
        deadline: float | None,
        group: tuple[Task, ...] = (),
        ended: Mapping[str, State] | None = None,
    ) -> None:
        self.task, self.number, self.deadline = task, number, deadline
        self.group, self.ended = group, ended
        self.abandoned = False

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What it tries."""
        return self.group or (self.task,)

    def is_set(self) -> bool:
        """Tell whether nobody waits for its result any more."""
        return self.abandoned


class Course:
    """What is ready, running, delayed and lost; it decides, and whoever holds it executes and records."""

    def __init__(
        self,
        graph: Graph,
        done: Collection[str] = (),
        *,
        ended: Mapping[str, State] | None = None,
        deadlines: bool = True,
        fused: bool = False,
    ) -> None:
        """Begin with the tasks in `done` as succeeded, and those in `ended` as they ended.

        Parameters
        ----------
        deadlines
            Whether this course counts the time that a task may take.
        fused
            Whether the graph's groups run as one.
        """
        self._graph = graph
        self._ready = ReadySet(graph, done, ended)
        self._delayed: list[tuple[float, str, int]] = []
        self._deadlines = deadlines and any(task.timeout for task in graph.tasks)
        self._groups = Groups(graph) if fused and graph.fused else None
        self.running: dict[str, Attempt] = {}
        self.steps: list[Step] = []  #: What has happened and is not recorded yet.
        if ended is not None:  # of a run that is resumed, such tasks are recorded already
            self._skip(self._ready.lost, _CUT_OFF)

    @property
    def ready(self) -> bool:
        """Whether a task may start now."""
        return bool(self._ready)

    @property
    def over(self) -> bool:
        """Whether nothing runs and nothing will."""
        return not (self.running or self._ready or self._delayed or (self._groups and self._groups.held))

    def start(self) -> Attempt | None:
        """Begin the next task that may start now, if there is one."""
        if self._delayed and self._delayed[0][0] <= monotonic():
            _, name, number = heappop(self._delayed)
            self.steps.append((name, State.RUNNING, {"attempt": number}, time()))
        elif name := self._next_alone():
            number = 1
            now = time()
            self.steps.append((name, State.QUEUED, _NOTHING, now))
            self.steps.append((name, State.RUNNING, _FIRST, now))
        elif self._groups and (group := self._groups.next(self._ready.states)):
            return self._start_group(group)
        else:
            return None
        task = self._graph.task(name)
        attempt = Attempt(task, number, monotonic() + task.timeout if task.timeout else None)
        self.running[name] = attempt
        return attempt

    def _next_alone(self) -> str:
        """Return the next ready task of no group, or nothing; groups whose tasks are ready are held."""
        while self._ready:
            name = self._ready.pop()
            if self._groups is None or not self._groups.hold(name):
                return name
        return ""

    def _start_group(self, group: str) -> Attempt:
        states = self._ready.states
        tasks = tuple(self._graph.task(name) for name in self._graph.fused[group] if name not in states)
        ended = {name: states[name] for task in tasks for name in task.upstream if name in states}
        attempt = self.running[group] = Attempt(tasks[0], 1, None, tasks, ended)
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

    def absorb(self, attempt: Attempt, steps: Sequence[Step]) -> None:
        """Take over what has become of a group: the steps of its tasks, in their order."""
        self.steps += steps
        for name, other in list(self.running.items()):
            if other is attempt:
                del self.running[name]
        ends = {name: state for name, state, _, _ in steps if state in FINISHED}
        self._skip(self._ready.settle(ends), _CUT_OFF)

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
        # The tasks of a group that is given up have no step yet, and need none.
        running = [name for name, attempt in self.running.items() if not attempt.group]
        left = [*running, *(name for _, name, _ in self._delayed)]
        for attempt in self.running.values():
            attempt.abandoned = True
        reason = {"reason": "interrupted"}
        return [*self.taken(), *((name, State.CANCELLED, reason, time()) for name in sorted(left))]


class Groups:
    """The groups of a graph that wait: one starts when all before any of its tasks have ended."""

    def __init__(self, graph: Graph) -> None:
        self._of = {unit: name for name, units in graph.fused.items() for unit in units}
        self._before = {
            name: {before for unit in units for before in graph.task(unit).upstream} - set(units)
            for name, units in graph.fused.items()
        }
        self.held: list[str] = []  #: Those of which a task could start by itself.

    def hold(self, name: str) -> bool:
        """Hold the group of the task `name`; tell whether it has one."""
        group = self._of.get(name)
        if group is not None and group not in self.held:
            self.held.append(group)
        return group is not None

    def next(self, ended: Container[str]) -> str | None:
        """Return a group that may start, now that the tasks in `ended` have; None if there is none."""
        for group in self.held:
            if all(before in ended for before in self._before[group]):
                self.held.remove(group)
                return group
        return None


def in_turn(course: Course, execute: Callable[[Attempt], Mapping[str, Any]]) -> Iterator[None]:
    """Run all of `course` in this thread, one attempt after another; give way after each."""
    while not course.over:
        attempt = course.start()
        if attempt is None:
            sleep(course.wait(1.0))
            continue
        try:
            detail = execute(attempt)
        except UnitFailed as exc:
            course.fail(attempt, exc)
        else:
            course.succeed(attempt, detail)
        yield
