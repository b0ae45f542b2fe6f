"""The record of every run: what it is, and the events of its tasks, which are only ever added to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from kyrios.state import Event


@dataclass(frozen=True)
class Head:
    """What is known of a run when it begins, and never changes.

    Parameters
    ----------
    params
        Values of the flow's parameters, JSON.
    graph
        The flow's graph in its canonical form.
    environment
        Digest, Python, platform and distributions of where the run began.
    created
        UTC, ISO 8601.
    """

    run_id: str
    trace_id: str
    flow: str
    digest: str
    engine: str
    host: str
    data: str
    folder: str
    created: str
    params: Mapping[str, Any]
    graph: str
    environment: Mapping[str, Any]


class History(Protocol):
    """Every run and what became of it."""

    def begin(self, head: Head) -> Head:
        """Record a new run and return it; where the run exists already, return what was recorded first."""

    def append(self, run_id: str, events: Sequence[Event]) -> None:
        """Add `events`, all or none, durable on return.

        Raises
        ------
        RunNotFound
            If there is no such run.
        IllegalTransition
            If a state does not follow from the one before; nothing is added then.
        """

    def head(self, run_id: str) -> Head:
        """Return one run; raise `RunNotFound` if there is none."""

    def heads(self, limit: int = 100) -> list[Head]:
        """Return the newest runs, newest first."""

    def events(self, run_id: str) -> list[Event]:
        """Return the events of a run in the order in which they were added."""

    def changed(self, after: int = 0, limit: int = 1000) -> tuple[list[str], int]:
        """Return the runs that something has happened to, and the number to ask with next time.

        A reader that follows the record asks again until the number stays as it is; a run may come more than once.

        Parameters
        ----------
        after
            The number of the answer before; 0 begins with the oldest event.
        limit
            So many events are looked at, at most.
        """

    def close(self) -> None:
        """Give the backend back."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
