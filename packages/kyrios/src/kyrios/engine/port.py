"""Engines: each turns a graph into files; a runner also runs it from here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from kyrios.graph import Graph, Task
from kyrios.state import State

#: One step of a task: its name, its new state, what is known about it, and when (seconds since 1970).
Step = tuple[str, State, Mapping[str, Any], float]


@dataclass(frozen=True)
class Target:
    """What rendered files need to know of the place where they will run.

    Parameters
    ----------
    folder
        The flow's folder as its workers see it.
    command
        The command that calls Kyrios there.
    environment
        Variables for every task, such as ``KYRIOS_DATA``.
    params
        Values in the place of the flow's defaults.
    """

    folder: str
    command: str = "kyrios"
    environment: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)


class Flag(Protocol):
    """Something that is set once; a `threading.Event` is one."""

    def is_set(self) -> bool:
        """Tell whether it is set."""


@dataclass(frozen=True)
class Job:
    """One run as a runner sees it.

    Parameters
    ----------
    done
        Tasks that have succeeded before, in a run that is resumed.
    execute
        Runs one try of a task, counted from 1, and returns what to record; it drops its result where the event is set.
    record
        Records steps, all or none, durable on return.
    order
        Turns tasks into the text with which another process executes them by `perform`: one try of one alone, or, told
        how those before them have ended, a group that runs as one.
    late
        Says that a try of a task had no time left, of which its function knows nothing.
    """

    graph: Graph
    done: Collection[str]
    execute: Callable[[Task, Flag, int], Mapping[str, Any]]
    record: Callable[[Sequence[Step]], None]
    order: Callable[[Sequence[Task], Mapping[str, State] | None, int], str]
    late: Callable[[Task, int, str], None] = lambda task, number, error: None


class Engine(Protocol):
    """Turns a graph into the files that run it."""

    name: str

    def render(self, graph: Graph, target: Target) -> Mapping[str, str]:
        """Return each file's name and text; the same graph and target give the same bytes."""


@runtime_checkable
class Runner(Engine, Protocol):
    """An engine that runs a graph from here."""

    def run(self, job: Job) -> None:
        """Run the tasks of `job` in the order of their edges and record every step, in groups.

        A task may start before the steps of those before it are recorded; what is recorded is durable, and what
        was not runs again when the run is resumed. Tasks after one that failed are skipped, all others go on. On
        `KeyboardInterrupt` what is queued or running is recorded as cancelled, and the interrupt is raised again.
        """
