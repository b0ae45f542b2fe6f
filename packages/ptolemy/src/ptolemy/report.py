"""The quality report: one page without scripts, with a map of what is there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ptolemy.calendars import calendar_of, sessions
from ptolemy.catalogue import Interface, find
from ptolemy.inspection import Finding
from ptolemy.journal import Journal
from ptolemy.schedule import State
from ptolemy.series import Series

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands

CODES, SPANS = 80, 160  #: rows and columns of a map; what is more is put together
LISTED = 200  #: findings and rows that are listed one by one


def quality_page(
    series: Series, journal: Journal, findings: Sequence[Finding], states: Sequence[State], now: datetime | None = None
) -> str:
    """Return the report as HTML that needs nothing beside itself."""
    made = (now or datetime.now(UTC)).isoformat(timespec="seconds")
    parts = [_HEAD, f"<h1>Quality of what is kept</h1><p>Made {escape(made)}.</p>"]
    parts.append(_table("Data sets", ["data set", "rows", "newest", "expected", "sessions behind", "gaps to fill",
                                      "failed", "set aside"],
                        [(s.dataset, s.rows, s.last, s.expected, s.behind, s.waiting, s.failed, s.quarantined)
                         for s in states]))  # fmt: skip
    for state in states:
        known = find(state.dataset)
        if known is not None and state.rows and known.time is not None and "gaps" in known.quality:
            parts.append(_coverage(series, known))
    counts: dict[tuple[str, str], int] = {}
    for finding in findings:
        counts[finding.dataset, finding.kind] = counts.get((finding.dataset, finding.kind), 0) + 1
    parts.append(_table("Findings by kind", ["data set", "kind", "findings"], [(*k, n) for k, n in counts.items()]))
    parts.append(_table("Findings", ["data set", "kind", "security", "from", "to", "rows", "why"],
                        [(f.dataset, f.kind, f.code, f.start, f.end, f.rows, f.why) for f in findings[:LISTED]],
                        len(findings)))  # fmt: skip
    aside = journal.quarantine()
    parts.append(_table("Rows that were set aside", ["id", "data set", "security", "time", "kind", "reason", "where"],
                        [(q.id, q.dataset, q.code, q.time, q.kind, q.reason, q.place) for q in aside[-LISTED:]],
                        len(aside)))  # fmt: skip
    return "\n".join([*parts, "</main></html>\n"])


def coverage(series: Series, known: Interface) -> tuple[list[str], list[str], Any]:
    """Return securities, periods, and the share of each period's sessions with a row [security, period].

    A period is a month, or a year where there are too many months; NaN is before the first or behind the
    last row of a security.
    """
    table: Any = series.read(known.name, columns=[known.key[0], known.key[-1]])
    days = pc.replace_substring(pc.utf8_slice_codeunits(table[known.key[-1]], 0, 10), "-", "")
    pairs: Any = pa.table({"code": table[known.key[0]], "day": days}).group_by(["code", "day"]).aggregate([])
    codes = sorted(pc.unique(pairs["code"]).to_pylist())
    width = 6
    periods = sorted({day[:6] for day in pc.unique(pairs["day"]).to_pylist()})
    if len(periods) > SPANS:
        width, periods = 4, sorted({period[:4] for period in periods})
    at_code = {code: i for i, code in enumerate(codes)}
    at_period = {period: i for i, period in enumerate(periods)}
    there = np.zeros((len(codes), len(periods)))
    ends: dict[str, list[str]] = {}
    for code, day in zip(pairs["code"].to_pylist(), pairs["day"].to_pylist(), strict=True):
        there[at_code[code], at_period[day[:width]]] += 1
        found = ends.setdefault(code, [day, day])
        found[0], found[1] = min(found[0], day), max(found[1], day)
    share = np.full(there.shape, np.nan)
    for code, (first, last) in ends.items():
        expected: dict[str, int] = {}
        for day in sessions(calendar_of(code, known), first, last):
            expected[day[:width]] = expected.get(day[:width], 0) + 1
        for period, count in expected.items():
            if period in at_period:
                share[at_code[code], at_period[period]] = there[at_code[code], at_period[period]] / count
    return codes, periods, share


def _coverage(series: Series, known: Interface) -> str:
    codes, periods, share = coverage(series, known)
    labels = codes
    if len(codes) > CODES:  # neighbours share a line, which shows the worst of them
        groups = np.array_split(np.arange(len(codes)), CODES)
        labels = [f"{codes[g[0]]} - {codes[g[-1]]}" for g in groups]
        share = np.stack([np.nanmin(np.where(np.isnan(share[g]), np.inf, share[g]), axis=0) for g in groups])
        share[np.isinf(share)] = np.nan
    left, cell, line = 150, max(4, min(14, 900 // max(len(periods), 1))), 14
    width, height = left + cell * len(periods) + 10, line * len(labels) + 24
    drawn = [
        f'<svg class="heat" role="img" aria-label="coverage of {known.name}" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">'
    ]
    for row, label in enumerate(labels):
        drawn.append(f'<text x="0" y="{row * line + 11}">{escape(label)}</text>')
        for column, period in enumerate(periods):
            value = share[row, column]
            if np.isnan(value):
                continue
            kind = "full" if value >= 1 else "most" if value >= 0.9 else "some" if value > 0 else "none"
            drawn.append(
                f'<rect class="{kind}" x="{left + column * cell}" y="{row * line}" width="{cell - 1}" '
                f'height="{line - 2}"><title>{escape(label)} {period}: {value:.1%}</title></rect>'
            )
    every = max(1, 60 // cell)
    drawn += [f'<text x="{left + i * cell}" y="{height - 6}">{periods[i]}</text>'
              for i in range(0, len(periods), every)]  # fmt: skip
    drawn.append("</svg>")
    whole = int(np.count_nonzero(share >= 1))
    known_cells = int(np.count_nonzero(~np.isnan(share)))
    legend = '<p class="legend"><i class="full"></i> all sessions <i class="most"></i> 90 % at least '
    legend += '<i class="some"></i> some <i class="none"></i> none</p>'
    return (
        f"<section><h2>Coverage of {known.name}</h2><p>{whole} of {known_cells} cells are whole: securities down, "
        f"months or years across.</p>{legend}<div class=scroll>{''.join(drawn)}</div></section>"
    )


def _table(title: str, names: Sequence[str], rows: Sequence[Sequence[Any]], total: int | None = None) -> str:
    head = "".join(f"<th>{escape(name)}" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{'-' if cell is None else escape(str(cell))}" for cell in row) for row in rows
    )
    more = f"<p>{total} in all.</p>" if total is not None and total > len(rows) else ""
    none = "" if rows else "<p>None.</p>"
    table = f"<div class=scroll><table><tr>{head}{body}</table></div>" if rows else ""
    return f"<section><h2>{escape(title)}</h2>{none}{table}{more}</section>"


_HEAD = """<!doctype html><html lang=en><meta charset=utf-8><title>Quality</title>
<meta name=viewport content="width=device-width"><meta name=color-scheme content="light dark">
<meta http-equiv=content-security-policy content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel=icon href="data:,">
<style>:root{color-scheme:light dark;--full:#2f9e63;--most:#b8c34a;--some:#e0912f;--none:#c43d3d}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;padding:1rem 2rem;max-width:80rem}
table{border-collapse:collapse}td,th{padding:.15rem .7rem;text-align:left;border-bottom:1px solid #8884}
.scroll{overflow-x:auto}text{font-size:11px;fill:currentColor}
.full{fill:var(--full);background:var(--full)}.most{fill:var(--most);background:var(--most)}
.some{fill:var(--some);background:var(--some)}.none{fill:var(--none);background:var(--none)}
.legend i{display:inline-block;width:.8em;height:.8em;margin-left:1em}</style><main>"""
