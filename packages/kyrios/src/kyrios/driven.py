"""Units of a run that another program drives: a scheduler calls them, in processes of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event as Flag
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from kyrios._house.errors import nearest
from kyrios.data import Data
from kyrios.engine.course import Attempt, Course, in_turn
from kyrios.engine.port import Step
from kyrios.errors import Conflict, NotFound, UnitFailed
from kyrios.execution import Execution, OnEvent, in_time, log_path, sole_owner
from kyrios.graph import Graph, Task
from kyrios.history import Head, History
from kyrios.run import Run
from kyrios.state import FINISHED, SUCCESSFUL, State, end_of
from kyrios.unitlog import capturing

if TYPE_CHECKING:
    from kyrios.flows import Flow

_FLUSH = 0.5  # seconds of a group's work that a kill may undo


@dataclass
class Driven:
    """Runs units of `flow` one call at a time; the record alone knows how far the run is."""

    flow: Flow
    data: Data
    history: History
    on_event: OnEvent | None = None

    def run(self, name: str, head: Head, attempt: int | None) -> Run:
        """Run the unit or group `name` of the run `head`, see `Flow.run_unit`."""
        graph = self.flow.graph
        if name not in graph.names and name not in graph.fused:
            hint = nearest(name, [*graph.names, *graph.fused])
            raise NotFound(f"the flow {self.flow.name} has no unit {name!r}", hint=hint)
        with sole_owner(head.run_id, name), capturing():
            head = self.history.begin(head)
            if head.digest != self.flow.digest:
                raise Conflict(f"run {head.run_id} belongs to another version of {head.flow}", hint="start a new run")
            execution = Execution(graph, self.flow.folder, head, self.data, self.history, self.on_event)
            if name in graph.fused:
                return self._group(execution, name)
            return self._unit(execution, graph.task(name), attempt)

    def _unit(self, execution: Execution, task: Task, attempt: int | None) -> Run:
        name, identity = task.name, execution.head.run_id
        with _settling(identity):
            run = execution.so_far()
            if name in execution.kept():
                self._settle(execution)  # whoever ran it may have been killed before that
                return execution.so_far()
            states = {u: run.task(u).state for u in task.upstream}
            verdict = task.verdict(states)
            open_ = [u for u in task.upstream if states[u] not in SUCCESSFUL]
            if verdict == State.SKIPPED and not self._culprits(run, [name]):
                if run.task(name).state != State.SKIPPED:
                    reason = f"{', '.join(open_) or 'what it stands in for'}: {', '.join(sorted(states.values()))}"
                    execution.record([(name, State.SKIPPED, {"reason": reason}, time())])
                    self._settle(execution)
                return execution.so_far()
            if verdict != State.QUEUED:
                raise Conflict(f"{name} needs {', '.join(open_)}, which has not succeeded in run {identity}")
            again = run.task(name).state == State.UP_FOR_RETRY
            if not again:
                self._give_up_what_is_gone(execution, run, [name])
            self._go_on(execution, run)
            now = time()
            queued: list[Step] = [] if again else [(name, State.QUEUED, {}, now)]
            execution.record([*queued, (name, State.RUNNING, {"attempt": attempt or 1}, now)])
        failure: UnitFailed | None = None
        try:
            detail = execution.execute(task, Flag(), attempt or task.retries + 1)
            execution.record([(name, end_of(detail), detail, time())])
        except UnitFailed as exc:
            failure = exc
            end = State.UP_FOR_RETRY if attempt and attempt <= task.retries else State.FAILED
            known = {"error": exc.reason, "log": exc.log, "attempt": attempt or 1}
            execution.record([(name, end, known, time())])
        except BaseException as exc:
            execution.record([(name, State.CANCELLED, {"reason": type(exc).__name__}, time())])
            raise
        with _settling(identity):
            self._settle(execution)
        if failure:
            raise failure
        return execution.so_far()

    def _group(self, execution: Execution, group: str) -> Run:
        graph, identity = self.flow.graph, execution.head.run_id
        with _settling(identity):
            run = execution.so_far()
            kept = set(execution.kept())
            tasks = tuple(graph.task(name) for name in graph.fused[group] if name not in kept)
            if not tasks:
                self._settle(execution)
                return execution.so_far()
            names = {task.name for task in tasks}
            before = sorted({name for task in tasks for name in task.upstream} - names)
            ended = {name: run.task(name).state for name in before}
            open_ = [name for name, state in ended.items() if state not in FINISHED]
            if open_:
                raise Conflict(f"{group} needs {', '.join(open_)}, which has not ended in run {identity}")
            self._give_up_what_is_gone(execution, run, sorted(names))
            self._go_on(execution, run)
            course = Course(Graph(graph.flow, graph.version, tasks), ended=ended, deadlines=False)
            # What is cut off already is said now, or another unit of the run would say it too.
            skipped = {name for name in names if run.task(name).state == State.SKIPPED}
            execution.record([step for step in course.taken() if step[0] not in skipped])
        self._see_through(execution, course)
        with _settling(identity):
            self._settle(execution)
        run = execution.so_far()
        failed = next((run.task(task.name) for task in tasks if self.flow.has_failed(run.task(task.name))), None)
        if failed:
            raise UnitFailed(failed.name, failed.error or "", run_id=identity, log=failed.log or "")
        lost = [name for name in sorted(names) if run.task(name).state == State.SKIPPED]
        if culprits := self._culprits(run, lost):
            # Its scheduler must not take a group for well that a failure has cut off.
            raise Conflict(f"{group} needs {', '.join(culprits)}, which has not succeeded in run {identity}")
        return run

    def _culprits(self, run: Run, names: list[str]) -> list[str]:
        """Return the failed units before `names`, as far as the run cannot succeed with them."""
        found: set[str] = set()
        todo = list(names)
        while todo:
            for before in self.flow.graph.task(todo.pop()).upstream:
                if before not in found:
                    found.add(before)
                    todo.append(before)
        return sorted(name for name in found if self.flow.has_failed(run.task(name)))

    def _see_through(self, execution: Execution, course: Course) -> None:
        """Run a course to its end, recording now and then: an answer from a disk takes longer than a small unit."""

        def execute(attempt: Attempt) -> Mapping[str, Any]:
            return in_time(execution, attempt.task, attempt.number)

        recorded = monotonic()
        try:
            for _ in in_turn(course, execute):
                if monotonic() - recorded > _FLUSH:
                    execution.record(course.taken())
                    recorded = monotonic()
            execution.record(course.taken())
        except BaseException:
            execution.record(course.interrupted())
            raise

    def _give_up_what_is_gone(self, execution: Execution, run: Run, names: list[str]) -> None:
        """Record as cancelled what a process that is gone has begun."""
        left = [name for name in names if run.task(name).state not in (State.DECLARED, *FINISHED)]
        execution.record([(name, State.CANCELLED, {"reason": "its process is gone"}, time()) for name in left])

    def _go_on(self, execution: Execution, run: Run) -> None:
        if run.state != State.RUNNING:
            execution.move_run([State.QUEUED, State.RUNNING])

    def _settle(self, execution: Execution) -> None:
        """Give the run the state that follows from its units', and write its lineage once it has ended."""
        run = execution.so_far()
        if self._skip_what_failed(execution, run):
            run = execution.so_far()
        states = {t.state for t in run.tasks}
        underway = states & {State.QUEUED, State.RUNNING, State.UP_FOR_RETRY}
        if run.state == State.RUNNING and not underway:
            if any(self.flow.has_failed(t) for t in run.tasks):
                execution.move_run([State.FAILED])
            elif State.DECLARED not in states and State.CANCELLED not in states:
                execution.move_run([State.SUCCEEDED])
            run = execution.so_far()
        if run.state in FINISHED:
            execution.write_lineage()

    def _skip_what_failed(self, execution: Execution, run: Run) -> bool:
        """Record as skipped what a failure has cut off: its scheduler will never call it."""
        states = {task.name: task.state for task in run.tasks}
        culprits = {name: name for name, state in states.items() if state == State.FAILED}
        steps = []
        for task in self.flow.graph.tasks if culprits else ():
            culprit = next((culprits[u] for u in task.upstream if u in culprits), None)
            if culprit and states[task.name] == State.DECLARED and task.verdict(states) == State.SKIPPED:
                states[task.name] = State.SKIPPED
                culprits[task.name] = culprit
                steps.append((task.name, State.SKIPPED, {"reason": f"{culprit} failed"}, time()))
        execution.record(steps)
        return bool(steps)


@contextmanager
def _settling(run_id: str) -> Iterator[None]:
    """Wait for the short moment in which another unit of the same run settles the state of the run."""
    import fcntl

    path = log_path(run_id, "run").with_name(".settle.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
