"""One run in progress: units are called here, whatever engine asks for it."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property, lru_cache
from pathlib import Path
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, cast

from kyrios import cache as earlier
from kyrios.calling import call, is_met, prepared
from kyrios.code import blame
from kyrios.data import Data, open_data
from kyrios.engine.course import Course, in_turn
from kyrios.engine.port import Flag, Step
from kyrios.errors import BadInput, Conflict, KyriosError, NotFound, UnitFailed
from kyrios.extension import Hooks, UnitCall
from kyrios.graph import Graph, Task
from kyrios.history import Head, History
from kyrios.lineage import lineage_of
from kyrios.references import fill
from kyrios.run import Run
from kyrios.settings import home
from kyrios.state import FINISHED, SUCCESSFUL, Event, State, utc_at, utc_now
from kyrios.unitlog import capturing, unit_log
from kyrios.uses import noting_uses

if TYPE_CHECKING:
    import pyarrow as pa

OnEvent = Callable[[Event], None]


@dataclass
class Execution:
    """What running units of one run takes."""

    graph: Graph
    folder: Path
    head: Head
    data: Data
    history: History
    on_event: OnEvent | None = None

    def record(self, steps: Sequence[Step]) -> None:
        """Record `steps` of tasks now."""
        events = [Event(name, state, utc_at(when), detail) for name, state, detail, when in steps]
        self.history.append(self.head.run_id, events)
        if self.on_event:
            for event in events:
                self.on_event(event)

    def so_far(self) -> Run:
        """Return the run as it is recorded now."""
        return Run(self.head, self.history.events(self.head.run_id), self.data)

    def move_run(self, states: Iterable[State], **detail: Any) -> None:
        """Record that the run itself passes through `states`."""
        self.record([("", state, detail, time()) for state in states])

    def cancel_the_rest(self, reason: str) -> None:
        """Record as cancelled what is queued or running, and the run itself."""
        run = self.so_far()
        left = [t.name for t in run.tasks if t.state not in (State.DECLARED, *FINISHED)]
        self.record([(name, State.CANCELLED, {"reason": reason}, time()) for name in left])
        if run.state not in (State.DECLARED, *FINISHED):
            self.move_run([State.CANCELLED], reason=reason)

    def kept(self) -> list[str]:
        """Return the tasks that have succeeded and whose outputs are still what they were."""
        return [t.name for t in self.so_far().tasks if t.state in SUCCESSFUL and all(map(self._is_whole, t.outputs))]

    def _is_whole(self, output: Mapping[str, Any]) -> bool:
        try:
            data = self.data.get(f"{self.head.run_id}/{output['path']}")
        except NotFound:
            return False
        return bool(f"sha256:{hashlib.sha256(data).hexdigest()}" == output["digest"])

    def log_path(self, task: str) -> Path:
        """Return where the log of `task` lies."""
        return self._logs / f"{task}.log"

    @cached_property
    def _logs(self) -> Path:
        return log_path(self.head.run_id, "run").parent

    def execute(self, task: Task, abandoned: Flag, number: int = 1) -> Mapping[str, Any]:
        """Call one unit with its inputs and keep its outputs; return what to record.

        Parameters
        ----------
        abandoned
            Set when nobody waits for the result any more.
        number
            Which try this is, from 1.

        Raises
        ------
        UnitFailed
            If the unit raises or returns what it should not; the traceback is in its log.
        """
        log = self.log_path(task.name)
        began = perf_counter()
        told = UnitCall("before", self.head.flow, self.head.run_id, task.name, number)
        with unit_log(log) as out, noting_uses() as used:
            print(f"--- {utc_now()} {task.name} ({task.unit} {task.version}, {task.call})", file=out)
            try:
                if task.condition and not is_met(task.condition, self.head.params, self.read):
                    print(f"--- {utc_now()} {task.name} skipped: its condition does not hold", file=out)
                    return {"state": State.SKIPPED, "reason": "its condition does not hold"}
                function, code = prepared(task, self.folder)
                params = {word: fill(value, self.head.params) for word, value in task.params.items()}
                key, kept = self._cached(task, code, params)
                if kept is not None:
                    print(f"--- {utc_now()} {task.name} taken from the cache", file=out)
                    return kept
                inputs = {port: self.read(source) for port, source in self._sources(task).items()}
                hooks = Hooks.of(task, self.folder) if task.extension else None
                if hooks:
                    told = replace(told, params=params, inputs=inputs)
                    hooks.call(told)
                tables = call(task, function, inputs, params, self.head.params, self.read, checked_tables)
                if hooks and not abandoned.is_set():
                    hooks.call(replace(told, moment="after", outputs=tables))
            except (Exception, SystemExit) as exc:
                traceback.print_exception(exc, file=out)
                reason = blame(exc, self.folder)
                if not abandoned.is_set():
                    self._tell(task, replace(told, error=reason))
                raise UnitFailed(task.name, reason, run_id=self.head.run_id, log=str(log)) from exc
            outputs = []
            if not abandoned.is_set():
                outputs = [self.write(task.name, port, table) for port, table in sorted(tables.items())]
            seconds = round(perf_counter() - began, 6)
            print(f"--- {utc_now()} {task.name} succeeded in {seconds:.3f} s", file=out)
        known = {"code": code, "outputs": outputs, "packages": used.packages, "datasets": used.datasets}
        if key and not abandoned.is_set():
            written = {o["digest"]: bytes(self.data.get(f"{self.head.run_id}/{o['path']}")) for o in outputs}
            earlier.keep(self.data, key, known, written)
        return {"seconds": seconds, **known}

    def failed(self, task: Task, number: int, error: str) -> None:
        """Tell the hooks of `task` that its try `number` has failed, where `execute` could not."""
        if task.extension:
            with unit_log(self.log_path(task.name)):
                self._tell(task, UnitCall("", self.head.flow, self.head.run_id, task.name, number, error=error))

    def _tell(self, task: Task, told: UnitCall) -> None:
        if not task.extension:
            return
        moment = "on_retry" if told.attempt <= task.retries else "on_error"
        try:
            hooks = Hooks.of(task, self.folder)
        except Exception as exc:
            print(f"{moment} of {task.name} cannot be called: {blame(exc, self.folder)}", file=sys.stderr)
            return
        if hooks:
            hooks.tell(replace(told, moment=moment), self.folder)

    def _sources(self, task: Task) -> Mapping[str, str]:
        """Return the inputs of `task`; one that runs whatever came before it takes those that are there."""
        if task.when == "all_succeeded":
            return task.inputs
        return {p: s for p, s in task.inputs.items() if self.data.has(f"{self.head.run_id}/outputs/{s}.arrow")}

    def _cached(self, task: Task, code: str, params: Mapping[str, Any]) -> tuple[str, dict[str, Any] | None]:
        """Return the key of the task's outputs in the cache, and what to record if they are there."""
        if not task.cache:
            return "", None
        inputs = {
            port: earlier.digest(self.data.get(f"{self.head.run_id}/outputs/{source}.arrow"))
            for port, source in self._sources(task).items()
        }
        key = earlier.cache_key(task, code, params, inputs, dict(self.head.params) if task.options else None)
        found = earlier.find(self.data, key)
        if found is None:
            return key, None
        record, tables = found
        for output in record["outputs"]:
            output["path"] = f"outputs/{task.name}.{output['name']}.arrow"
            self.data.put(f"{self.head.run_id}/{output['path']}", tables[output["digest"]])
        return key, {**record, "state": State.CACHED, "seconds": 0.0}

    def order(self, tasks: Sequence[Task], ended: Mapping[str, State] | None = None, number: int = 1) -> str:
        """Return the text with which another process does by `perform` what `execute` does here.

        Parameters
        ----------
        ended
            How those have ended that come before `tasks`, where these run as one; None where it is one task alone.
        number
            Which try of the one task this is, from 1.

        Raises
        ------
        BadInput
            If the tables lie where only this process sees them.
        """
        if self.data.url.startswith("memory:"):
            raise BadInput(
                f"{self.head.engine} runs units in other processes, which do not see {self.data.url}",
                hint="kyrios config show --origin; set data to a folder that all of them see",
            )
        return json.dumps({
            "run_id": self.head.run_id,
            "flow": self.head.flow,
            "folder": str(self.folder),
            "data": self.data.url,
            "params": dict(self.head.params),
            "tasks": [_fields_of(task) for task in tasks],
            "ended": ended,
            "number": number,
        })  # fmt: skip

    def read(self, source: str) -> pa.Table:
        """Return the table that ``task.port`` has given."""
        from kyrios.tables import from_bytes

        return from_bytes(self.data.get(f"{self.head.run_id}/outputs/{source}.arrow"))

    def write(self, task: str, port: str, table: pa.Table) -> dict[str, Any]:
        """Keep the table that ``task.port`` has given; return what to record of it."""
        from kyrios.tables import to_bytes

        data = to_bytes(table)
        path = f"outputs/{task}.{port}.arrow"
        self.data.put(f"{self.head.run_id}/{path}", data)
        return {
            "name": port,
            "digest": f"sha256:{hashlib.sha256(data).hexdigest()}",
            "rows": table.num_rows,
            "path": path,
        }

    def write_lineage(self) -> None:
        """Write the lineage record of the run as it is now."""
        record = lineage_of(self.so_far(), self.graph)
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        self.data.put(f"{self.head.run_id}/lineage.json", text.encode())


