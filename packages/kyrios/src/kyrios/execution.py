"""One run in progress: units are called here, whatever engine asks for it."""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Flag
from time import perf_counter
from typing import TYPE_CHECKING, Any

from kyrios.code import blame, load_function
from kyrios.data import Data
from kyrios.engine.port import Step
from kyrios.errors import Conflict, KyriosError, NotFound, UnitFailed
from kyrios.graph import Graph, Task
from kyrios.history import Head, History
from kyrios.lineage import lineage_of
from kyrios.references import fill
from kyrios.run import Run
from kyrios.settings import home
from kyrios.state import FINISHED, Event, State, utc_now
from kyrios.unitlog import unit_log
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
        events = [Event(name, state, utc_now(), detail) for name, state, detail in steps]
        self.history.append(self.head.run_id, events)
        if self.on_event:
            for event in events:
                self.on_event(event)

    def so_far(self) -> Run:
        """Return the run as it is recorded now."""
        return Run(self.head, self.history.events(self.head.run_id), self.data)

    def move_run(self, states: Iterable[State], **detail: Any) -> None:
        """Record that the run itself passes through `states`."""
        self.record([("", state, detail) for state in states])

    def cancel_the_rest(self, reason: str) -> None:
        """Record as cancelled what is queued or running, and the run itself."""
        run = self.so_far()
        left = [t.name for t in run.tasks if t.state not in (State.DECLARED, *FINISHED)]
        self.record([(name, State.CANCELLED, {"reason": reason}) for name in left])
        if run.state not in (State.DECLARED, *FINISHED):
            self.move_run([State.CANCELLED], reason=reason)

    def kept(self) -> list[str]:
        """Return the tasks that have succeeded and whose outputs are still what they were."""
        return [
            t.name for t in self.so_far().tasks if t.state == State.SUCCEEDED and all(map(self._is_whole, t.outputs))
        ]

    def _is_whole(self, output: Mapping[str, Any]) -> bool:
        try:
            data = self.data.get(f"{self.head.run_id}/{output['path']}")
        except NotFound:
            return False
        return bool(f"sha256:{hashlib.sha256(data).hexdigest()}" == output["digest"])

    def log_path(self, task: str) -> Path:
        """Return where the log of `task` lies."""
        return log_path(self.head.run_id, task)

    def execute(self, task: Task, abandoned: Flag) -> Mapping[str, Any]:
        """Call one unit with its inputs and keep its outputs; return what to record.

        Raises
        ------
        UnitFailed
            If the unit raises or returns what it should not; the traceback is in its log.
        """
        log = self.log_path(task.name)
        began = perf_counter()
        with unit_log(log) as out, noting_uses() as used:
            print(f"--- {utc_now()} {task.name} ({task.unit} {task.version}, {task.call})", file=out)
            try:
                function, code = load_function(self.folder, task.call)
                params = {word: fill(value, self.head.params) for word, value in task.params.items()}
                inputs = {port: self.read(source) for port, source in task.inputs.items()}
                result = function(**inputs, **params)
                tables = _checked(task, result)
            except (Exception, SystemExit) as exc:
                traceback.print_exception(exc, file=out)
                reason = blame(exc, self.folder)
                raise UnitFailed(task.name, reason, run_id=self.head.run_id, log=str(log)) from exc
            outputs = []
            if not abandoned.is_set():
                outputs = [self._write(task.name, port, table) for port, table in sorted(tables.items())]
            seconds = round(perf_counter() - began, 6)
            print(f"--- {utc_now()} {task.name} succeeded in {seconds:.3f} s", file=out)
        return {
            "seconds": seconds,
            "code": code,
            "outputs": outputs,
            "packages": used.packages,
            "datasets": used.datasets,
        }

    def read(self, source: str) -> pa.Table:
        """Return the table that ``task.port`` has given."""
        from kyrios.tables import from_bytes

        return from_bytes(self.data.get(f"{self.head.run_id}/outputs/{source}.arrow"))

    def _write(self, task: str, port: str, table: pa.Table) -> dict[str, Any]:
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


def _checked(task: Task, result: Any) -> dict[str, pa.Table]:
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
