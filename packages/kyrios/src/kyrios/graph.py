"""The typed, canonical, digested graph between a flow's files and every engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from heapq import heappop, heappush
from typing import Any

from kyrios.state import FINISHED, SUCCESSFUL, State

#: Which ends of the tasks before it let a task run; the first is what holds where nothing is said.
WHEN = ("all_succeeded", "all_done", "any_succeeded", "any_failed")


@dataclass(frozen=True)
class Task:
    """One unit in its place in a flow.

    Parameters
    ----------
    name
        Its name in the flow.
    unit, version
        Which unit it is.
    call
        ``module:function``; the module is searched beside the flow first.
    params
        Parameters by name; texts may hold ``${params.<name>}`` of the flow.
    types
        The type of each parameter, in JSON Schema's words.
    inputs
        Input port to ``task.port``.
    outputs
        Output port to its columns (name to Arrow type), or None where any will do.
    after
        Tasks that come first without giving data.
    retries, retry_delay, timeout
        How often it is tried again, and seconds.
    backoff, longest_delay
        What each delay is multiplied by for the next one, and its limit in seconds.
    options
        What a unit that is no Python function runs, and what a loop or a map repeats.
    folder
        Where its code is, below the flow's folder; ``registry:name/version`` for a built unit.
    group
        Name of the group that it is drawn in.
    when
        Which ends of the tasks before it let it run, see `WHEN`.
    condition
        ``test``, ``params`` and ``cells`` of an expression without which it is skipped, see `kyrios.conditions`.
    cache
        Whether its outputs are taken from an earlier run with the same inputs, code and parameters.
    may_fail
        Whether the run succeeds although it fails.
    extension
        What is called around it, each by its folder and ``module:function``, and what engines are told of it, see
        `kyrios.extension`.
    deprecated
        What to use instead of its unit.
    """

    name: str
    unit: str
    version: str
    call: str
    summary: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, Mapping[str, str] | None] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    retries: int = 0
    retry_delay: float = 1.0
    timeout: float | None = None
    backoff: float = 1.0
    longest_delay: float = 3600.0
    options: Mapping[str, Any] = field(default_factory=dict)
    folder: str = ""
    group: str = ""
    when: str = "all_succeeded"
    condition: Mapping[str, Any] = field(default_factory=dict)
    cache: bool = False
    may_fail: bool = False
    extension: Mapping[str, Any] = field(default_factory=dict)
    deprecated: str = ""

    @cached_property
    def upstream(self) -> tuple[str, ...]:
        """Names of the tasks that come first, sorted."""
        before = {source.partition(".")[0] for source in self.inputs.values()}
        return tuple(sorted((before | set(self.after)) - {"inputs"}))

    def delay(self, attempt: int) -> float:
        """Return the seconds to wait after the failure of `attempt`, counted from 1."""
        return float(min(self.retry_delay * self.backoff ** (attempt - 1), self.longest_delay))

    def verdict(self, states: Mapping[str, State]) -> State | None:
        """Say what follows for this task from the states of those before it.

        Returns
        -------
        State or None
            ``queued`` if it may run, ``skipped`` if it never will, None if that is not known yet.
        """
        ends = [states[name] for name in self.upstream if states.get(name) in FINISHED]
        good = sum(end in SUCCESSFUL for end in ends)
        if self.when == "all_succeeded" and good < len(ends):
            return State.SKIPPED
        if len(ends) < len(self.upstream):
            return None
        if self.when == "any_failed":
            # A failure before its own data is not the failure that it stands in for.
            given = {source.partition(".")[0] for source in self.inputs.values()}
            failed = any(states.get(name) == State.FAILED for name in set(self.after) - given)
            whole = all(states[name] in SUCCESSFUL for name in given - {"inputs"})
            return State.QUEUED if failed and whole else State.SKIPPED
        runs = {
            "all_succeeded": True,
            "all_done": True,
            "any_succeeded": good > 0,
        }[self.when]
        return State.QUEUED if runs else State.SKIPPED


@dataclass(frozen=True)
class Graph:
    """A flow as its engines see it; tasks are in the order in which one worker runs them.

    Parameters
    ----------
    every
        Seconds between two ticks of a flow that runs as a service loop.
    overrun
        What becomes of ticks that it misses: ``skip``, ``queue`` or ``merge``.
    watchdog
        Seconds that a tick may take before the loop counts as hung.
    inputs, results
        The tables that it takes and gives as a unit of another flow: columns by name, and ``task.port`` by name.
    fused
        The tasks that run in one process where starting one takes long: the names of each group's tasks by its own.
    tolerance
        By how much, relative to its value, a number of ``task.port`` may differ when the run is repeated.
    templates
        By engine, the file and the text of the flow's own template.
    """

    flow: str
    version: str
    tasks: tuple[Task, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    cron: str | None = None
    tz: str = "UTC"
    every: float | None = None
    overrun: str = "skip"
    watchdog: float | None = None
    inputs: Mapping[str, Mapping[str, str] | None] = field(default_factory=dict)
    results: Mapping[str, str] = field(default_factory=dict)
    fused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tolerance: Mapping[str, float] = field(default_factory=dict)
    templates: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @cached_property
    def canonical(self) -> str:
        """The graph as JSON: sorted keys, no spaces, the same text on every machine."""
        return json.dumps(_as_dict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)

    @cached_property
    def digest(self) -> str:
        """``sha256:`` and the digest of `canonical`."""
        return f"sha256:{hashlib.sha256(self.canonical.encode()).hexdigest()}"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the tasks, in their order."""
        return tuple(task.name for task in self.tasks)

    def task(self, name: str) -> Task:
        """Return one task; raise `KeyError` if there is none."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Task]:
        return {task.name: task for task in self.tasks}

    @cached_property
    def downstream(self) -> Mapping[str, tuple[str, ...]]:
        """Each task's direct successors, sorted."""
        after: dict[str, list[str]] = {name: [] for name in self.names}
        for task in self.tasks:
            for name in task.upstream:
                if name in after:  # a part of a graph knows nothing of what lies before it
                    after[name].append(task.name)
        return {name: tuple(sorted(found)) for name, found in after.items()}

    @property
    def edges(self) -> list[tuple[str, str]]:
        """All edges ``(from, to)``, sorted."""
        return sorted((before, task.name) for task in self.tasks for before in task.upstream)