def perform(order: str) -> str:
    """Execute what `Execution.order` has written, in whatever process this is; return the outcome as JSON.

    The outcome holds either ``detail``, to be recorded, or ``steps`` of a group, or ``error`` and ``log``; nothing is
    raised.
    """
    try:
        wanted = json.loads(order)
        tasks = tuple(Task(**{**fields, "after": tuple(fields["after"])}) for fields in wanted["tasks"])
        params = json.dumps(wanted["params"])
        execution = _execution(wanted["run_id"], wanted["flow"], wanted["folder"], wanted["data"], params)
        with capturing():
            if wanted["ended"] is None:
                return json.dumps({"detail": in_time(execution, tasks[0], wanted["number"])})
            ended = {name: State(state) for name, state in wanted["ended"].items()}
            course = Course(Graph(wanted["flow"], "0", tasks), ended=ended, deadlines=False)
            for _ in in_turn(course, lambda attempt: in_time(execution, attempt.task, attempt.number)):
                pass
            return json.dumps({"steps": course.taken()})
    except UnitFailed as exc:
        return json.dumps({"error": exc.reason, "log": exc.log})
    except BaseException as exc:
        # What goes wrong around the unit is the unit's failure here: a worker serves many runs and must go on.
        return json.dumps({"error": f"{type(exc).__name__}: {exc}", "log": ""})


