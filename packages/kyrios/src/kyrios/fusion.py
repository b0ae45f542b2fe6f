"""Fusion: many small units in one task of an engine that takes long to start one.

A block runs in one process, unit after unit; the states, outputs and retries of its units are what they are without it.
Blocks and single units together hold no cycle: a block starts when all before its first unit has ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kyrios.graph import Graph, Task, find_cycle

_FULL = 100  # units that a block grows to by itself: a second of work for units of ten milliseconds
_LANES = 4  # blocks side by side
_LEAST = 25  # units that make a lane of its own worth while


@dataclass(frozen=True)
class Block:
    """What an engine runs as one: a single unit, or a fused group of them in their order."""

    name: str
    tasks: tuple[Task, ...]
    upstream: tuple[str, ...]

    @property
    def fused(self) -> bool:
        """Whether it is a group."""
        return self.name != self.tasks[0].name


def blocks(graph: Graph) -> list[Block]:
    """Return what `graph` is run as, in an order in which one worker could run it."""
    held = {unit: name for name, units in graph.fused.items() for unit in units}
    members: dict[str, list[Task]] = {}
    for task in graph.tasks:
        members.setdefault(held.get(task.name, task.name), []).append(task)
    above = {
        name: {held.get(before, before) for task in tasks for before in task.upstream} - {name}
        for name, tasks in members.items()
    }
    return [Block(name, tuple(members[name]), tuple(sorted(above[name]))) for name in _in_order(above)]


def cycle_of(tasks: Iterable[Task], fused: Mapping[str, Sequence[str]]) -> list[str] | None:
    """Return the cycle that the groups `fused` would make of `tasks`, or None."""
    held = {unit: name for name, units in fused.items() for unit in units}
    above: dict[str, set[str]] = {}
    for task in tasks:
        name = held.get(task.name, task.name)
        above.setdefault(name, set()).update({held.get(before, before) for before in task.upstream} - {name})
    return find_cycle(above)


def auto(tasks: Sequence[Task]) -> dict[str, tuple[str, ...]]:
    """Return the groups into which `fuse: auto` puts `tasks`, which stand in their order.

    Units are taken level by level until a band holds a hundred of them for each of its lanes: parts of the band that do
    not hang together run side by side, in four lanes at most. No edge leads back into a band, so no cycle can arise.
    """
    depth: dict[str, int] = {}
    levels: list[list[Task]] = []
    for task in tasks:
        depth[task.name] = max((depth[before] + 1 for before in task.upstream), default=0)
        if depth[task.name] == len(levels):
            levels.append([])
        levels[depth[task.name]].append(task)
    found: list[list[str]] = []
    band: list[Task] = []
    for level in levels:
        if band and len(band) + len(level) > _FULL * len(_lanes([*band, *level])):
            found += _lanes(band)
            band = []
        band += level
    found += _lanes(band)
    groups = [group for group in found if len(group) > 1]
    prefix = "fused"
    taken = {task.name.replace("-", "__") for task in tasks}
    while any(name.startswith(f"{prefix}__") for name in taken):
        prefix += "_"
    width = len(str(len(groups) - 1))
    return {f"{prefix}-{i:0{width}}": tuple(group) for i, group in enumerate(groups)}


def _lanes(band: Sequence[Task]) -> list[list[str]]:
    """Share a band out: what hangs together stays together, and the lanes are as even as that allows."""
    place = {task.name: i for i, task in enumerate(band)}
    root = {name: name for name in place}

    def find(name: str) -> str:
        while root[name] != name:
            root[name] = root[root[name]]
            name = root[name]
        return name

    for task in band:
        for before in task.upstream:
            if before in root:
                root[find(task.name)] = find(before)
    parts: dict[str, list[str]] = {}
    for name in place:
        parts.setdefault(find(name), []).append(name)
    lanes: list[list[str]] = [[] for _ in range(max(1, min(_LANES, len(parts), len(band) // _LEAST)))]
    for part in sorted(parts.values(), key=lambda part: (-len(part), place[part[0]])):
        min(lanes, key=len).extend(part)
    return [sorted(lane, key=place.__getitem__) for lane in lanes]


def _in_order(above: Mapping[str, set[str]]) -> list[str]:
    """Return the names with those before each first, in the order of `above` where that leaves a choice."""
    from heapq import heappop, heappush

    place = {name: i for i, name in enumerate(above)}
    names = list(above)
    waiting = {name: len(before) for name, before in above.items()}
    below: dict[str, list[str]] = {name: [] for name in above}
    for name, before in above.items():
        for other in before:
            below[other].append(name)
    ready = [place[name] for name, count in waiting.items() if not count]
    found = []
    while ready:
        name = names[heappop(ready)]
        found.append(name)
        for follower in below[name]:
            waiting[follower] -= 1
            if not waiting[follower]:
                heappush(ready, place[follower])
    return found
