"""A flow as a service loop: all of its units at every tick, in this process, at a fixed rate.

Tables pass from unit to unit in memory. Units, parameters and the rate can be changed while it runs: a thread beside
the loop reads and judges what has changed, and the loop takes it between two ticks, or keeps what it has.
"""

from __future__ import annotations

import copy
import gc
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import monotonic, time
from typing import IO, TYPE_CHECKING, Any

from kyrios.calling import call, is_met, prepared
from kyrios.checkpoint import Checkpoint, text_of
from kyrios.code import blame
from kyrios.engine.port import Step as Recorded
from kyrios.errors import BadInput, NotAllowed
from kyrios.execution import Execution, checked_tables
from kyrios.extension import Hooks, UnitCall
from kyrios.graph import Task
from kyrios.pace import Pace, Spread
from kyrios.params import bind
from kyrios.references import fill
from kyrios.state import State, utc_now
from kyrios.ticks import Tick, begin, remember
from kyrios.unitlog import unit_log
from kyrios.uses import Used, noting_uses

if TYPE_CHECKING:
    import pyarrow as pa

    from kyrios.flows import Flow

_SWITCH = 0.0005  # seconds after which the thread that reloads lets the loop go on; Python's own 5 ms would be felt


@dataclass(frozen=True)
class Step:
    """One unit as the loop calls it."""

    task: Task
    function: Callable[..., Any]
    code: str
    params: Mapping[str, Any]
    hooks: Hooks | None = None


@dataclass(frozen=True)
class Plan:
    """All that a tick needs; it is replaced whole, between two ticks."""

    flow: Flow
    values: Mapping[str, Any]
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, flow: Flow, given: Mapping[str, Any]) -> Plan:
        """Load every unit of `flow`, whose parameters are `given` in the place of its own.

        Raises
        ------
        BadInput
            If it is no service loop, or a parameter or a unit cannot be used.
        """
        if flow.graph.every is None:
            raise BadInput(f"the flow {flow.name} is no service loop", hint="schedule: {every: 10ms}")
        values = bind(flow.graph, given)
        steps = []
        for task in flow.graph.tasks:
            try:
                function, code = prepared(task, flow.folder)
                hooks = Hooks.of(task, flow.folder) if task.extension else None
            except Exception as exc:
                raise BadInput(f"the unit {task.name} cannot be loaded: {blame(exc, flow.folder)}") from exc
            params = {word: fill(value, values) for word, value in task.params.items()}
            steps.append(Step(task, function, code, params, hooks))
        return cls(flow, values, tuple(steps))


@dataclass
class Report:
    """What a loop has done so far; times in seconds.

    Parameters
    ----------
    skipped, merged
        Ticks that were left out because the loop was too slow, or that another tick stood for.
    failed
        Ticks in which a unit failed.
    reloads, refused
        How often changed files or parameters were taken, and how often they could not be.
    checkpoints
        How often what the units remember was made durable.
    """

    ticks: int = 0
    skipped: int = 0
    merged: int = 0
    failed: int = 0
    reloads: int = 0
    refused: int = 0
    checkpoints: int = 0
    late_median: float = 0.0
    late_p99: float = 0.0
    late_longest: float = 0.0
    busy_p99: float = 0.0
    error: str = ""


