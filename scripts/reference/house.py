"""Draw the libraries and their parts from what really imports what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from itertools import groupby, pairwise

import grimp
from scripts.reference.markdown import LIBRARIES, NOTICE, page, table

#: The layers of a library, from the top; a module belongs to the first that claims it.
LAYERS = ("cli", "library", "ports", "errors", "_house")

_ROW = {"cli": 0, "library": 1, "ports": 2, "errors": 3, "_house": 4}
_WIDTH, _GAP, _TOP = 236, 22, 24
_FACTS = 17  # pixels a line
_STYLE = (
    "<style>text{font-family:system-ui,sans-serif;fill:#1d2430}.t{font-size:18px;font-weight:600;text-anchor:middle}"
    ".h{font-size:13px;font-weight:600}.s{font-size:12px;fill:#475467}.n{font-size:11px;fill:#3b6ea5}"
    ".m{text-anchor:middle}.b{fill:#fff;stroke:#98a2b3}"
    ".a{stroke:#3b6ea5;stroke-width:1.3;fill:none;marker-end:url(#e)}</style>"
    '<marker id="e" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0L8 4L0 8z" fill="#3b6ea5"/></marker>'
)


@dataclass(frozen=True)
class House:
    """The modules of each library by layer, and how many imports go from one layer to another."""

    modules: dict[str, dict[str, list[str]]]
    imports: Counter[tuple[str, str, str]]
    across: Counter[tuple[str, str]]


def survey() -> House:
    """Read the import graph of the five libraries."""
    graph = grimp.build_graph(*LIBRARIES, cache_dir=None)
    modules: dict[str, dict[str, list[str]]] = {library: {layer: [] for layer in LAYERS} for library in LIBRARIES}
    imports: Counter[tuple[str, str, str]] = Counter()
    across: Counter[tuple[str, str]] = Counter()
    ports = {
        module.rpartition(".")[0] for module in graph.modules if module.endswith(".port") and module.count(".") == 2
    }
    layer_of = {module: _layer(module, ports) for module in graph.modules}
    for module in sorted(graph.modules):
        if module.count(".") == 1 or layer_of[module] in ("ports", "cli"):
            modules[module.partition(".")[0]][layer_of[module]].append(module)
        for imported in graph.find_modules_directly_imported_by(module):
            here, there = module.partition(".")[0], imported.partition(".")[0]
            if here != there:
                across[here, there] += 1
            elif layer_of[module] != layer_of[imported]:
                imports[here, layer_of[module], layer_of[imported]] += 1
    return House(modules, imports, across)


def _layer(module: str, ports: set[str]) -> str:
    _, _, rest = module.partition(".")
    first = rest.partition(".")[0]
    if first in ("cli", "errors", "_house"):
        return first
    return "ports" if any(module == port or module.startswith(port + ".") for port in ports) else "library"


def facts(house: House, library: str, layer: str) -> list[str]:
    """Return what stands in a layer: ports with their adapters, or the modules' names."""
    names = [module.partition(".")[2] for module in house.modules[library][layer]]
    if layer == "ports":
        found = []
        for port, group in groupby(sorted(names), key=lambda name: name.partition(".")[0]):
            words = sorted(name.partition(".")[2] for name in group)
            found.append(f"{port}: {', '.join(w for w in words if w and w != 'port' and not w.startswith('_'))}")
        return found
    if layer == "cli":
        commands = {module.rpartition(".")[2] for module in house.modules[library][layer] if module.count(".") == 2}
        return sorted(name for name in commands if not name.startswith("_"))
    return sorted(name for name in names if name and layer == "library")


