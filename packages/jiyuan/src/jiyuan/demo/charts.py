"""Charts as SVG text: no script is needed to read them, and they follow the page's colours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 920, 300
LEFT, RIGHT, TOP, BOTTOM = 70, 16, 14, 26


@dataclass(frozen=True)
class Line:
    """One line of a chart: a label, a CSS class that gives its colour, and one value a date."""

    label: str
    style: str
    values: Sequence[float]


def line_chart(dates: Sequence[str], lines: Sequence[Line], *, log: bool = False, percent: bool = False) -> str:
    """Draw `lines` over `dates` (YYYYMMDD, oldest first); `log` for growth over many years."""
    low = min(min(line.values) for line in lines)
    high = max(max(line.values) for line in lines)
    ticks = _log_ticks(low, high) if log else _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])

    def x(i: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * i / max(1, len(dates) - 1)

    def y(value: float) -> float:
        share = log10(value / low) / log10(high / low) if log else (value - low) / (high - low)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    parts = [_grid(ticks, y, percent), _years(dates, x)]
    for line in lines:
        points = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in _thinned(line.values))
        parts.append(f'<polyline class="line {line.style}" points="{points}"/>')
    label = ", ".join(line.label for line in lines)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'


def area_chart(dates: Sequence[str], lines: Sequence[Line]) -> str:
    """Draw drawdowns: values of zero and below, in %, filled up to the zero line."""
    low = min(-1.0, *(min(line.values) for line in lines))
    ticks = _ticks(low, 0.0)
    low = min(low, ticks[0])
    height = 190

    def x(i: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * i / max(1, len(dates) - 1)

    def y(value: float) -> float:
        return TOP + (height - TOP - BOTTOM) * value / low

    parts = [_grid(ticks, y, True), _years(dates, x, height)]
    for line in lines:
        points = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in _thinned(line.values))
        ends = f"{x(len(dates) - 1):.1f},{y(0):.1f} {x(0):.1f},{y(0):.1f}"
        parts.append(f'<polygon class="area {line.style}" points="{points} {ends}"/>')
    label = ", ".join(line.label for line in lines)
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'


def weights_chart(dates: Sequence[str], weights: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Draw what was held: a row a share, a cell a decision, darker for more weight."""
    row, top = 24, 6
    height = top + row * len(weights) + BOTTOM
    cell = (WIDTH - LEFT - RIGHT) / max(1, len(dates))
    parts = []
    for j, (name, values) in enumerate(weights):
        y = top + row * j
        middle = y + row / 2 + 4
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{middle}" text-anchor="end">{escape(name)}</text>')
        for i, value in enumerate(values):
            if value > 0:
                title = f"<title>{escape(name)} {_iso(dates[i])}: {value:.0%}</title>"
                parts.append(
                    f'<rect class="cell" x="{LEFT + cell * i:.1f}" y="{y + 2}" width="{max(1.0, cell - 0.6):.1f}" '
                    f'height="{row - 4}" fill-opacity="{0.25 + 0.75 * min(1.0, value):.2f}">{title}</rect>'
                )
    parts.append(_years(dates, lambda i: LEFT + cell * (i + 0.5), height))
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="weights held">{"".join(parts)}</svg>'


def graph_chart(tasks: Sequence[tuple[str, str, float]], edges: Iterable[tuple[str, str]]) -> str:
    """Draw a task graph left to right: each task with its state and duration in seconds."""
    upstream: dict[str, list[str]] = {name: [] for name, _, _ in tasks}
    for begin, end in edges:
        upstream[end].append(begin)
    column: dict[str, int] = {}
    while len(column) < len(tasks):
        for name, before in upstream.items():
            if name not in column and all(b in column for b in before):
                column[name] = 1 + max((column[b] for b in before), default=-1)
    rows: dict[int, int] = {}
    place: dict[str, tuple[float, float]] = {}
    wide, tall, gap = 140, 54, 44
    for name in upstream:
        c = column[name]
        place[name] = (8.0 + c * (wide + gap), 44.0 + rows.setdefault(c, 0) * (tall + 26))
        rows[c] += 1
    width = 16 + max(column.values()) * (wide + gap) + wide
    height = 60 + max(rows.values()) * (tall + 26)
    parts = [
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>'
    ]
    for end, before in upstream.items():
        for begin in before:
            (bx, by), (ex, ey) = place[begin], place[end]
            path = f"M{bx + wide} {by + tall / 2}L{ex} {ey + tall / 2}"
            if column[end] - column[begin] > 1:
                # An edge that skips a column goes over the tasks between, not through them.
                begins, ends = bx + wide / 2, ex + wide / 2
                path = f"M{begins} {by}C{begins} {by - 34},{ends} {ey - 34},{ends} {ey}"
            parts.append(f'<path class="edge" d="{path}" marker-end="url(#tip)"/>')
    for name, state, seconds in tasks:
        px, py = place[name]
        parts.append(
            f'<g class="task {escape(state)}"><rect x="{px}" y="{py}" width="{wide}" height="{tall}" rx="9"/>'
            f'<text x="{px + wide / 2}" y="{py + 23}">{escape(name)}</text>'
            f'<text class="sub" x="{px + wide / 2}" y="{py + 41}">{escape(state)} · {_seconds(seconds)}</text></g>'
        )
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="task graph">{"".join(parts)}</svg>'


def _grid(ticks: Sequence[float], y: Callable[[float], float], percent: bool) -> str:
    suffix = "%" if percent else ""
    return "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(t):.1f}" y2="{y(t):.1f}"/>'
        f'<text class="tick" x="{LEFT - 8}" y="{y(t) + 4:.1f}" text-anchor="end">{t:g}{suffix}</text>'
        for t in ticks
    )


def _years(dates: Sequence[str], x: Callable[[int], float], height: int = HEIGHT) -> str:
    first = {date[:4]: i for i, date in reversed(list(enumerate(dates)))}
    labels, free = [], float("inf")
    # From the right: a year that begins too near the next one, as a first year in autumn does, has no room.
    for year in sorted(first, reverse=True):
        at = x(first[year])
        if at < min(WIDTH - 40, free - 40):
            labels.append(f'<text class="tick" x="{at:.1f}" y="{height - 8}" text-anchor="start">{year}</text>')
            free = at
    return "".join(labels)


def _ticks(low: float, high: float) -> list[float]:
    """Return round values from below `low` to above `high`, five or so, and never only one."""
    high = max(high, low + abs(low) / 100 + 1e-9)
    span = high - low
    step = 10 ** floor(log10(span / 4))
    step *= next(m for m in (1, 2, 2.5, 5, 10) if span / (step * m) <= 5)
    return [step * k for k in range(floor(low / step), ceil(high / step) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    marks = [m * 10.0**e for e in range(floor(log10(low)) - 1, ceil(log10(high)) + 1) for m in (1, 2, 5)]
    below = max(m for m in marks if m <= low)
    above = min(m for m in marks if m >= high and m > below)
    return [m for m in marks if below <= m <= above]


def _thinned(values: Sequence[float], most: int = 1200) -> Iterable[tuple[int, float]]:
    """Leave out points that no screen can show; the last one always stays."""
    step = max(1, len(values) // most)
    kept = [(i, values[i]) for i in range(0, len(values), step)]
    return kept if kept[-1][0] == len(values) - 1 else [*kept, (len(values) - 1, values[-1])]


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _iso(date: str) -> str:
    return f"{date[:4]}-{date[4:6]}-{date[6:]}"
