"""The status page: one HTML file that holds everything that it shows, for those without Kibana."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from exia.monitor.port import MonitorStore, field
from exia.monitor.summary import PoolSummary, summarize, time_of

_WIDTH, _HEIGHT, _MARGIN = 420, 90, 2
_SHOWN = 50  # events in the table
_MOST = 10_000
REFRESH = 10  #: Seconds after which a page that a server sends is asked for again.
_CHANGES = {"params-changed", "pool-params", "pool-swapped", "pool-undone", "pool-drained"}

_STYLE = """
:root { color-scheme: light dark; --text: #1c2024; --soft: #5f6b76; --back: #ffffff; --card: #f5f7f9; --line: #d5dbe1;
  --good: #14664a; --bad: #b3261e; --one: #1f6feb; --two: #9a5b00; --three: #8250df; --change: #8a3ffc; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ec; --soft: #9aa7b3; --back: #14181c; --card: #1d2329;
  --line: #343c45; --good: #63d2a4; --bad: #ff8a80; --one: #79b8ff; --two: #f0b35f; --three: #c8a6ff;
  --change: #be95ff; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 1.5rem; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
header, main { max-width: 72rem; margin: 0 auto; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p, dt, .soft, figcaption, th { color: var(--soft); } p { margin: .25rem 0; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .5rem; margin: .5rem 0; }
dl div { background: var(--card); border: 1px solid var(--line); border-radius: .4rem; padding: .4rem .7rem; }
dd { margin: 0; font-size: 1.15rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
dt { font-size: .8rem; }
.bad { color: var(--bad); } .good { color: var(--good); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); gap: .75rem; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: .4rem;
  padding: .5rem .7rem; }
svg { width: 100%; height: auto; display: block; }
polyline { fill: none; stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.one { stroke: var(--one); fill: var(--one); } .two { stroke: var(--two); fill: var(--two); }
.three { stroke: var(--three); fill: var(--three); } polyline.one, polyline.two, polyline.three { fill: none; }
.change { stroke: var(--change); stroke-dasharray: 3 3; vector-effect: non-scaling-stroke; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; } .wide { overflow-x: auto; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td { overflow-wrap: anywhere; } time { white-space: nowrap; font-variant-numeric: tabular-nums; }
"""


def recent_page(store: MonitorStore, *, since: datetime, refresh: int | None = None) -> str:
    """Return the page of what `store` has of the time from `since` on."""
    samples = store.query(since=since, where={"event.kind": "metric"}, limit=_MOST)
    kinds = [store.query(since=since, where={"event.kind": kind}, limit=1_000) for kind in ("event", "alert")]
    events = sorted((one for kind in kinds for one in kind), key=lambda one: str(one["@timestamp"]))
    return status_page([*samples, *events], since=since, refresh=refresh)


def status_page(
    documents: Iterable[Mapping[str, Any]], *, since: datetime, now: datetime | None = None, refresh: int | None = None
) -> str:
    """Return the page of all pools and events in `documents`.

    Parameters
    ----------
    since
        From when on the charts show something.
    refresh
        Seconds after which a browser asks for it again; None where it is a file.
    """
    until = now or datetime.now(UTC)
    known = [one for one in documents if time_of(one) >= since]
    pools = summarize(known)
    events = [one for one in known if field(one, "event.kind") != "metric"]
    alerts = sum(1 for one in events if field(one, "event.outcome") == "failure")
    again = f'<meta http-equiv="refresh" content="{int(refresh)}">' if refresh else ""
    span = f"{_shown(since)} to {_shown(until)} UTC"
    state = f'<span class="bad">{alerts} alerts</span>' if alerts else '<span class="good">no alerts</span>'
    body = "".join(_pool(one, events, since, until) for one in pools) or "<p>No pool was sampled in this time.</p>"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">{again}
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,"><title>Exia status</title><style>{_STYLE}</style></head>
<body><header><h1>Exia status</h1><p>{escape(span)}: {len(pools)} pools, {state}</p></header>
<main>{body}<section><h2>Events</h2>{_events(events)}</section></main></body></html>
"""


def _pool(pool: PoolSummary, events: Sequence[Mapping[str, Any]], since: datetime, until: datetime) -> str:
    row = pool.row()
    last = pool.last
    tiles = [
        ("version", last.get("version"), False),
        ("calls a second", row["calls/s"], False),
        ("calls", f"{pool.calls:,}", False),
        ("errors", pool.errors, pool.errors > 0),
        ("time-outs", pool.timeouts, pool.timeouts > 0),
        ("in use", f"{last.get('in_use')} of {last.get('max_size')}", False),
        ("waiting", last.get("waiting"), False),
        ("held p99", _ms(row["hold p99 ms"]), False),
        ("waited p99", _ms(row["wait p99 ms"]), False),
    ]
    shown = "".join(
        f"<div><dt>{escape(name)}</dt><dd{' class=bad' if bad else ''}>{escape('-' if value is None else str(value))}"
        "</dd></div>"
        for name, value, bad in tiles
    )
    changes = [one for one in events if field(one, "event.action") in _CHANGES and _concerns(one, pool)]
    marks = [(time_of(one), _told(one)) for one in changes]
    charts = "".join(
        _chart(title, unit, lines, pool.samples, marks, since, until)
        for title, unit, lines in (
            ("Calls a second", "", [("calls_per_second", "one", 1.0)]),
            (
                "Held, ms: p50, p95, p99", " ms",
                [("hold.p50", "one", 1e-6), ("hold.p95", "two", 1e-6), ("hold.p99", "three", 1e-6)],
            ),
            ("Saturation", "", [("saturation", "one", 1.0)]),
            ("Errors and time-outs", "", [("errors", "three", 1.0), ("timeouts", "two", 1.0)]),
        )
    )  # fmt: skip
    where = f"service {pool.service}, host {pool.host}, process {pool.pid}"
    return (
        f'<section><h2>{escape(pool.name)} <span class="soft">{escape(where)}</span></h2><dl>{shown}</dl>'
        f'<div class="charts">{charts}</div></section>'
    )


def _chart(
    title: str,
    unit: str,
    lines: Sequence[tuple[str, str, float]],
    samples: Sequence[Mapping[str, Any]],
    marks: Sequence[tuple[datetime, str]],
    since: datetime,
    until: datetime,
) -> str:
    """Draw figures over time; a vertical line for each change, which says what it was."""
    series = [
        (colour, [(one["time"], value * factor) for one in samples if (value := field(one, name)) is not None])
        for name, colour, factor in lines
    ]
    top = max((value for _, points in series for _, value in points), default=0.0) or 1.0
    span = max((until - since).total_seconds(), 1e-3)

    def x(at: datetime) -> float:
        return round(_MARGIN + (at - since).total_seconds() / span * (_WIDTH - 2 * _MARGIN), 1)

    def y(value: float) -> float:
        return round(_HEIGHT - _MARGIN - value / top * (_HEIGHT - 2 * _MARGIN), 1)

    drawn = "".join(_line(colour, points, x, y) for colour, points in series)
    drawn += "".join(
        f'<line class="change" x1="{x(at)}" x2="{x(at)}" y1="0" y2="{_HEIGHT}"><title>{escape(what)}</title></line>'
        for at, what in marks
    )
    caption = f"{title}; top is {top:,.4g}{unit}"
    return (
        f'<figure><figcaption>{escape(caption)}</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(caption)}">{drawn}</svg></figure>'
    )


def _line(
    colour: str,
    points: Sequence[tuple[datetime, float]],
    x: Callable[[datetime], float],
    y: Callable[[float], float],
) -> str:
    if len(points) == 1:
        (at, value) = points[0]
        return f'<circle class="{colour}" cx="{x(at)}" cy="{y(value)}" r="2.5"/>'
    path = " ".join(f"{x(at)},{y(value)}" for at, value in points)
    return f'<polyline class="{colour}" points="{path}"/>' if points else ""


def _events(events: Sequence[Mapping[str, Any]]) -> str:
    if not events:
        return "<p>None.</p>"
    rows = "".join(
        f"<tr><td><time>{_shown(time_of(one))}</time></td>"
        f"<td{' class=bad' if field(one, 'event.outcome') == 'failure' else ''}>"
        f"{escape(str(field(one, 'event.action')))}</td>"
        f"<td>{escape(str(field(one, 'service.name')))}</td><td>{escape(_told(one))}</td></tr>"
        for one in reversed(events[-_SHOWN:])
    )
    return (
        '<div class="wide"><table><thead><tr><th>Time, UTC</th><th>What</th><th>Service</th><th>Details</th></tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def _concerns(event: Mapping[str, Any], pool: PoolSummary) -> bool:
    """Tell whether `event` is of the pool, or of parameters in its process."""
    name = field(event, "exia.pool.name")
    same = field(event, "process.pid") == pool.pid and field(event, "host.name") == pool.host
    return same and (name is None or name == pool.name)


def _told(event: Mapping[str, Any]) -> str:
    """Return what there is to say of `event`, in a line."""
    facts = {name: value for part in (event.get("exia") or {}).values() for name, value in part.items()}
    words = [str(facts.pop("name", ""))]
    if "old" in facts and "new" in facts:
        words.append(f"{facts.pop('old')} → {facts.pop('new')}")
    words += [f"{name} {value}" for name, value in facts.items() if name not in ("settings", "reason")]
    duration = field(event, "event.duration")
    words.append("" if duration is None else f"{duration / 1e6:,.3f} ms")
    words.append(str(field(event, "user.name") or ""))
    words.append(str(event.get("message") or field(event, "error.message") or ""))
    return ", ".join(word for word in words if word)


def _shown(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _ms(value: float | None) -> str | None:
    return None if value is None else f"{value:,.4g} ms"
