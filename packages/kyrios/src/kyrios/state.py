"""The states of runs and tasks, and which may follow which; every engine keeps this one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from kyrios.errors import IllegalTransition


class State(StrEnum):
    """Where a run or one of its tasks stands."""

    DECLARED = "declared"
    QUEUED = "queued"
    RUNNING = "running"
    UP_FOR_RETRY = "up_for_retry"
    SUCCEEDED = "succeeded"
    CACHED = "cached"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


#: What may follow each state. A finished task goes back to the queue when its run is resumed.
TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.DECLARED: frozenset({State.QUEUED, State.CACHED, State.SKIPPED, State.CANCELLED}),
    State.QUEUED: frozenset({State.RUNNING, State.SKIPPED, State.CANCELLED}),
    State.RUNNING: frozenset({
        State.SUCCEEDED, State.CACHED, State.FAILED, State.SKIPPED, State.UP_FOR_RETRY, State.CANCELLED,
    }),
    State.UP_FOR_RETRY: frozenset({State.RUNNING, State.FAILED, State.CANCELLED}),
    State.SUCCEEDED: frozenset({State.QUEUED}),
    State.CACHED: frozenset({State.QUEUED}),
    State.FAILED: frozenset({State.QUEUED}),
    State.SKIPPED: frozenset({State.QUEUED}),
    State.CANCELLED: frozenset({State.QUEUED}),
}  # fmt: skip

FINISHED = frozenset({State.SUCCEEDED, State.CACHED, State.FAILED, State.SKIPPED, State.CANCELLED})

#: States of a task that has given its outputs: by running, or from an earlier run.
SUCCESSFUL = frozenset({State.SUCCEEDED, State.CACHED})


@dataclass(frozen=True)
class Event:
    """One step of a task, or of the run itself where `task` is empty; never changed once recorded.

    Parameters
    ----------
    at
        UTC, ISO 8601 with microseconds.
    detail
        What is known about the step, JSON: outputs, packages and data sets used, the error.
    """

    task: str
    state: State
    at: str
    detail: Mapping[str, Any] = field(default_factory=dict)


def end_of(detail: Mapping[str, Any]) -> State:
    """Return the state in which a task ends whose execution has given `detail`: not all that end well have run."""
    return State(detail.get("state", State.SUCCEEDED))


def check_transition(subject: str, before: State, after: State) -> None:
    """Raise `IllegalTransition` unless `after` may follow `before`."""
    if after not in TRANSITIONS[before]:
        legal = ", ".join(sorted(TRANSITIONS[before]))
        raise IllegalTransition(f"{subject} is {before}, and {after} cannot follow (only {legal})")


def utc_now() -> str:
    """Return the time in UTC as ISO 8601 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def utc_at(when: float) -> str:
    """Return `when`, in seconds since 1970, as ISO 8601 in UTC with microseconds."""
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="microseconds")
