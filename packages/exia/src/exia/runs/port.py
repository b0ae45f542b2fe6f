"""The port ``runs``: where the records of runs are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from exia.errors import BadInput

#: ``lost`` is never stored: it is what a reader finds of a run whose process died; see `exia.runs.life`.
Status = Literal["running", "finished", "failed", "interrupted", "lost"]
STATUSES: tuple[Status, ...] = ("running", "finished", "failed", "interrupted", "lost")
ENDS: tuple[Status, ...] = ("finished", "failed", "interrupted")


class Point(NamedTuple):
    """One value of one metric."""

    seq: int  #: Position in the run's log, from 0; with the run's id it names the point for ever.
    name: str
    value: float
    step: int
    time: str  #: UTC, ISO 8601.


Kind = Literal["params", "tags", "facts", "artifacts", "notes", "output"]
KINDS: tuple[Kind, ...] = ("params", "tags", "facts", "artifacts", "notes", "output")
Values = Mapping[Kind, Mapping[str, Any]]  #: For each kind, keys and JSON values.


@dataclass
class RunRecord:
    """One run as it is kept; times are UTC in ISO 8601."""

    id: str
    name: str
    started: str
    status: Status = "running"
    ended: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)  #: Last value of each metric.
    host: str = ""
    commit: str | None = None
    error: str | None = None
    traceback: str | None = None
    heartbeat: str | None = None  #: When the run last gave a sign of life.
    facts: dict[str, Any] = field(default_factory=dict)  #: What it was made of: code, packages, data sets, process.
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)  #: By name: digest, size in bytes, kind, time.
    notes: dict[str, str] = field(default_factory=dict)  #: What somebody wrote about it, by the time of writing.
    output: dict[str, Any] = field(default_factory=dict)  #: Pieces of what it printed; only `RunStore.get` has them.


class RunSink(Protocol):
    """What runs are delivered to; every verb may be repeated and then changes nothing.

    All verbs raise `BackendUnavailable` if the place does not answer; what returned is durable.
    """

    def start(self, run: RunRecord) -> None:
        """Add `run`; its id is the client's, and adding it again changes nothing."""

    def log(
        self, run_id: str, points: Sequence[Point] = (), values: Values | None = None, heartbeat: str | None = None
    ) -> None:
        """Add metrics, set values and tell a sign of life; to repeat a call that failed completes it.

        A point that is there already stays as it is. Raises `RunNotFound`, and then added nothing.
        """

    def finish(
        self, run_id: str, status: Status, ended: str, error: str | None = None, traceback: str | None = None
    ) -> None:
        """Record how a run ended; the first end counts. Raises `RunNotFound`."""

    def ping(self) -> str:
        """Return what answers, in a few words."""

    def close(self) -> None:
        """Let go of the place; its other verbs must not be called any more."""


class RunStore(RunSink, Protocol):
    """Records of runs, to deliver to and to read."""

    def get(self, run_id: str) -> RunRecord:
        """Return one run; raise `RunNotFound`."""

    def find(
        self, name: str | None = None, status: Status | None = None, limit: int = 100, after: str | None = None
    ) -> list[RunRecord]:
        """Return runs, newest first, without their output; `after` is the id of the run to go on behind."""

    def ids(self, prefix: str, limit: int = 100) -> list[str]:
        """Return the ids that begin with `prefix`, in order."""

    def points(self, run_id: str, metric: str) -> list[Point]:
        """Return a metric's values in the order in which they were logged; none if it has none."""

    def delete(self, run_id: str) -> None:
        """Remove a run and its metrics; raise `RunNotFound`."""


_RUN_NAME = re.compile(r"[^\W_][\w .@:+=~-]{0,199}")
_KEY = re.compile(r"[^\W][\w .@:+=~/-]{0,199}")


def checked_run_name(name: str) -> str:
    """Return `name`; raise `BadInput` if it is empty, too long or could pass for a path."""
    if not isinstance(name, str) or not _RUN_NAME.fullmatch(name) or ".." in name:
        raise BadInput(
            f"a run cannot be called {name!r}",
            hint="begin with a letter or digit; then letters, digits, blanks and . _ - @ : + = ~, at most 200",
        )
    return name


def checked_key(key: str, kind: str) -> str:
    """Return the name of a metric, param or tag; ``/`` may group, as in ``val/ic``."""
    fine = isinstance(key, str) and _KEY.fullmatch(key) and ".." not in key and "//" not in key
    if not fine or key.endswith("/"):
        raise BadInput(
            f"a {kind} cannot be called {key!r}", hint="begin with a letter or digit; / may group, as in val/ic"
        )
    return key


def checked_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return `tags`; raise `BadInput` if one cannot be recorded."""
    for key, value in tags.items():
        checked_key(key, "tag")
        if not isinstance(value, str):
            raise BadInput(f"tag {key} must be a text, not {value!r}")
    return dict(tags)


def checked_note(text: str) -> str:
    """Return a remark; raise `BadInput` if it says nothing."""
    if not isinstance(text, str) or not text.strip():
        raise BadInput(f"{text!r} is no note")
    return text


def checked_kind(kind: str) -> Kind:
    """Return `kind`; raise `BadInput` if a run has no such values."""
    if kind not in KINDS:
        raise BadInput(f"a run has no {kind!r}", hint=f"one of {', '.join(KINDS)}")
    return kind


def checked_end(status: Status) -> Status:
    """Return `status`; raise `BadInput` if no run ends so."""
    if status not in ENDS:
        raise BadInput(f"a run cannot end {status!r}", hint=f"one of {', '.join(ENDS)}")
    return status