@dataclass
class Loop:
    """Runs the ticks; `run` returns when `ticks` are done, or after `stop`."""

    plan: Plan
    execution: Execution
    ticks: int | None = None
    on_change: Callable[[str], None] = lambda said: None
    tables: dict[str, pa.Table] = field(default_factory=dict)  #: What the last tick gave, by ``task.port``.
    states: dict[str, State] = field(default_factory=dict)  #: How each unit ended in the last tick.
    used: dict[str, Used] = field(default_factory=dict)
    restored: Checkpoint = field(default_factory=Checkpoint)  #: Where it goes on.

    def __post_init__(self) -> None:
        graph = self.plan.flow.graph
        assert graph.every is not None
        self._stopped = threading.Event()
        self._next: Plan | None = None
        names = graph.names
        #: What each unit remembers, by its name; one that the flow has no more is forgotten.
        self.memories = {name: copy.deepcopy(dict(m)) for name, m in self.restored.memories.items() if name in names}
        self._kept = self.restored.memories
        self._wanted = self._keeps = False
        self._checkpoint: str | None = None
        self._unkept = ""
        self._errors: dict[str, str] = {}
        self._busy = Spread()
        self._counts = Report()
        self.pace = Pace(graph.every, graph.overrun, first=self.restored.tick + 1)
        self.began: float | None = None  #: When the tick that runs began, by `time.monotonic`.
        self.now: Tick | None = None

    @property
    def has_ticked(self) -> bool:
        """Whether its first tick is over."""
        return self._counts.ticks > 0

    def stop(self) -> None:
        """End the loop after the tick that runs; may be called by any thread, and by a signal."""
        self._stopped.set()

    def take(self, plan: Plan) -> None:
        """Let the next tick run by `plan`."""
        self._next = plan
        self._counts.reloads += 1

    def refuse(self, why: str) -> None:
        """Say that something has changed that cannot be used; the loop goes on with what it has."""
        self._counts.refused += 1
        self.on_change(f"not taken: {why}")

    def ask(self) -> None:
        """Let the loop make a checkpoint after the tick that runs."""
        self._wanted = self._keeps = True

    def taken(self) -> str | None:
        """Return the checkpoint that was made since the last call, if there is one."""
        made, self._checkpoint = self._checkpoint, None
        return made

    def is_kept(self, checkpoint: Checkpoint) -> None:
        """Say that `checkpoint` is durable."""
        self._kept = checkpoint.memories
        self._counts.checkpoints += 1

    def report(self) -> Report:
        """Return what it has done so far."""
        late = self.pace.late
        return Report(
            **{
                **vars(self._counts),
                "skipped": self.pace.skipped,
                "merged": self.pace.merged,
                "late_median": late.share(0.5),
                "late_p99": late.share(0.99),
                "late_longest": round(late.longest, 6),
                "busy_p99": self._busy.share(0.99),
            }
        )

    def run(self) -> Report:
        """Run until `ticks` are done or `stop` is called."""
        with unit_log(self.execution.log_path("loop")) as log, _steady():
            print(f"--- {utc_now()} {self.plan.flow.name} ticks every {self.pace.every:g} s", file=log)
            last = None
            self.pace.begin()
            while not self._stopped.is_set() and (self.ticks is None or self._counts.ticks < self.ticks):
                tick = self._wait()
                if tick is None:
                    break
                self._tick(tick, log)
                if self._wanted:
                    self._make_checkpoint(tick.number)
                if self._counts.ticks == 1:
                    # What units import when they are first called takes longer than many ticks.
                    self.pace.begin()
                last = tick.number
            if last is not None and self._keeps:
                self._make_checkpoint(last)
            print(f"--- {utc_now()} {self.plan.flow.name} ends after {self._counts.ticks} ticks", file=log)
        return self.report()

    def _make_checkpoint(self, number: int) -> None:
        """Write down what the units remember, between two ticks; another thread makes it durable."""
        self._wanted = False
        try:
            self._checkpoint = text_of(number, self.memories)
        except BadInput as exc:
            if exc.message != self._unkept:  # said once, not every second
                self._unkept = exc.message
                self.on_change(f"not kept: {exc.message}")

    def record(self) -> None:
        """Record the end: how the units ended in the last tick, the tables that it gave, and the lineage of all."""
        execution = self.execution
        known = {task.name for task in execution.graph.tasks}
        now = time()
        steps: list[Recorded] = []
        for step in self.plan.steps:
            name = step.task.name
            if name not in known or name not in self.states:
                continue  # it came with a reload: the run's graph is that of its beginning
            state = self.states[name]
            if state == State.SKIPPED:
                steps.append((name, State.SKIPPED, {"reason": "what comes before it did not succeed"}, now))
                continue
            detail: dict[str, Any] = {"error": self._errors.get(name, "")}
            if state == State.SUCCEEDED:
                outputs = [
                    execution.write(name, port, self.tables[f"{name}.{port}"]) for port in sorted(step.task.outputs)
                ]
                used = self.used[name]
                detail = {
                    "code": step.code,
                    "outputs": outputs,
                    "packages": used.packages,
                    "datasets": used.datasets,
                    "ticks": self._counts.ticks,
                }
            steps += [(name, State.QUEUED, {}, now), (name, State.RUNNING, {}, now), (name, state, detail, now)]
        execution.record(steps)
        failed = any(state == State.FAILED for name, state in self.states.items() if not self._may_fail(name))
        execution.move_run([State.FAILED if failed else State.SUCCEEDED])
        execution.write_lineage()

    def _may_fail(self, name: str) -> bool:
        return next(step.task.may_fail for step in self.plan.steps if step.task.name == name)

    def _wait(self) -> Tick | None:
        while (left := self.pace.remaining()) > 0:
            if self._stopped.wait(left):
                return None
        return self.pace.next()

    def _tick(self, tick: Tick, log: IO[str]) -> None:
        if self._next is not None:
            self.plan, self._next = self._next, None
            graph = self.plan.flow.graph
            assert graph.every is not None
            self.pace.change(graph.every, graph.overrun)
            print(f"--- {utc_now()} tick {tick.number}: {self.plan.flow.digest}", file=log)
            self.on_change(f"taken at tick {tick.number}")
        self.began, self.now = monotonic(), tick
        begin(tick)
        tables: dict[str, pa.Table] = {}
        states: dict[str, State] = {}
        failed = False
        for step in self.plan.steps:
            try:
                states[step.task.name] = self._call(step, tables, states)
            except Exception as exc:
                states[step.task.name] = State.FAILED
                failed = failed or not step.task.may_fail
                self._errors[step.task.name] = blame(exc, self.plan.flow.folder)
                self._counts.error = f"{step.task.name}: {self._errors[step.task.name]}"
                print(f"--- {utc_now()} tick {tick.number}: {self._counts.error}", file=log)
                traceback.print_exception(exc, file=log)
                if step.hooks:  # a loop repeats nothing: the next tick is the next call
                    told = replace(self._told(step), moment="on_error", error=self._errors[step.task.name])
                    step.hooks.tell(told, self.plan.flow.folder)
        self.tables, self.states = tables, states
        self._counts.ticks += 1
        self._counts.failed += failed
        self._busy.add(monotonic() - self.began)
        self.began = None

    def _told(self, step: Step) -> UnitCall:
        head = self.execution.head
        return UnitCall("before", head.flow, head.run_id, step.task.name)

    def _call(self, step: Step, tables: dict[str, pa.Table], states: Mapping[str, State]) -> State:
        task, values = step.task, self.plan.values
        if task.upstream and task.verdict(states) == State.SKIPPED:
            return State.SKIPPED
        read = tables.__getitem__
        if task.condition and not is_met(task.condition, values, read):
            return State.SKIPPED
        inputs = {port: tables[source] for port, source in task.inputs.items() if source in tables}
        remember(self.memories.setdefault(task.name, {}), self._kept.get(task.name))
        hooks = step.hooks
        told = replace(self._told(step), params=step.params, inputs=inputs) if hooks else None
        with noting_uses() as used:
            if hooks and told:
                hooks.call(told)
            given = call(task, step.function, inputs, step.params, values, read, checked_tables)
            if hooks and told:
                hooks.call(replace(told, moment="after", outputs=given))
        self.used[task.name] = used
        for port, table in given.items():
            tables[f"{task.name}.{port}"] = table
        return State.SUCCEEDED


@contextmanager
def _steady() -> Iterator[None]:
    """Keep what is not the loop's from holding it up: other threads, and the search for garbage in what is loaded."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(before)
        begin(None)
        remember(None)


@contextmanager
def first_in_line(wanted: bool) -> Iterator[None]:
    """Let this thread, and those that it starts, go before all that is not urgent on this machine, if `wanted`."""
    if not wanted:
        yield
        return
    before, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    except PermissionError:
        hint = "let root start it, or allow it: prlimit --rtprio=10"
        raise NotAllowed("this user may not ask for real time", hint=hint) from None
    try:
        yield
    finally:
        os.sched_setscheduler(0, before, parameters)