class ReadySet:
    """The tasks that may run now; the same order every time (ties by name).

    A task is given back once by `pop`. Whoever runs it says how it ended: `finish`, `skip` or `drop`; each returns
    the tasks that will never run because of that, sorted, which are then settled too.
    """

    def __init__(self, graph: Graph, finished: Iterable[str] = (), ended: Mapping[str, State] | None = None) -> None:
        """Begin with the tasks in `finished` as succeeded, and those in `ended` as they ended."""
        self._graph = graph
        self._states: dict[str, State] = {**dict.fromkeys(finished, State.SUCCEEDED), **(ended or {})}
        self._waiting = {
            t.name: sum(u not in self._states for u in t.upstream) for t in graph.tasks if t.name not in self._states
        }
        self._ready: list[str] = []
        #: Tasks that will never run because of how those in `ended` ended.
        self.lost: list[str] = []
        for task in graph.tasks:
            if task.name not in self._states and not (self.lost and task.name in self._ready):
                for out in self._judge(task):
                    self.lost += [out, *self._settle(out, State.SKIPPED)]

    def __bool__(self) -> bool:
        return bool(self._ready)

    @property
    def states(self) -> Mapping[str, State]:
        """How those tasks have ended that are settled."""
        return self._states

    def pop(self) -> str:
        """Take the first ready task."""
        return heappop(self._ready)

    def finish(self, name: str) -> list[str]:
        """Say that `name` has succeeded, which may make others ready."""
        self._states[name] = State.SUCCEEDED
        lost: list[str] = []
        for follower in self._graph.downstream[name]:
            if follower in self._states:
                continue
            self._waiting[follower] -= 1
            if self._waiting[follower]:
                continue
            task = self._graph.task(follower)
            # One that needs all to succeed would be settled already if one had not.
            if task.when == "all_succeeded":
                heappush(self._ready, follower)
            else:
                for out in self._judge(task):
                    lost += [out, *self._settle(out, State.SKIPPED)]
        return sorted(lost)

    def skip(self, name: str) -> list[str]:
        """Say that `name` was skipped."""
        return self._settle(name, State.SKIPPED)

    def drop(self, name: str) -> list[str]:
        """Say that `name` has failed for good."""
        return self._settle(name, State.FAILED)

    def settle(self, ends: Mapping[str, State]) -> list[str]:
        """Say how tasks have ended that ran as one: none of them is given back by `pop` any more."""
        self._states.update(ends)
        lost: list[str] = []
        for name, end in ends.items():
            lost += self.finish(name) if end in SUCCESSFUL else self._settle(name, end)
        return sorted(lost)

    def _settle(self, name: str, end: State) -> list[str]:
        lost: list[str] = []
        todo = [(name, end)]
        while todo:
            name, end = todo.pop()
            self._states[name] = end
            for follower in self._graph.downstream[name]:
                if follower in self._states:
                    continue
                self._waiting[follower] -= 1
                if self._waiting[follower] == 0 or end not in SUCCESSFUL:
                    for out in self._judge(self._graph.task(follower)):
                        lost.append(out)
                        todo.append((out, State.SKIPPED))
        return sorted(lost)

    def _judge(self, task: Task) -> list[str]:
        plain = task.when == "all_succeeded" and self._waiting[task.name] == 0
        if plain and all(self._states[name] in SUCCESSFUL for name in task.upstream):
            heappush(self._ready, task.name)
            return []
        verdict = task.verdict(self._states)
        if verdict == State.QUEUED:
            heappush(self._ready, task.name)
        elif verdict == State.SKIPPED:
            self._states[task.name] = State.SKIPPED
            return [task.name]
        return []


