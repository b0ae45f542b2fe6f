"""The typed, canonical, digested graph between a flow's files and every engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from heapq import heappop, heappush
from typing import Any


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

    @cached_property
    def upstream(self) -> tuple[str, ...]:
        """Names of the tasks that must have succeeded, sorted."""
        return tuple(sorted({source.partition(".")[0] for source in self.inputs.values()} | set(self.after)))


@dataclass(frozen=True)
class Graph:
    """A flow as its engines see it; tasks are in the order in which one worker runs them."""

    flow: str
    version: str
    tasks: tuple[Task, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    cron: str | None = None
    tz: str = "UTC"

    @cached_property
    def canonical(self) -> str:
        """The graph as JSON: sorted keys, no spaces, the same text on every machine."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)

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
                after[name].append(task.name)
        return {name: tuple(sorted(found)) for name, found in after.items()}

    @property
    def edges(self) -> list[tuple[str, str]]:
        """All edges ``(from, to)``, sorted."""
        return sorted((before, task.name) for task in self.tasks for before in task.upstream)


class ReadySet:
    """The tasks whose predecessors have all finished; the same order every time (ties by name)."""

    def __init__(self, graph: Graph, finished: Iterable[str] = ()) -> None:
        done = set(finished)
        self._graph = graph
        self._waiting = {t.name: sum(u not in done for u in t.upstream) for t in graph.tasks if t.name not in done}
        self._ready: list[str] = sorted(name for name, count in self._waiting.items() if count == 0)

    def __bool__(self) -> bool:
        return bool(self._ready)

    def pop(self) -> str:
        """Take the first ready task."""
        return heappop(self._ready)

    def finish(self, name: str) -> None:
        """Say that `name` has succeeded, which may make others ready."""
        for follower in self._graph.downstream[name]:
            self._waiting[follower] -= 1
            if self._waiting[follower] == 0:
                heappush(self._ready, follower)

    def drop(self, name: str) -> list[str]:
        """Say that `name` will never succeed; return all tasks that can no longer run, sorted."""
        lost: set[str] = set()
        todo = [name]
        while todo:
            for follower in self._graph.downstream[todo.pop()]:
                if follower not in lost:
                    lost.add(follower)
                    todo.append(follower)
        return sorted(lost)


def ordered(tasks: Iterable[Task]) -> tuple[Task, ...]:
    """Return `tasks` in the order in which one worker runs them; the tasks must hold no cycle."""
    known = tuple(sorted(tasks, key=lambda t: t.name))
    ready = ReadySet(Graph("order", "0", known))
    names = []
    while ready:
        names.append(ready.pop())
        ready.finish(names[-1])
    by_name = {task.name: task for task in known}
    return tuple(by_name[name] for name in names)


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
