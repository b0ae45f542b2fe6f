"""Flows: read from a folder, checked, run here or rendered for another engine."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

from kyrios._house.errors import nearest
from kyrios._house.ids import uuid7
from kyrios.data import Data, open_data
from kyrios.engine import Engine, Job, Runner, open_engine
from kyrios.engine.port import Step
from kyrios.errors import BadInput, Conflict, NotFound, UnitFailed
from kyrios.graph import Graph
from kyrios.history import Head, History, open_history
from kyrios.run import Run, TaskRun
from kyrios.selection import PlannedUnit, Selection, select
from kyrios.state import FINISHED, SUCCESSFUL, State, end_of, utc_now

if TYPE_CHECKING:
    from kyrios.execution import Execution, OnEvent
    from kyrios.render import RenderedFile


@dataclass(frozen=True)
class Flow:
    """A flow that has passed every check.

    Parameters
    ----------
    folder
        Where its files are, absolute.
    graph
        What every engine sees of it.
    """

    folder: Path
    graph: Graph

    @property
    def name(self) -> str:
        """Its name in ``flow.yaml``."""
        return self.graph.flow

    @property
    def digest(self) -> str:
        """Digest of the graph: of the flow and its units, not of their Python."""
        return self.graph.digest

    def run(
        self,
        params: Mapping[str, Any] | None = None,
        *,
        resume: str | None = None,
        only: Collection[str] = (),
        start: str | None = None,
        earlier: str | None = None,
        engine: str | None = None,
        data: str | Data | None = None,
        history: str | History | None = None,
        workers: int | None = None,
        run_id: str | None = None,
        on_event: OnEvent | None = None,
    ) -> Run:
        """Run the flow and wait for its end.

        Parameters
        ----------
        params
            Values in the place of the flow's defaults.
        resume
            Id of a run that did not succeed: units that have succeeded are not run again.
        only
            The units to run; those right before them must have outputs in an earlier run.
        start
            Run this unit and all after it.
        earlier
            Id of the run that gives the outputs of units that are not run; None is the newest that has them.
        engine, data, history
            URLs, or what `open_data` and `open_history` return; None are the settings.
        workers
            How many units the local engine runs at once.
        run_id
            Id of the new run; None makes a UUIDv7.
        on_event
            Called with each event after it is recorded, from this thread.

        Raises
        ------
        BadInput
            If a parameter or the engine cannot be used; nothing is recorded then.
        UnitFailed
            If a unit failed; the run is recorded and can be resumed.
        Conflict
            If the run to resume belongs to another flow, has succeeded, or is running.
        """
        from kyrios.execution import sole_owner
        from kyrios.unitlog import capturing

        if self.graph.inputs:
            taken = ", ".join(sorted(self.graph.inputs))
            raise BadInput(f"the flow {self.name} takes {taken}", hint="use it as a unit of another flow")
        if resume and (only or start):
            raise BadInput("a run that is resumed keeps its units", hint="start a new run for only some of them")
        runner = _runner(engine, workers)
        identity = resume or checked_run_id(run_id or uuid7())
        with _opened(data, history) as (tables, record):
            head = None
            if resume:
                head = self._resumable(record.head(resume), params)
            chosen = select(self.graph, record, only=only, start=start, earlier=earlier)
            if head is None:
                head = self._head(identity, runner.name, params or {}, tables)
            with sole_owner(identity), capturing():
                head = record.begin(head)
                if not resume and record.events(identity):
                    raise Conflict(f"there is a run {identity!r} already", hint="kyrios run --resume RUN")
                execution = self._execution(head, tables, record, on_event)
                return self._drive(execution, runner, None if resume else chosen)

    def _drive(self, execution: Execution, runner: Runner, chosen: Selection | None) -> Run:
        execution.cancel_the_rest("its process is gone")
        done = execution.kept()
        before = execution.so_far()
        if before.state == State.SUCCEEDED and len(done) == sum(t.state in SUCCESSFUL for t in before.tasks):
            raise Conflict(f"run {execution.head.run_id} has succeeded; there is nothing to resume")
        execution.move_run([State.QUEUED, State.RUNNING])
        if chosen:
            execution.record(chosen.bring(execution.head.run_id, execution.data))
            done = [*done, *chosen.taken, *chosen.left_out]
        else:
            done = [*done, *(t.name for t in before.tasks if t.reason == "not asked for")]
        try:
            runner.run(Job(self.graph, done, execution.execute, execution.record, execution.order))
        except BaseException as exc:
            execution.cancel_the_rest(type(exc).__name__)
            execution.write_lineage()
            raise
        first = next((t for t in execution.so_far().tasks if self._has_failed(t)), None)
        execution.move_run([State.FAILED if first else State.SUCCEEDED])
        execution.write_lineage()
        run = execution.so_far()
        if first:
            log = first.log or str(execution.log_path(first.name))
            raise UnitFailed(first.name, first.error or "", run_id=run.run_id, log=log)
        return run

    def plan(
        self,
        *,
        only: Collection[str] = (),
        start: str | None = None,
        earlier: str | None = None,
        history: str | History | None = None,
    ) -> list[PlannedUnit]:
        """Return what `run` would do with each unit, in their order; nothing is run or recorded."""
        with _opened("memory://", history) as (_, record):
            return select(self.graph, record, only=only, start=start, earlier=earlier).plan(self.graph)

    def run_unit(
        self,
        unit: str,
        *,
        run_id: str,
        params: Mapping[str, Any] | None = None,
        digest: str | None = None,
        engine: str = "local",
        attempt: int | None = None,
        data: str | Data | None = None,
        history: str | History | None = None,
        on_event: OnEvent | None = None,
    ) -> Run:
        """Run one unit of a run that another program drives, such as a scheduler; once is as good as twice.

        Parameters
        ----------
        run_id
            The same for all units of the run; the first one begins it, with its `params`.
        digest
            The flow's digest when its scripts were rendered; None asks for none.
        engine
            Name to record.
        attempt
            Which try this is, from 1, where the caller tries again as often as the unit says; None where it does not.

        Raises
        ------
        NotFound
            If the flow has no such unit, or a unit before it has given no output.
        Conflict
            If the flow is no longer what was rendered, or the unit is running in another process.
        UnitFailed
            If the unit failed.
        """
        from threading import Event as Flag

        from kyrios.execution import sole_owner
        from kyrios.unitlog import capturing

        if unit not in self.graph.names:
            raise NotFound(f"the flow {self.name} has no unit {unit!r}", hint=nearest(unit, self.graph.names))
        if digest and digest != self.digest:
            raise Conflict(f"the flow {self.name} has changed since this was rendered", hint="kyrios render")
        identity = checked_run_id(run_id)
        task = self.graph.task(unit)
        with _opened(data, history) as (tables, record), sole_owner(identity, unit), capturing():
            head = record.begin(self._head(identity, engine, params or {}, tables))
            if head.digest != self.digest:
                raise Conflict(f"run {identity} belongs to another version of {head.flow}", hint="start a new run")
            execution = self._execution(head, tables, record, on_event)
            with sole_owner_waiting(identity):
                run = execution.so_far()
                if unit in execution.kept():
                    return run
                states = {u: run.task(u).state for u in task.upstream}
                verdict = task.verdict(states)
                open_ = [u for u in task.upstream if states[u] not in SUCCESSFUL]
                if verdict == State.SKIPPED and State.FAILED not in states.values():
                    if run.task(unit).state != State.SKIPPED:
                        reason = f"{', '.join(open_) or 'what it stands in for'}: {', '.join(sorted(states.values()))}"
                        execution.record([(unit, State.SKIPPED, {"reason": reason}, time())])
                        self._settle(execution)
                    return execution.so_far()
                if verdict != State.QUEUED:
                    raise Conflict(f"{unit} needs {', '.join(open_)}, which has not succeeded in run {identity}")
                again = run.task(unit).state == State.UP_FOR_RETRY
                if not again and run.task(unit).state not in (State.DECLARED, *FINISHED):
                    execution.record([(unit, State.CANCELLED, {"reason": "its process is gone"}, time())])
                if run.state != State.RUNNING:
                    execution.move_run([State.QUEUED, State.RUNNING])
                now = time()
                queued: list[Step] = [] if again else [(unit, State.QUEUED, {}, now)]
                execution.record([*queued, (unit, State.RUNNING, {"attempt": attempt or 1}, now)])
            failure: UnitFailed | None = None
            try:
                detail = execution.execute(task, Flag())
                execution.record([(unit, end_of(detail), detail, time())])
            except UnitFailed as exc:
                failure = exc
                end = State.UP_FOR_RETRY if attempt and attempt <= task.retries else State.FAILED
                known = {"error": exc.reason, "log": exc.log, "attempt": attempt or 1}
                execution.record([(unit, end, known, time())])
            except BaseException as exc:
                execution.record([(unit, State.CANCELLED, {"reason": type(exc).__name__}, time())])
                raise
            with sole_owner_waiting(identity):
                self._settle(execution)
            if failure:
                raise failure
            return execution.so_far()

    def _settle(self, execution: Execution) -> None:
        """Give the run the state that follows from its units', and write its lineage."""
        run = execution.so_far()
        if self._skip_what_failed(execution, run):
            run = execution.so_far()
        states = {t.state for t in run.tasks}
        underway = states & {State.QUEUED, State.RUNNING, State.UP_FOR_RETRY}
        if run.state == State.RUNNING and not underway:
            if any(self._has_failed(t) for t in run.tasks):
                execution.move_run([State.FAILED])
            elif State.DECLARED not in states and State.CANCELLED not in states:
                execution.move_run([State.SUCCEEDED])
        execution.write_lineage()

    def _skip_what_failed(self, execution: Execution, run: Run) -> bool:
        """Record as skipped what a failure has cut off: its scheduler will never call it."""
        states = {task.name: task.state for task in run.tasks}
        culprits = {name: name for name, state in states.items() if state == State.FAILED}
        steps = []
        for task in self.graph.tasks if culprits else ():
            culprit = next((culprits[u] for u in task.upstream if u in culprits), None)
            if culprit and states[task.name] == State.DECLARED and task.verdict(states) == State.SKIPPED:
                states[task.name] = State.SKIPPED
                culprits[task.name] = culprit
                steps.append((task.name, State.SKIPPED, {"reason": f"{culprit} failed"}, time()))
        execution.record(steps)
        return bool(steps)

    def _has_failed(self, task: TaskRun) -> bool:
        return task.state == State.FAILED and not self.graph.task(task.name).may_fail

    def render(
        self,
        engine: str | None = None,
        out: str | os.PathLike[str] = "dags",
        *,
        folder: str | None = None,
        command: str | None = None,
        params: Mapping[str, Any] | None = None,
        force: bool = False,
    ) -> list[RenderedFile]:
        """Write the files with which `engine` runs the flow, and return them.

        Parameters
        ----------
        engine
            URL; None is the setting.
        out
            Folder of the files; a manifest beside them tells whose they are.
        folder
            The flow's folder as the workers see it; None is where it is here.
        command
            What a task calls; None is the setting ``command``.
        params
            Values in the place of the flow's defaults.
        force
            Whether to overwrite files that were edited by hand.

        Raises
        ------
        Conflict
            If a file was edited by hand, or belongs to nobody; nothing is written then.
        """
        from kyrios.render import planned, write

        return write(planned(self, engine, folder=folder, command=command, params=params), Path(out), force=force)

    def _head(self, run_id: str, engine: str, params: Mapping[str, Any], data: Data) -> Head:
        from kyrios.environment import this_environment
        from kyrios.params import bind

        return Head(
            run_id=run_id,
            trace_id=os.environ.get("KYRIOS_TRACE_ID") or uuid7(),
            flow=self.name,
            digest=self.digest,
            engine=engine,
            host=socket.gethostname(),
            data=data.url,
            folder=str(self.folder),
            created=utc_now(),
            params=bind(self.graph, params),
            graph=self.graph.canonical,
            environment=this_environment(),
        )

    def _resumable(self, head: Head, params: Mapping[str, Any] | None) -> Head:
        if params:
            raise BadInput("a run that is resumed keeps its parameters", hint="start a new run for other parameters")
        if head.digest != self.digest:
            raise Conflict(f"run {head.run_id} was of another version of {head.flow}", hint=f"kyrios run {head.folder}")
        return head

    def _execution(self, head: Head, data: Data, history: History, on_event: OnEvent | None) -> Execution:
        from kyrios.execution import Execution

        return Execution(self.graph, self.folder, head, data, history, on_event)


