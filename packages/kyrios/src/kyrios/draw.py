"""A flow's graph as text for terminals and pipes, and as Mermaid."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from kyrios._house.output import display_width
from kyrios.graph import Graph

_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_LINES = {
    _UP: "│", _DOWN: "│", _UP | _DOWN: "│", _LEFT: "─", _RIGHT: "─", _LEFT | _RIGHT: "─",
    _UP | _RIGHT: "╰", _UP | _LEFT: "╯", _DOWN | _RIGHT: "╭", _DOWN | _LEFT: "╮",
    _UP | _DOWN | _RIGHT: "├", _UP | _DOWN | _LEFT: "┤", _UP | _LEFT | _RIGHT: "┴", _DOWN | _LEFT | _RIGHT: "┬",
    _UP | _DOWN | _LEFT | _RIGHT: "┼",
}  # fmt: skip
_GAP = 3
_COLOURS = {
    "cached": "#1a7f37", "cancelled": "#9a6700", "failed": "#c62828", "running": "#0b5cad", "succeeded": "#1a7f37",
    "up_for_retry": "#9a6700",
}  # fmt: skip


def mermaid(graph: Graph, states: Mapping[str, str] | None = None, critical: Collection[str] = ()) -> str:
    """Return the graph in Mermaid's words.

    Parameters
    ----------
    states
        How units stand, which gives them colours.
    critical
        Units whose boxes have a thick border.
    """
    said = states or {}
    lines = ["flowchart TD"]
    lines += [f'    {name}["{name}{f"<br>{said[name]}" if name in said else ""}"]' for name in graph.names]
    for task in graph.tasks:
        ports: dict[str, list[str]] = {name: [] for name in task.upstream}
        for source in task.inputs.values():
            ports[source.partition(".")[0]].append(source.partition(".")[2])
        for before, names in ports.items():
            label = f"|{', '.join(sorted(set(names)))}|" if names else ""
            arrow = "-->" if names else "-.->"
            lines.append(f"    {before} {arrow}{label} {task.name}")
    for state in sorted({*said.values()} & _COLOURS.keys()):
        lines.append(f"    classDef {state} stroke:{_COLOURS[state]},stroke-width:2px")
        lines.append(f"    class {','.join(name for name in graph.names if said.get(name) == state)} {state}")
    lines += [f"    style {name} stroke-width:4px" for name in graph.names if name in critical]
    return "\n".join(lines) + "\n"


def text(graph: Graph, notes: Mapping[str, str] | None = None) -> str:
    """Return the graph as boxes and arrows, first task on top.

    Parameters
    ----------
    notes
        A second line in the box of a task, such as how long it took.
    """
    said = notes or {}
    labels = {name: [name, said[name]] if name in said else [name] for name in graph.names}
    layers, edges = layers_of(graph)
    middles = places(layers, edges, labels)
    canvas = _Canvas()
    row = 0
    for index, layer in enumerate(layers):
        height = max(len(labels.get(name, ())) for name in layer) + 2
        for name in layer:
            if name in labels:
                canvas.box(row, middles[name], labels[name], height)
            else:
                for step in range(height):
                    canvas.line(row + step, middles[name], _UP | _DOWN)
        row += height
        if index + 1 < len(layers):
            row = _connect(canvas, row, edges[index], middles, labels)
    return canvas.text()


def layers_of(graph: Graph) -> tuple[list[list[str]], list[list[tuple[str, str]]]]:
    """Put each task below the last of its predecessors; a long edge gets a place in every layer it passes."""
    depth: dict[str, int] = {}
    for task in graph.tasks:
        depth[task.name] = max((depth[u] + 1 for u in task.upstream), default=0)
    layers: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    edges: list[list[tuple[str, str]]] = [[] for _ in layers]
    for name in graph.names:
        layers[depth[name]].append(name)
    for before, after in _drawn(graph):
        at = before
        for level in range(depth[before] + 1, depth[after]):
            # One line for all edges of a task that pass this layer: they carry the same thing.
            passing = f"{before}>{level}"
            if passing not in layers[level]:
                layers[level].append(passing)
                edges[level - 1].append((at, passing))
            at = passing
        edges[depth[after] - 1].append((at, after))
    return layers, edges


def _drawn(graph: Graph) -> list[tuple[str, str]]:
    """Return the edges worth a line: an order that others imply already only hides the data's way."""
    behind: dict[str, set[str]] = {}
    drawn = []
    for task in graph.tasks:
        behind[task.name] = {u for name in task.upstream for u in (name, *behind[name])}
        data = {source.partition(".")[0] for source in task.inputs.values()}
        implied = {name for u in task.upstream for name in behind[u]}
        drawn += [(u, task.name) for u in task.upstream if u in data or u not in implied]
    return sorted(drawn)


