"""Events and samples as documents with the field names of the Elastic Common Schema (ECS)."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from exia.redaction import HIDDEN, Redaction, short_path

ECS_VERSION = "8.17.0"
_LONGEST = 8_192  # characters of one text
#: What happened to a pool or to parameters that somebody should look at.
_BAD = {"timeout", "refused", "failed", "leaked", "undone", "rejected", "unavailable"}


class Event(NamedTuple):
    """What the caller leaves behind, as a plain tuple; the document is made of it in another thread."""

    time: int  #: Nanoseconds since 1970, UTC.
    action: str
    duration: int | None = None  #: Nanoseconds.
    outcome: str | None = None
    facts: Mapping[str, Any] = {}
    error: tuple[str, str, str] | None = None  #: Type, message, and where.


class Notice(NamedTuple):
    """What a part of Exia told."""

    time: int
    thread: int
    part: str
    kind: str
    facts: Mapping[str, Any]


class Sample(NamedTuple):
    """The figures of one pool over the last interval."""

    time: int
    figures: Mapping[str, Any]


class Lost(NamedTuple):
    """How many events a full queue has turned away."""

    time: int
    number: int


class Encoder:
    """Makes documents of what the callers left, as JSON."""

    def __init__(self, service: str, redaction: Redaction) -> None:
        self._redaction = redaction
        self._own = {
            "ecs": {"version": ECS_VERSION},
            "service": {"name": service},
            "host": {"name": socket.gethostname()},
        }

    def __call__(self, items: Sequence[Any]) -> Iterable[bytes]:
        """Return one record for each of `items`."""
        return [json.dumps(self.document(item), ensure_ascii=False, allow_nan=False).encode() for item in items]

    def document(self, item: Any) -> dict[str, Any]:
        """Return the document of one item."""
        if isinstance(item, Sample):
            return self._head(item.time, "metric", "exia.pool") | {"exia": {"pool": dict(item.figures)}}
        if isinstance(item, Lost):
            found = self._head(item.time, "event", "exia.monitor", "events-lost", "failure")
            return found | {"exia": {"monitor": {"lost": item.number}}}
        return self._notice(item) if isinstance(item, Notice) else self._event(Event(*item))

    def _head(
        self, time: int, kind: str, dataset: str, action: str | None = None, outcome: str | None = None
    ) -> dict[str, Any]:
        event: dict[str, Any] = {"kind": kind, "dataset": dataset, "module": "exia"}
        if action is not None:
            event["action"] = action
        if outcome is not None:
            event["outcome"] = outcome
        return {"@timestamp": _iso(time), "event": event, **self._own, "process": {"pid": os.getpid()}}

    def _event(self, item: Event) -> dict[str, Any]:
        found = self._head(item.time, "event", "exia.event", self._text(str(item.action)), item.outcome)
        found["log"] = {"level": "error" if item.outcome == "failure" else "info"}
        if item.duration is not None:
            found["event"]["duration"] = int(item.duration)
        if item.error:
            kind, message, where = item.error
            found["error"] = {"type": kind, "message": self._text(message), "stack_trace": where}
        if item.facts:
            facts = dict(item.facts)
            if (message := facts.pop("message", None)) is not None:
                found["message"] = self._text(str(message))
            if (trace_id := facts.pop("trace_id", None)) is not None:
                found["trace"] = {"id": self._text(str(trace_id))}
            if facts:
                found["exia"] = {"data": self._value("", facts)}
        return found

    def _notice(self, item: Notice) -> dict[str, Any]:
        bad = item.kind in _BAD
        found = self._head(
            item.time, "alert" if bad else "event", f"exia.{item.part}", f"{item.part}-{item.kind}",
            "failure" if bad else "success",
        )  # fmt: skip
        found["process"]["thread"] = {"id": item.thread}
        found["log"] = {"level": "warn" if bad else "info"}
        facts = {name: self._value(name, value) for name, value in item.facts.items()}
        if item.part == "pool":
            facts["name"] = facts.pop("pool")
            if (held := facts.pop("held", None)) is not None:
                found["event"]["duration"] = int(held * 1e9)
        if (stack := facts.pop("stack", None)) is not None:
            found["error"] = {"stack_trace": "\n".join(short_path(line) for line in stack)}
        if who := facts.pop("who", None):
            found["user"] = {"name": who}
        if said := facts.pop("why", None) or facts.get("reason"):
            found["message"] = said
        known = {name: value for name, value in facts.items() if value is not None}
        found["exia"] = {item.part: {n: v if isinstance(v, int | float) else str(v) for n, v in known.items()}}
        return found

    def _text(self, text: str) -> str:
        size = len(text)
        text = self._redaction.text(text[:_LONGEST])
        return text if size <= _LONGEST else f"{text}… ({size} characters)"

    def _value(self, name: str, value: Any) -> Any:
        """Return what may be kept of the field `name`; what JSON lacks becomes text, NaN becomes None."""
        if self._redaction.hides(name, value):
            return HIDDEN
        if isinstance(value, str):
            return self._text(value)
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return value if value - value == 0 else None
        if isinstance(value, Mapping):
            return {str(key): self._value(str(key), one) for key, one in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            items = [self._value(name, one) for one in value]
            # A field has one type in Elasticsearch.
            return items if len({isinstance(one, str) for one in items}) < 2 else [str(one) for one in items]
        if hasattr(value, "item") and not getattr(value, "shape", ()):
            return self._value(name, value.item())
        return self._text(str(value))


def _iso(time: int) -> str:
    # Milliseconds are what Elasticsearch's dates keep.
    at = datetime.fromtimestamp(time // 1_000_000 / 1e3, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
