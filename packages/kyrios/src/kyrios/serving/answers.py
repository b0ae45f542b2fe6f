"""Flows and runs as a server tells them, JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kyrios.errors import NotFound
from kyrios.execution import log_path
from kyrios.graph import Graph
from kyrios.references import REFERENCE
from kyrios.run import Run
from kyrios.serving.shelf import Entry

LONGEST_LOG = 256 * 1024  # bytes of a log in one answer


def flow_line(entry: Entry) -> dict[str, Any]:
    """Return one line of the list of flows."""
    line: dict[str, Any] = {"name": entry.name, "usable": entry.flow is not None, "problems": len(entry.problems)}
    if entry.flow is not None:
        graph = entry.flow.graph
        line |= {
            "flow": graph.flow, "version": graph.version, "summary": graph.summary, "owner": graph.owner,
            "tags": list(graph.tags), "units": len(graph.tasks), "digest": graph.digest, "cron": graph.cron,
            "every": graph.every,
        }  # fmt: skip
    return line


def flow_whole(entry: Entry) -> dict[str, Any]:
    """Return all of a flow that a caller needs in order to run it."""
    whole = {**flow_line(entry), "folder": str(entry.folder), "problems": entry.problems}
    if entry.flow is not None:
        graph = entry.flow.graph
        whole |= {
            "params": params_of(graph),
            "tasks": [
                {"name": t.name, "unit": t.unit, "version": t.version, "summary": t.summary, "group": t.group,
                 "upstream": list(t.upstream), "inputs": dict(t.inputs), "outputs": dict(t.outputs)}
                for t in graph.tasks
            ],
        }  # fmt: skip
    return whole


def params_of(graph: Graph) -> dict[str, Any]:
    """Return a JSON Schema of the flow's parameters."""
    kinds: dict[str, str] = {}
    for task in graph.tasks:
        for word, template in task.params.items():
            whole = REFERENCE.fullmatch(template) if isinstance(template, str) else None
            if whole and whole[1].startswith("params."):
                kinds.setdefault(whole[1].removeprefix("params."), task.types[word])
    known: dict[str, dict[str, Any]] = {}
    for name, default in graph.params.items():
        known[name] = {"type": kinds[name]} if name in kinds else {}
        if default is not None:
            known[name]["default"] = default
    return {
        "type": "object",
        "properties": known,
        "required": [name for name, default in graph.params.items() if default is None],
        "additionalProperties": False,
    }


def run_line(run: Run) -> dict[str, Any]:
    """Return one line of the list of runs."""
    return {
        "run": run.run_id, "flow": run.head.flow, "state": run.state.value, "engine": run.head.engine,
        "created": run.head.created, "started": run.started, "ended": run.ended, "seconds": run.seconds,
    }  # fmt: skip


def run_whole(run: Run) -> dict[str, Any]:
    """Return a run with its units."""
    return {
        **run_line(run),
        "digest": run.head.digest, "host": run.head.host, "params": dict(run.head.params), "events": len(run.events),
        "units": [
            {"unit": t.name, "state": t.state.value, "started": t.started, "ended": t.ended, "seconds": t.seconds,
             "attempts": t.attempts, "error": t.error, "reason": t.reason,
             "outputs": [{key: o[key] for key in ("name", "digest", "rows")} for o in t.outputs]}
            for t in run.tasks
        ],
    }  # fmt: skip


def log_part(run: Run, unit: str, offset: int) -> dict[str, Any]:
    """Return what the log of a unit holds from byte `offset` on, 256 KiB at most; below 0 it counts from the end.

    Raises
    ------
    NotFound
        If the run has no such unit.
    """
    path = log_path(run.run_id, "loop" if run.head.engine == "loop" else run.task(unit).name)
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size + offset) if offset < 0 else min(offset, size))
            data = file.read(LONGEST_LOG)
            # A character that is not whole yet is left for the next part.
            text = data.decode("utf-8", "replace") if not _cut(data) else data[: -_cut(data)].decode("utf-8", "replace")
            return {"unit": unit, "text": text, "offset": file.tell() - _cut(data), "size": size}
    except FileNotFoundError:
        return {"unit": unit, "text": "", "offset": 0, "size": 0}


def _cut(data: bytes) -> int:
    """Return how many bytes at the end of `data` begin a character that is not whole."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            wanted = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back if back < wanted else 0
    return 0


def table_part(run: Run, output: str, limit: int) -> dict[str, Any]:
    """Return the first `limit` rows of the table that ``unit.port`` has given; what JSON lacks becomes text."""
    if output.count(".") != 1:
        raise NotFound(f"there is no table {output!r}", hint="name it as unit.port")
    table = run.table(output)
    rows = [{name: _plain(value) for name, value in row.items()} for row in table.slice(0, limit).to_pylist()]
    return {"table": output, "rows": table.num_rows, "columns": {f.name: str(f.type) for f in table.schema},
            "first": rows}  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None  # nor NaN: JSON has neither
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list) else str(value)
