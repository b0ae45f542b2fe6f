"""A flow's graph as SVG, and as a page of its own: what it is, what a run has made of it, and what it waits for."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from kyrios.draw import layers_of, places
from kyrios.graph import Graph

if TYPE_CHECKING:
    from kyrios.run import Run

_LETTER, _LEVEL, _HEIGHT, _EDGE = 8, 92, 44, 16  # pixels


@dataclass(frozen=True)
class Shown:
    """What a drawing says besides the graph, each by the name of a unit.

    Parameters
    ----------
    critical
        The units that the whole flow waits for, in their order.
    """

    states: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    critical: Collection[str] = ()

    @classmethod
    def of(cls, run: Run, critical: Collection[str] = ()) -> Shown:
        """Return what `run` says: how each unit stands, and for how many seconds it ran."""
        return cls(
            {task.name: task.state.value for task in run.tasks},
            {task.name: task.seconds for task in run.tasks if task.seconds is not None},
            critical,
        )

    def note(self, name: str) -> str:
        """Return the second line of a unit's box."""
        seconds = f"{self.seconds[name]:.3g} s" if name in self.seconds else ""
        return "  ".join(words for words in (self.states.get(name, ""), seconds) if words)


def svg(graph: Graph, shown: Shown | None = None, *, style: bool = True) -> str:
    """Return the graph as an SVG of its own.

    Each unit is a group of the class ``unit`` and ``state-<state>`` with its name in ``data-unit``.

    Parameters
    ----------
    style
        Whether it brings its colours; a page with a style sheet has its own.
    """
    said = shown or Shown()
    # The widest note that a unit may get has its place from the start, so that nothing moves while a flow runs.
    labels = {name: [name, max(said.note(name), "succeeded  0.00 s", key=len)] for name in graph.names}
    layers, edges = layers_of(graph)
    middles = places(layers, edges, labels)
    across = {name: middle * _LETTER + _EDGE for name, middle in middles.items()}
    down = {name: index * _LEVEL + _EDGE for index, layer in enumerate(layers) for name in layer}
    half = {name: (max(map(len, labels[name])) + 3) * _LETTER // 2 for name in labels}
    width = max(across[name] + half.get(name, 0) for name in across) + _EDGE
    height = len(layers) * _LEVEL - (_LEVEL - _HEIGHT) + 2 * _EDGE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(graph.flow)}" class="graph">'
    ]
    if style:
        parts.append(f"<style>{STYLE}</style>")
    parts.append(
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerUnits="userSpaceOnUse" '
        'markerWidth="9" markerHeight="9" orient="auto">'
        '<path d="M0 0 8 4 0 8z" class="head"/></marker></defs>'
    )
    steps = set(zip(list(said.critical), list(said.critical)[1:], strict=False))
    for pairs in edges:
        for before, after in pairs:
            start = (across[before], down[before] + _HEIGHT) if before in labels else (across[before], down[before])
            end = across[after], down[after]
            middle = (start[1] + end[1]) // 2
            ends = ' marker-end="url(#arrow)"' if after in labels else ""
            kind = "edge critical" if (before, after) in steps else "edge"
            parts.append(
                f'<path class="{kind}" d="M{start[0]} {start[1]}C{start[0]} {middle} {end[0]} {middle} '
                f'{end[0]} {end[1] - (1 if ends else 0)}"{ends}/>'
            )
    for task in graph.tasks:
        name, state = task.name, said.states.get(task.name, "declared")
        kind = f"unit state-{escape(state)}" + (" critical" if name in said.critical else "")
        title = escape(f"{name}: {task.summary or task.unit}")
        parts.append(
            f'<g class="{kind}" data-unit="{escape(name)}" transform="translate({across[name] - half[name]} '
            f'{down[name]})"><title>{title}</title><rect width="{2 * half[name]}" height="{_HEIGHT}" rx="6"/>'
            f'<text class="name" x="{half[name]}" y="18">{escape(name)}</text>'
            f'<text class="note" x="{half[name]}" y="35">{escape(said.note(name))}</text></g>'
        )
    return "".join([*parts, "</svg>\n"])


