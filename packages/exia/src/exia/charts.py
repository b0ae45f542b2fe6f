"""Draw metrics: a line of blocks for the terminal, SVG of our own, PNG by matplotlib."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO

from exia.errors import BadInput, MissingExtra

Line = Sequence[tuple[float, float]]  #: Points ``(x, y)`` in order.

_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH, _HEIGHT = 860, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 20, 46, 52
# Okabe and Ito's colours, which people who see few colours can tell apart.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_TICKS = 6


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """Return `values` as a line of `width` blocks at most; each stands for the mean of its share."""
    if not values:
        return ""
    width = min(width, len(values))
    edges = [n * len(values) // width for n in range(width + 1)]
    means = [math.fsum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    low, high = min(means), max(means)
    span = high - low
    return "".join(_BLOCKS[int((mean - low) / span * (len(_BLOCKS) - 1) + 0.5) if span else 3] for mean in means)


def draw(lines: Mapping[str, Line], format: str, *, title: str, x_label: str) -> bytes:
    """Return a chart of `lines` by their labels.

    Parameters
    ----------
    format
        ``svg``, or ``png``, which needs the extra ``plot``.

    Raises
    ------
    BadInput
        If no line has a point, or there is no such format.
    MissingExtra
        If PNG is asked for and matplotlib is not installed.
    """
    if format not in ("svg", "png"):
        raise BadInput(f"a chart is not drawn as {format or 'a file without an ending'!r}", hint="end in .svg or .png")
    if not any(lines.values()):
        raise BadInput("there is nothing to draw", hint="exia runs show RUN lists a run's metrics")
    thinned = {label: thin(line) for label, line in lines.items()}
    return (_svg if format == "svg" else _png)(thinned, title, x_label)


def thin(line: Line, most: int = 2_000) -> Line:
    """Return as many points of `line` as a screen can show; the lowest and highest of each share stay."""
    if len(line) <= most:
        return line
    shares = most // 2
    kept = []
    for n in range(shares):
        share = line[n * len(line) // shares : (n + 1) * len(line) // shares]
        ends = {min(share, key=_height), max(share, key=_height)}
        kept += sorted(ends)
    return kept


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers from `low` to `high`, at most seven."""
    step = 10 ** math.floor(math.log10((high - low) / _TICKS))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= _TICKS)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _svg(lines: Mapping[str, Line], title: str, x_label: str) -> bytes:
    points = [point for line in lines.values() for point in line]
    xs, ys = _range([x for x, _ in points]), _range([y for _, y in points])

    def across(x: float) -> float:
        return round(_LEFT + (x - xs[0]) / (xs[1] - xs[0]) * (_WIDTH - _LEFT - _RIGHT), 2)

    def down(y: float) -> float:
        return round(_HEIGHT - _BOTTOM - (y - ys[0]) / (ys[1] - ys[0]) * (_HEIGHT - _TOP - _BOTTOM), 2)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
        ' font-family="sans-serif" font-size="12" role="img">',
        f"<title>{escape(title)}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="22" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    for y in ticks(*ys):
        parts.append(f'<path d="M{_LEFT} {down(y)}H{_WIDTH - _RIGHT}" stroke="#dddddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{down(y) + 4}" text-anchor="end">{_number(y)}</text>')
    floor = _HEIGHT - _BOTTOM
    for x in ticks(*xs):
        parts.append(f'<path d="M{across(x)} {floor}v5" stroke="#555555"/>')
        parts.append(f'<text x="{across(x)}" y="{floor + 19}" text-anchor="middle">{_number(x)}</text>')
    parts.append(f'<path d="M{_LEFT} {floor}H{_WIDTH - _RIGHT}" stroke="#555555"/>')
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 12}" text-anchor="end">{escape(x_label)}</text>')
    at = _LEFT
    for (label, line), colour in zip(lines.items(), _coloured(len(lines)), strict=True):
        path = " ".join(f"{across(x)},{down(y)}" for x, y in line)
        if len(line) == 1:
            parts.append(f'<circle cx="{across(line[0][0])}" cy="{down(line[0][1])}" r="3" fill="{colour}"/>')
        elif line:
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<path d="M{at} 36h14" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="{at + 19}" y="40">{escape(label)}</text>')
        at += 36 + 7 * len(label)
    return "\n".join([*parts, "</svg>\n"]).encode()


def _png(lines: Mapping[str, Line], title: str, x_label: str) -> bytes:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as exc:
        raise MissingExtra(
            f"a PNG needs {exc.name}, which is not installed", hint="pip install 'jiyuan-exia[plot]', or draw a .svg"
        ) from exc
    figure = Figure(figsize=(_WIDTH / 100, _HEIGHT / 100), dpi=100, layout="constrained")
    axes = figure.subplots()
    for (label, line), colour in zip(lines.items(), _coloured(len(lines)), strict=True):
        axes.plot(
            [x for x, _ in line], [y for _, y in line], color=colour, marker="o" if len(line) == 1 else "", label=label
        )
    axes.set_title(title, loc="left", parse_math=False)
    axes.set_xlabel(x_label, loc="right")
    axes.grid(axis="y", alpha=0.4)
    axes.legend(frameon=False)
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    return drawn.getvalue()


def _range(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if low == high:  # a flat line lies in the middle
        room = abs(low) / 2 or 0.5
        return low - room, high + room
    return low, high


def _coloured(count: int) -> list[str]:
    return [_COLOURS[n % len(_COLOURS)] for n in range(count)]


def _number(value: float) -> str:
    return f"{value:.6g}"


def _height(point: tuple[float, float]) -> float:
    return point[1]
