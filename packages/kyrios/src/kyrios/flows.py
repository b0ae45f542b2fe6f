"""Flows: read from a folder, checked, run here or rendered for another engine."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kyrios._house.ids import uuid7
from kyrios.data import Data, open_data
from kyrios.engine import Engine, Job, Runner, open_engine
from kyrios.errors import BadInput, Conflict, UnitFailed
from kyrios.graph import Graph
from kyrios.history import Head, History, open_history
from kyrios.run import Run, TaskRun
from kyrios.selection import PlannedUnit, Selection, select
from kyrios.state import SUCCESSFUL, State, utc_now

if TYPE_CHECKING:
    from kyrios.execution import Execution, OnEvent
    from kyrios.looping import Loop, Report
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
    sources
        What it was read from, see `kyrios.sources`; nothing where that is not known.
    """

    folder: Path
    graph: Graph
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

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
        with opened(data, history) as (tables, record):
            head = None
            if resume:
                head = self._resumable(record.head(resume), params)
            chosen = select(self.graph, record, only=only, start=start, earlier=earlier)
            if head is None:
                head = self.head(identity, runner.name, params or {}, tables)
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
            runner.run(Job(self.graph, done, execution.execute, execution.record, execution.order, execution.failed))
        except BaseException as exc:
            execution.cancel_the_rest(type(exc).__name__)
            execution.write_lineage()
            raise
        first = next((t for t in execution.so_far().tasks if self.has_failed(t)), None)
        execution.move_run([State.FAILED if first else State.SUCCEEDED])
        execution.write_lineage()
        run = execution.so_far()
        if first:
            log = first.log or str(execution.log_path(first.name))
            raise UnitFailed(first.name, first.error or "", run_id=run.run_id, log=log)
        return run

    def loop(
        self,
        params: Mapping[str, Any] | None = None,
        *,
        ticks: int | None = None,
        realtime: bool = False,
        checkpoint: float | None = None,
        fresh: bool = False,
        data: str | Data | None = None,
        history: str | History | None = None,
        run_id: str | None = None,
        on_change: Callable[[str], None] | None = None,
        on_hang: Callable[[float], None] | None = None,
        on_start: Callable[[Loop], None] | None = None,
    ) -> tuple[Run, Report]:
        """Run a flow with ``schedule: {every: ...}`` as a service loop in this process, and wait for its end.

        All units run at every tick, in this thread, and hand their tables on in memory. Changed files of the flow and
        parameters that `kyrios tune` gives are taken between two ticks; what cannot be used is refused, and the loop
        goes on. One run is recorded, with the tables of its last tick.

        Parameters
        ----------
        params
            Values in the place of the flow's defaults.
        ticks
            How many to run; None is until `Loop.stop`.
        realtime
            Whether this thread goes before all others of this machine (``SCHED_FIFO``): on one that is busy, a loop
            waits for its turn longer than a tick.
        checkpoint
            Seconds between two checkpoints of what the units remember; None keeps none. The loop goes on from the last
            one, whatever has ended it.
        fresh
            Whether to forget the last checkpoint first.
        on_change
            Called with a line whenever something has changed and was taken or refused.
        on_hang
            Called by another thread when a tick takes longer than ``schedule.watchdog``, with its seconds.
        on_start
            Called with the loop before its first tick.

        Returns
        -------
        run, report
            The recorded run, and how the loop kept its rate.

        Raises
        ------
        BadInput
            If the flow is no service loop, or a parameter or a unit cannot be used.
        Conflict
            If the last checkpoint cannot be read, or a loop of this flow runs.
        NotAllowed
            If `realtime` is not allowed to this user.
        UnitFailed
            If a unit failed in the last tick; failures before it are counted.
        """
        from kyrios.checkpoint import Checkpoint
        from kyrios.execution import Execution, sole_owner
        from kyrios.looping import Loop, Plan, first_in_line
        from kyrios.sources import Unchanged
        from kyrios.unitlog import capturing
        from kyrios.watching import CHECKPOINT, place_of, stamps, tuned, watched

        given = dict(params or {})
        # A change that comes before this look, but after the files were read, must not be missed.
        seen = stamps(self) if Unchanged()(str(self.folder), self.sources) else ()
        plan = Plan.of(self, {**given, **tuned(self.name)})
        identity = checked_run_id(run_id or uuid7())
        with opened(data, history) as (tables, record), sole_owner(f"loop-{self.name}"), capturing():
            path = place_of(self.name) / CHECKPOINT
            if fresh:
                path.unlink(missing_ok=True)
            restored = Checkpoint() if checkpoint is None else Checkpoint.read(path)
            head = record.begin(self.head(identity, "loop", plan.values, tables))
            execution = Execution(self.graph, self.folder, head, tables, record)
            loop = Loop(plan, execution, ticks, on_change or (lambda said: None), restored=restored)
            execution.move_run([State.QUEUED, State.RUNNING])
            if on_start is not None:
                on_start(loop)
            try:
                beside = watched(loop, given, seen, on_hang or (lambda seconds: None), checkpoint=checkpoint)
                with first_in_line(realtime), beside:
                    loop.run()
            except BaseException as exc:
                execution.cancel_the_rest(type(exc).__name__)
                raise
            loop.record()
            report = loop.report()
            run = execution.so_far()
        failed = next((task for task in run.tasks if self.has_failed(task)), None)
        if failed:
            raise UnitFailed(failed.name, failed.error or "", run_id=identity, log=str(execution.log_path("loop")))
        return run, report

    def plan(
        self,
        *,
        only: Collection[str] = (),
        start: str | None = None,
        earlier: str | None = None,
        history: str | History | None = None,
    ) -> list[PlannedUnit]:
        """Return what `run` would do with each unit, in their order; nothing is run or recorded."""
        with opened("memory://", history) as (_, record):
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
        unit
            Name of the unit, or of a group of units that are fused: they run one after another, in this process.
        run_id
            The same for all units of the run; the first one begins it, with its `params`.
        digest
            The flow's digest when its scripts were rendered; None asks for none.
        engine
            Name to record.
        attempt
            Which try this is, from 1, where the caller tries again as often as the unit says; None where it does not.
            The units of a group are tried again here.

        Raises
        ------
        NotFound
            If the flow has no such unit, or a unit before it has given no output.
        Conflict
            If the flow is no longer what was rendered, or the unit is running in another process.
        UnitFailed
            If the unit failed.
        """
        from kyrios.driven import Driven

        if digest and digest != self.digest:
            raise Conflict(f"the flow {self.name} has changed since this was rendered", hint="kyrios render")
        identity = checked_run_id(run_id)
        with opened(data, history) as (tables, record):
            head = self.head(identity, engine, params or {}, tables)
            return Driven(self, tables, record, on_event).run(unit, head, attempt)

    def has_failed(self, task: TaskRun) -> bool:
        """Tell whether the run cannot succeed any more because of how `task` has ended."""
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

    def head(self, run_id: str, engine: str, params: Mapping[str, Any], data: Data) -> Head:
        """Return what is recorded of a new run; raise `BadInput` if its parameters cannot be used."""
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

    Examples
    --------
    >>> import kyrios
    >>> run = kyrios.load_flow("examples/flows/hello").run({"name": "world"})
    >>> run.state.value
    'succeeded'
    >>> [file.name for file in kyrios.load_flow("examples/flows/hello").render("airflow", "dags")]
    ['hello.py']
    """
    from kyrios.load import read_with_sources

    folder = Path(path)
    folder = folder.parent if folder.name in ("flow.yaml", "flow.py") else folder
    if (folder / "flow.py").is_file() and not (folder / "flow.yaml").is_file():
        from kyrios.code import load_built

        built: Flow = load_built(folder.absolute()).flow
        return built
    return Flow(folder.absolute(), *read_with_sources(folder))


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
def opened(data: str | Data | None, history: str | History | None) -> Iterator[tuple[Data, History]]:
    tables = open_data(data) if data is None or isinstance(data, str) else data
    if history is None or isinstance(history, str):
        with open_history(history) as record:
            yield tables, record
    else:
        yield tables, history