def ordered(tasks: Iterable[Task]) -> tuple[Task, ...]:
    """Return `tasks` in the order in which one worker runs them; the tasks must hold no cycle."""
    by_name = {task.name: task for task in tasks}
    waiting = {name: len(task.upstream) for name, task in by_name.items()}
    followers: dict[str, list[str]] = {name: [] for name in by_name}
    for name, task in by_name.items():
        for before in task.upstream:
            followers[before].append(name)
    ready = sorted(name for name, count in waiting.items() if count == 0)
    found = []
    while ready:
        name = heappop(ready)
        found.append(by_name[name])
        for follower in followers[name]:
            waiting[follower] -= 1
            if waiting[follower] == 0:
                heappush(ready, follower)
    return tuple(found)


def find_cycle(upstream: Mapping[str, Iterable[str]]) -> list[str] | None:
    """Return one cycle as ``[a, b, a]``, or None; always the same one."""
    settled: set[str] = set()
    for start in sorted(upstream):
        trail: list[str] = []
        stack = [(start, iter(sorted(upstream[start])))] if start not in settled else []
        if stack:
            trail.append(start)
        while stack:
            name, rest = stack[-1]
            step = next((n for n in rest if n in upstream and n not in settled), None)
            if step is None:
                settled.add(name)
                trail.pop()
                stack.pop()
            elif step in trail:
                return [*trail[trail.index(step) :], step][::-1]
            else:
                trail.append(step)
                stack.append((step, iter(sorted(upstream[step]))))
    return None


def _fields(kind: type) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind))


_OF_GRAPH, _OF_TASK = _fields(Graph), _fields(Task)
_PLAIN = tuple(name for name in _OF_TASK if name not in ("extension", "deprecated"))


def _as_dict(graph: Graph) -> dict[str, Any]:
    """Return what `dataclasses.asdict` would, which copies everything and takes ten times as long."""
    found = {name: graph.__dict__[name] for name in _OF_GRAPH}
    for name in ("tolerance", "templates"):  # flows without them keep the digest that they had before
        if not found[name]:
            del found[name]
    found["tasks"] = [
        {name: task.__dict__[name] for name in (_OF_TASK if task.extension or task.deprecated else _PLAIN)}
        for task in graph.tasks
    ]
    return found