def drawing(house: House) -> str:
    """Return the picture as SVG; it needs no script and no font from elsewhere."""
    top, *columns = reversed(LIBRARIES)
    columns.reverse()
    width = len(columns) * (_WIDTH + _GAP) + _GAP
    heights = {layer: max(len(_lines(house, lib, layer)) for lib in columns) * _FACTS + 34 for layer in LAYERS}
    tops, y = {}, _TOP + 130
    for layer in LAYERS:
        tops[layer], y = y, y + heights[layer] + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" role="img" '
        'aria-label="The five libraries, their layers and the imports between them">',
        _STYLE,
        f'<rect width="{width}" height="{y}" fill="#fbfaf7"/>',
        f'<rect class="b" x="{_GAP}" y="{_TOP}" width="{width - 2 * _GAP}" height="56" rx="8"/>',
        f'<text class="t" x="{width / 2:g}" y="{_TOP + 24}">{top}</text>',
        f'<text class="s m" x="{width / 2:g}" y="{_TOP + 44}">{", ".join(facts(house, top, "library"))}</text>',
    ]
    for number, library in enumerate(columns):
        x = _GAP + number * (_WIDTH + _GAP)
        if count := house.across[top, library]:
            parts += _arrow(x, _TOP + 56, _TOP + 90, f"{count} imports")
        parts.append(f'<text class="t" x="{x + _WIDTH / 2:g}" y="{_TOP + 112}">{library}</text>')
        for layer in LAYERS:
            parts += _box(x, tops[layer], heights[layer], layer, _lines(house, library, layer))
        for upper, lower in pairwise(LAYERS):
            parts += _arrow(x, tops[upper] + heights[upper], tops[lower], _passing(house, library, upper, lower))
    return "\n".join([*parts, "</svg>", ""])


def _lines(house: House, library: str, layer: str) -> list[str]:
    return list(_wrapped(facts(house, library, layer)))


def _wrapped(texts: Iterable[str], width: int = 34) -> Iterable[str]:
    joined = "\n".join(texts) if any(":" in text for text in texts) else ", ".join(texts)
    for text in joined.split("\n"):
        line = ""
        for word in text.split():
            if line and len(line) + 1 + len(word) > width:
                yield line
                line = "   "
            line = f"{line} {word}".strip() if line.strip() else line + word
        if line:
            yield line


def _box(x: int, top: int, height: int, layer: str, lines: list[str]) -> list[str]:
    parts = [f'<rect class="b" x="{x}" y="{top}" width="{_WIDTH}" height="{height}" rx="8"/>']
    parts.append(f'<text class="h" x="{x + 12}" y="{top + 21}">{layer}</text>')
    for number, line in enumerate(lines):
        parts.append(f'<text class="s" x="{x + 12}" y="{top + 40 + number * _FACTS}">{escape(line)}</text>')
    return parts


def _passing(house: House, library: str, upper: str, lower: str) -> str:
    """Say how many imports cross the line between two neighbours, downward and back."""
    down = back = 0
    for (owner, source, target), count in house.imports.items():
        if owner == library:
            down += count if _ROW[source] <= _ROW[upper] and _ROW[target] >= _ROW[lower] else 0
            back += count if _ROW[source] >= _ROW[lower] and _ROW[target] <= _ROW[upper] else 0
    return f"{down} imports" + (f", {back} back" if back else "") if down or back else ""


def _arrow(x: int, begin: int, end: int, text: str) -> list[str]:
    if not text:
        return []
    return [
        f'<path class="a" d="M{x + _WIDTH / 2:g} {begin + 2}V{end - 3}"/>',
        f'<text class="n" x="{x + _WIDTH / 2 + 8:g}" y="{(begin + end) / 2 + 4:g}">{text}</text>',
    ]


def imports_page(house: House) -> str:
    """Return the page that lists every import between layers and libraries."""
    rows = [
        (library, source, target, count)
        for (library, source, target), count in sorted(
            house.imports.items(), key=lambda i: (LIBRARIES.index(i[0][0]), _ROW[i[0][1]], _ROW[i[0][2]])
        )
    ]
    lines = [
        "# Imports",
        "",
        NOTICE,
        "",
        "What imports what, as counted in the code. [The architecture](../explanation/architecture.md) says why.",
        "",
        "## Between libraries",
        "",
    ]
    between = [(here, there, count) for (here, there), count in sorted(house.across.items())]
    lines += table(["from", "to", "imports"], between, right=["imports"]) if between else ["None.", ""]
    lines += ["## Between the layers of one library", ""]
    return page(lines, table(["library", "from", "to", "imports"], rows, right=["imports"]))