def _fields_of(task: Task) -> dict[str, Any]:
    return {field.name: getattr(task, field.name) for field in fields(task)}


#: A worker only executes; the process that drives the run records.
_NO_HISTORY = cast(History, None)


@lru_cache(maxsize=16)
def _execution(run_id: str, flow: str, folder: str, data: str, params: str) -> Execution:
    # To find the home takes longer than to call a small unit, and a worker gets many orders of one run.
    head = Head(run_id, "", flow, "", "", "", data, folder, "", json.loads(params), "", {})
    return Execution(Graph(flow, "0", ()), Path(folder), head, _data_at(data), _NO_HISTORY)


@cache
def _data_at(url: str) -> Data:
    # The address came without its password; the worker's own setting knows it.
    return open_data(None if "***" in url else url)


def in_time(execution: Execution, task: Task, number: int = 1) -> Mapping[str, Any]:
    """Execute try `number` of `task` within its time: counted from here, for a broker may have kept it waiting."""
    abandoned = threading.Event()
    if task.timeout is None:
        return execution.execute(task, abandoned, number)
    found: list[Mapping[str, Any] | BaseException] = []

    def work() -> None:
        try:
            found.append(execution.execute(task, abandoned, number))
        except BaseException as exc:
            found.append(exc)

    thread = threading.Thread(target=work, daemon=True, name="kyrios-worker")
    thread.start()
    thread.join(task.timeout)
    if not found:
        abandoned.set()  # the thread cannot be stopped, but what it returns late is dropped
        reason = f"no result within {task.timeout:g} s"
        execution.failed(task, number, reason)
        raise UnitFailed(task.name, reason, log=str(execution.log_path(task.name)))
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def checked_tables(task: Task, result: Any) -> dict[str, pa.Table]:
    """Hold what a unit returned to its interface."""
    import pyarrow as pa

    wanted = list(task.outputs)
    if isinstance(result, pa.Table) and len(wanted) == 1:
        result = {wanted[0]: result}
    if result is None and not wanted:
        return {}
    if not isinstance(result, Mapping):
        promise = ", ".join(wanted) or "nothing"
        raise KyriosError(f"it must return a dict of tables ({promise}), not {type(result).__name__}")
    missing, extra = sorted(set(wanted) - set(result)), sorted(set(result) - set(wanted))
    if missing or extra:
        parts = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has {', '.join(map(str, extra))} too"] * bool(
            extra
        )
        raise KyriosError(f"what it returned {' and '.join(parts)}")
    for port, table in result.items():
        if not isinstance(table, pa.Table):
            raise KyriosError(f"output {port!r} must be a pyarrow Table, not {type(table).__name__}")
        _check_columns(port, table, task.outputs[port])
    return dict(result)


def _check_columns(port: str, table: pa.Table, columns: Mapping[str, str] | None) -> None:
    from kyrios.tables import arrow_type

    for column, kind in (columns or {}).items():
        if column not in table.column_names:
            raise KyriosError(f"output {port!r} lacks the column {column!r}")
        found = table.schema.field(column).type
        if found != arrow_type(kind):
            raise KyriosError(f"column {column!r} of output {port!r} must be {kind}, not {found}")


def log_path(run_id: str, task: str) -> Path:
    """Return where the log of a unit lies."""
    return home() / "logs" / run_id / f"{task}.log"


@contextmanager
def sole_owner(run_id: str, task: str = "") -> Iterator[None]:
    """Hold a run, or one of its tasks, for this process; a process that dies lets go.

    Raises
    ------
    Conflict
        If another process holds it.
    """
    import fcntl

    path = home() / "logs" / run_id / f".{task or 'run'}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            subject = f"unit {task} of run {run_id}" if task else f"run {run_id}"
            raise Conflict(f"{subject} is running in another process", hint=f"kyrios runs show {run_id}") from None
        yield