def load_flow(path: str | os.PathLike[str]) -> Flow:
    """Return the flow in the folder `path`, or the one that its ``flow.yaml`` or ``flow.py`` names.

    Raises
    ------
    NotFound
        If there is no flow.
    FlowInvalid
        With every mistake in its files.
    """
    from kyrios.load import read_flow

    folder = Path(path)
    folder = folder.parent if folder.name in ("flow.yaml", "flow.py") else folder
    if (folder / "flow.py").is_file() and not (folder / "flow.yaml").is_file():
        from kyrios.code import load_built

        built: Flow = load_built(folder.absolute()).flow
        return built
    return Flow(folder.absolute(), read_flow(folder))


def checked_run_id(text: str) -> str:
    """Return `text` as the id of a run; raise `BadInput` if it cannot name a folder."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:+=@-]{0,199}", text):
        raise BadInput(f"{text!r} cannot be the id of a run", hint="letters, digits and _ . : + = @ - only")
    return text


def _runner(engine: str | None, workers: int | None) -> Runner:
    found: Engine = open_engine(engine)
    if not isinstance(found, Runner):
        raise BadInput(
            f"{found.name} runs flows by its own scheduler", hint=f"kyrios render FLOW --engine {found.name} --out DIR"
        )
    if workers is not None:
        if workers < 1:
            raise BadInput(f"workers must be a whole number from 1, not {workers}")
        found = open_engine(f"{found.name}:?workers={workers}")
        assert isinstance(found, Runner)
    return found


@contextmanager
def _opened(data: str | Data | None, history: str | History | None) -> Iterator[tuple[Data, History]]:
    tables = open_data(data) if data is None or isinstance(data, str) else data
    if history is None or isinstance(history, str):
        with open_history(history) as record:
            yield tables, record
    else:
        yield tables, history


@contextmanager
def sole_owner_waiting(run_id: str) -> Iterator[None]:
    """Wait for the short moment in which another unit of the same run settles the state of the run."""
    import fcntl

    from kyrios.execution import log_path

    path = log_path(run_id, "run").with_name(".settle.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