def html(graph: Graph, shown: Shown | None = None, run: Run | None = None) -> str:
    """Return a page that needs nothing else: the drawing, and a table of the units."""
    said = shown or Shown()
    facts = {"version": graph.version, "units": str(len(graph.tasks)), "digest": graph.digest}
    if run is not None:
        facts |= {"run": run.run_id, "state": run.state.value, "started": run.started or "-"}
        facts["seconds"] = "-" if run.seconds is None else f"{run.seconds:.3f}"
    if said.critical:
        facts["critical path"] = " → ".join(said.critical)
    head = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in facts.items())
    rows = "".join(
        f'<tr class="state-{escape(said.states.get(t.name, "declared"))}"><td>{escape(t.name)}</td>'
        f"<td>{escape(f'{t.unit} {t.version}')}</td><td>{escape(said.states.get(t.name, ''))}</td>"
        f'<td class="number">{f"{said.seconds[t.name]:.3f}" if t.name in said.seconds else ""}</td>'
        f"<td>{escape(', '.join(t.upstream))}</td><td>{escape(t.summary)}</td></tr>"
        for t in graph.tasks
    )
    sheet = STYLE + _PAGE
    allowed = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    columns = "".join(f"<th>{word}</th>" for word in ("unit", "is", "state", "seconds", "after", "summary"))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{allowed}'\">"
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(graph.flow)}</title><style>{sheet}</style></head><body><h1>{escape(graph.flow)}</h1>"
        f'<p>{escape(graph.summary)}</p><dl>{head}</dl><div class="scroll">{svg(graph, said, style=False)}</div>'
        f"<table><thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table></body></html>\n"
    )


#: Colours by the scheme that the reader prefers, as custom properties of CSS.
LIGHT = (
    "--back:#fff;--front:#1b1f24;--line:#8b949e;--dim:#57606a;--run:#0b5cad;--good:#1a7f37;--bad:#c62828;--warn:#9a6700"
)
DARK = (
    "--back:#0f1318;--front:#e4e8ee;--line:#6e7a88;--dim:#9aa5b3;"
    "--run:#6cb3ff;--good:#4ac26b;--bad:#ff7b72;--warn:#e3b341"
)
#: Colours of units and edges; `svg` brings them unless a page has its own.
STYLE = (
    f":root{{{LIGHT}}}@media (prefers-color-scheme:dark){{:root{{{DARK}}}}}"
    ".graph{font:13px ui-monospace,monospace;color:var(--front)}.graph text{fill:var(--front);text-anchor:middle}"
    ".graph .note{fill:var(--dim);font-size:11px}.unit rect{fill:var(--back);stroke:var(--line);stroke-width:1.5}"
    ".edge{fill:none;stroke:var(--line);stroke-width:1.3}.head{fill:var(--line)}"
    ".edge.critical{stroke:var(--warn);stroke-width:3}.unit.critical rect{stroke-width:3.5}"
    ".state-queued rect{stroke:var(--dim);stroke-dasharray:4 3}.state-running rect{stroke:var(--run);stroke-width:3}"
    ".state-succeeded rect,.state-cached rect{stroke:var(--good)}.state-failed rect{stroke:var(--bad);stroke-width:3}"
    ".state-up_for_retry rect,.state-cancelled rect{stroke:var(--warn)}.state-skipped rect{stroke-dasharray:2 4}"
)
_PAGE = (
    "body{margin:1.2rem;background:var(--back);color:var(--front);font:15px/1.5 system-ui,sans-serif}"
    ".scroll{overflow:auto}table{border-collapse:collapse}th,td{border:1px solid var(--line);padding:.2rem .6rem;"
    "text-align:left}.number{text-align:right}dl{display:grid;grid-template-columns:auto 1fr;gap:0 1rem}"
    "dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}"
)