def places(
    layers: list[list[str]], edges: list[list[tuple[str, str]]], labels: Mapping[str, list[str]]
) -> dict[str, int]:
    """Return the column of each box's middle; boxes stand below the middle of their predecessors if they can."""
    middles: dict[str, int] = {}
    for index, layer in enumerate(layers):
        wish: dict[str, float] = {}
        for name in layer:
            above = [middles[b] for b, a in edges[index - 1] if a == name] if index else []
            wish[name] = sum(above) / len(above) if above else 0.0
        layer.sort(key=lambda name: (wish[name], name not in labels, name))
        edge = 0
        for name in layer:
            half = _width(name, labels) // 2
            middles[name] = edge + half
            edge += 2 * half + 1 + _GAP
        # The layer as a whole stands below the middle of what it follows.
        shift = round(sum(wish[name] - middles[name] for name in layer) / len(layer))
        for name in layer:
            middles[name] += shift
    left = min(middles[name] - _width(name, labels) // 2 for name in middles)
    return {name: middle - left for name, middle in middles.items()}


def _width(name: str, labels: Mapping[str, list[str]]) -> int:
    # Odd, so that every box has a middle column.
    return (max(display_width(line) for line in labels[name]) + 4) | 1 if name in labels else 1


def _connect(
    canvas: _Canvas, row: int, edges: list[tuple[str, str]], middles: Mapping[str, int], labels: Mapping[str, list[str]]
) -> int:
    """Draw the edges between two layers from `row` on; return the row of the next layer."""
    sources = sorted({before for before, _ in edges}, key=lambda name: middles[name])
    bent = [s for s in sources if any(middles[s] != middles[a] for b, a in edges if b == s)]
    # A task under whose box another's line comes down must leave its column first.
    bent.sort(key=lambda s: sum(middles[a] == middles[s] for b, a in edges if b != s), reverse=True)
    ends_of = {s: frozenset(a for b, a in edges if b == s) for s in sources}
    groups = list(dict.fromkeys(ends_of[s] if len(ends_of[s]) == 1 else s for s in bent))
    # Lines that all come together in one box share a row.
    row_of = {group: row + i + 1 for i, group in enumerate(groups)}
    tracks = {s: row_of[ends_of[s] if len(ends_of[s]) == 1 else s] for s in bent}
    last = row + len(groups) + 1
    for before in sources:
        start = middles[before]
        track = tracks.get(before, last)
        ends = sorted(middles[after] for b, after in edges if b == before)
        for step in range(row, track):
            canvas.line(step, start, _UP | _DOWN)
        if before in tracks:
            canvas.line(track, start, _UP)
            for column in range(min(start, *ends), max(start, *ends)):
                canvas.line(track, column, _RIGHT)
                canvas.line(track, column + 1, _LEFT)
            for end in ends:
                canvas.line(track, end, _DOWN)
        for end in ends:
            for step in range(track + 1 if before in tracks else track, last):
                canvas.line(step, end, _UP | _DOWN)
    for _, after in edges:
        if after in labels:
            canvas.put(last, middles[after], "▼")
        else:
            canvas.line(last, middles[after], _UP | _DOWN)
    return last + 1


class _Canvas:
    """Characters by row and column; lines that meet become corners and crossings."""

    def __init__(self) -> None:
        self._fixed: dict[tuple[int, int], str] = {}
        self._lines: dict[tuple[int, int], int] = {}

    def put(self, row: int, column: int, words: str) -> None:
        for character in words:
            self._fixed[row, column] = character
            column += display_width(character)

    def line(self, row: int, column: int, ways: int) -> None:
        met = self._lines.get((row, column), 0)
        self._lines[row, column] = met | ways

    def box(self, row: int, middle: int, lines: list[str], height: int) -> None:
        width = (max(map(display_width, lines)) + 4) | 1
        left = middle - width // 2
        self.put(row, left, f"┌{'─' * (width - 2)}┐")
        self.put(row + height - 1, left, f"└{'─' * (width - 2)}┘")
        for step in range(height - 2):
            words = lines[step] if step < len(lines) else ""
            spare = width - 2 - display_width(words)
            self.put(row + 1 + step, left, f"│{' ' * (spare // 2)}{words}{' ' * (spare - spare // 2)}│")

    def text(self) -> str:
        cells = {place: _LINES[ways] for place, ways in self._lines.items()} | self._fixed
        rows: list[str] = []
        for row in range(max(r for r, _ in cells) + 1):
            at = 0
            words = ""
            for column in sorted(c for r, c in cells if r == row):
                character = cells[row, column]
                words += " " * (column - at) + character
                at = column + display_width(character)
            rows.append(words)
        return "\n".join(rows) + "\n"
