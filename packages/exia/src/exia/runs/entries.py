"""What a run tells, as records of the log: what changes it as JSON, its metrics packed by the thousand.

::

    J  {"do": "start" | "log" | "finish", "run": ..., ...}
    P  length of the head (4 bytes), head {"run", "first", "names"}, then for each metric in columns:
       index of its name (4 bytes), step (8), value (8), Unix time (8)
"""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from exia.errors import Damaged
from exia.runs.port import Point, RunRecord, RunSink, Status, Values

_HEAD = struct.Struct("<cI")
_WIDTHS = (("I", 4), ("q", 8), ("d", 8), ("d", 8))


class Metric(NamedTuple):
    """One value of a metric as `Run` tells it."""

    run: str
    name: str
    value: float
    step: int
    time: float  #: Unix seconds.


class Encoder:
    """Makes records of what the runs of one process tell; it numbers the metrics of each run from 0."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def __call__(self, items: Sequence[Any]) -> list[bytes]:
        """Return the records of `items`: plain tuples in the order of `Metric`, and mappings."""
        records: list[bytes] = []
        metrics: dict[str, list[tuple[str, str, float, int, float]]] = {}
        for item in items:
            if type(item) is tuple:
                metrics.setdefault(item[0], []).append(item)
                continue
            self._flush(metrics, records)
            if item["do"] == "finish":
                self._next.pop(item["run"], None)
            records.append(b"J" + json.dumps(item, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace"))
        self._flush(metrics, records)
        return records

    def _flush(self, metrics: dict[str, list[tuple[str, str, float, int, float]]], records: list[bytes]) -> None:
        for run_id, points in metrics.items():
            first = self._next.get(run_id, 0)
            records.append(_packed(run_id, first, points))
            self._next[run_id] = first + len(points)
        metrics.clear()


def start(record: RunRecord) -> dict[str, Any]:
    """Return the entry that a run has started."""
    return {"do": "start", "run": record.id, "record": vars(record)}


def log(
    run_id: str, values: Values | None = None, heartbeat: str | None = None, *, only: str | None = None
) -> dict[str, Any]:
    """Return the entry that something of a run is set; `only` names the one port that it is for."""
    said = {"do": "log", "run": run_id, "values": values or {}, "heartbeat": heartbeat}
    return said if only is None else {**said, "only": only}


def finish(run_id: str, status: Status, ended: str, error: str | None, traceback: str | None) -> dict[str, Any]:
    """Return the entry that a run has ended."""
    return {"do": "finish", "run": run_id, "end": [status, ended, error, traceback]}


def entry(data: bytes) -> dict[str, Any]:
    """Return what a record says; its metrics as ``points``. Raises `Damaged` if it says nothing known."""
    try:
        if data[:1] == b"P":
            return _unpacked(data)
        if data[:1] == b"J":
            found: dict[str, Any] = json.loads(data[1:])
            return found
    except (ValueError, KeyError, IndexError, struct.error) as exc:
        raise Damaged(f"a record of the log cannot be understood: {exc}") from exc
    raise Damaged(f"a record of the log begins with {data[:1]!r}", hint="is this log of a newer exia?")


def tell(sink: RunSink, said: dict[str, Any]) -> None:
    """Deliver one entry; to deliver it again changes nothing."""
    if "points" in said:
        sink.log(said["run"], said["points"])
    elif said["do"] == "start":
        sink.start(RunRecord(**said["record"]))
    elif said["do"] == "finish":
        sink.finish(said["run"], *said["end"])
    else:
        sink.log(said["run"], (), said["values"], said["heartbeat"])


def iso(seconds: float) -> str:
    """Return Unix `seconds` as UTC in ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def _packed(run_id: str, first: int, points: Sequence[tuple[str, str, float, int, float]]) -> bytes:
    _, names, values, steps, times = zip(*points, strict=True)
    known = {name: index for index, name in enumerate(dict.fromkeys(names))}
    head = json.dumps({"run": run_id, "first": first, "names": list(known)}, ensure_ascii=False).encode()
    columns = ([known[name] for name in names], steps, values, times)
    packed = [array(code, column) for (code, _), column in zip(_WIDTHS, columns, strict=True)]
    return b"".join((_HEAD.pack(b"P", len(head)), head, *(column.tobytes() for column in packed)))


def _unpacked(data: bytes) -> dict[str, Any]:
    _, length = _HEAD.unpack_from(data)
    at = _HEAD.size + length
    head = json.loads(data[_HEAD.size : at])
    count, rest = divmod(len(data) - at, sum(width for _, width in _WIDTHS))
    if rest:
        raise ValueError(f"{rest} bytes too many")
    columns: list[array[Any]] = []
    for code, width in _WIDTHS:
        column = array(code)
        column.frombytes(data[at : at + width * count])
        columns.append(column)
        at += width * count
    names = head["names"]
    rows = enumerate(zip(*columns, strict=True), head["first"])
    points = [Point(seq, names[index], value, step, iso(when)) for seq, (index, step, value, when) in rows]
    return {"run": head["run"], "points": points}
