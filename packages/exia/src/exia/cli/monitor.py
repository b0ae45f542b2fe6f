"""``exia monitor``: what the pools of all processes have done."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exia._house.command import Group, json_option, note
from exia._house.output import print_record, print_records

if TYPE_CHECKING:
    from exia.monitor import MonitorStore

monitor = Group("monitor", help="See what the pools of all processes do, and what they have done.")

_EVENTS = ["time", "action", "service", "what", "outcome", "ms", "message"]
_TOP = [
    "service", "host", "pid", "pool", "version", "calls/s", "calls", "errors", "timeouts", "in use", "max", "waiting",
    "wait p99 ms", "hold p99 ms",
]  # fmt: skip
_MOST = 10_000

_where = click.option(
    "--where", "wheres", multiple=True, metavar="FIELD=VALUE", help="Only those with this value, as event.action=x."
)
_since = click.option(
    "--since", default="1h", show_default=True, metavar="TIME", help="From when on: 15m, 2h, 7d ago, or ISO 8601."
)


@monitor.command(epilog="Example: exia monitor tail -n 20")
@click.option("-n", "number", type=click.IntRange(1, _MOST), default=20, show_default=True, help="How many at first.")
@click.option("-f", "--follow", is_flag=True, help="Go on with each that comes; Ctrl-C ends it.")
@click.option("--samples", is_flag=True, help="With the figures of pools, not only events.")
@_where
@json_option
def tail(number: int, follow: bool, samples: bool, wheres: tuple[str, ...], as_json: bool) -> None:
    """Print the newest events, oldest first.

    With --json each is a JSON object on a line of its own.
    """
    fields = _fields(wheres)
    with closing(_open()) as store:
        shown = _newest(store, fields, samples, None, number)
        _print_lines(shown, as_json)
        seen = {one["event"]["id"]: one["@timestamp"] for one in shown}
        while follow:
            time.sleep(1.0)
            since = datetime.fromisoformat(max(seen.values())) - timedelta(seconds=60) if seen else None
            found = _newest(store, fields, samples, since, _MOST)
            _print_lines([one for one in found if one["event"]["id"] not in seen], as_json)
            seen = {one["event"]["id"]: one["@timestamp"] for one in found} or seen


@monitor.command(epilog="Example: exia monitor query --since 1d --where event.dataset=exia.params --json")
@_since
@click.option("--until", metavar="TIME", help="Until then, excluded; by default now.")
@_where
@click.option("--limit", type=click.IntRange(1, _MOST), default=100, show_default=True, help="The newest so many.")
@json_option
def query(since: str, until: str | None, wheres: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Print events and samples of a span of time, oldest first."""
    from exia.monitor.times import moment

    bounds = moment(since), moment(until) if until else None
    with closing(_open()) as store:
        found = store.query(since=bounds[0], until=bounds[1], where=_fields(wheres), limit=limit)
    print_records(found if as_json else [_row(one) for one in found], _EVENTS, as_json=as_json)


@monitor.command(epilog="Example: exia monitor top --since 15m")
@click.option("--since", default="15m", show_default=True, metavar="TIME", help="As in exia monitor query.")
@json_option
def top(since: str, as_json: bool) -> None:
    """Print the figures of each pool over a span of time, of every process that records to this store."""
    from exia.monitor.summary import summarize
    from exia.monitor.times import moment

    start = moment(since)
    with closing(_open()) as store:
        samples = store.query(since=start, where={"event.kind": "metric"}, limit=_MOST)
    print_records([one.row() for one in summarize(samples)], _TOP, as_json=as_json)


@monitor.command(epilog="Example: exia monitor page -o status.html")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default="exia-status.html",
              show_default=True, help="Where to write it; - is stdout.")  # fmt: skip
@_since
@json_option
def page(output: Path, since: str, as_json: bool) -> None:
    """Write the status page: one HTML file, which needs no network and no script."""
    from exia.monitor.page import recent_page
    from exia.monitor.times import moment

    start = moment(since)
    with closing(_open()) as store:
        text = recent_page(store, since=start)
    _write(output, text, as_json)


@monitor.command(epilog="Example: exia monitor kibana -o exia.ndjson")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default="exia.ndjson",
              show_default=True, help="Where to write it; - is stdout.")  # fmt: skip
@click.option("--prefix", help="Of the indices; by default that of the configured store, or exia.")
@json_option
def kibana(output: Path, prefix: str | None, as_json: bool) -> None:
    """Write a data view and a dashboard for Kibana 9.

    Import the file at Stack Management, Saved Objects. A new import replaces the old one.
    """
    from exia._house.backends import BackendURL
    from exia._house.config import load_config
    from exia.monitor.kibana import saved_objects
    from exia.settings import SETTINGS

    if prefix is None:
        configured = BackendURL.parse(load_config(SETTINGS).text("monitor"))
        prefix = configured.path.strip("/") if configured.scheme == "elasticsearch" else ""
    _write(output, saved_objects(prefix or "exia"), as_json)


@monitor.command(epilog="Example: exia monitor gc --days 30")
@click.option("--days", type=click.IntRange(1), default=30, show_default=True, help="Days that are kept.")
@click.option("--delete", is_flag=True, help="Delete the others; without it they are only listed.")
@json_option
def gc(days: int, delete: bool, as_json: bool) -> None:
    """List or delete the days that are too old."""
    from datetime import UTC

    first: date = datetime.now(UTC).date() - timedelta(days=days - 1)
    with closing(_open()) as store:
        old = [day for day in store.days() if day < first]
        for day in old if delete else ():
            store.drop(day)
    print_records([{"day": day.isoformat(), "deleted": delete} for day in old], ["day", "deleted"], as_json=as_json)
    if old and not delete:
        note(f"{len(old)} days are older; delete them with: exia monitor gc --days {days} --delete")


def _open() -> MonitorStore:
    """Open the configured store, with what processes that have ended left on this disk."""
    from exia.errors import BackendUnavailable
    from exia.monitor import open_monitor
    from exia.monitor.delivery import deliver_left

    store = open_monitor()
    try:
        deliver_left(store)
    except (BackendUnavailable, OSError) as exc:
        note(f"what ended processes have recorded could not be delivered: {exc}")
    return store


def _newest(
    store: MonitorStore, fields: Mapping[str, str], samples: bool, since: datetime | None, limit: int
) -> list[dict[str, Any]]:
    if samples or "event.kind" in fields:
        return store.query(since=since, where=fields, limit=limit)
    kinds = [store.query(since=since, where={**fields, "event.kind": kind}, limit=limit) for kind in ("event", "alert")]
    return sorted((one for kind in kinds for one in kind), key=lambda one: str(one["@timestamp"]))[-limit:]


def _fields(wheres: tuple[str, ...]) -> dict[str, str]:
    from exia.errors import BadInput

    fields = {}
    for text in wheres:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise BadInput(f"--where {text!r} is no FIELD=VALUE", hint="--where event.action=pool-swapped")
        fields[name] = value
    return fields


def _print_lines(documents: list[dict[str, Any]], as_json: bool) -> None:
    for document in documents:
        if as_json:
            click.echo(json.dumps(document, ensure_ascii=False))
            continue
        row = _row(document)
        words = [row["time"], row["action"], row["service"], row["what"]]
        words += [] if row["ms"] is None else [f"{row['ms']:g} ms"]
        words += [word for word in (row["outcome"], row["message"]) if word]
        line = "  ".join(words)
        click.echo("".join(c if c.isprintable() else "�" for c in line))
    sys.stdout.flush()


def _row(document: Mapping[str, Any]) -> dict[str, Any]:
    from exia.monitor.port import field

    duration = field(document, "event.duration")
    name = field(document, "exia.pool.name") or field(document, "exia.params.name")
    return {
        "time": document["@timestamp"],
        "action": field(document, "event.action") or field(document, "event.kind"),
        "service": field(document, "service.name"),
        "what": name or "-",
        "outcome": field(document, "event.outcome"),
        "ms": None if duration is None else round(duration / 1e6, 3),
        "message": document.get("message") or field(document, "error.message"),
    }


def _write(output: Path, text: str, as_json: bool) -> None:
    from exia._house.files import write_durably
    from exia.errors import BadInput

    if str(output) == "-":
        click.echo(text, nl=False)
        return
    try:
        write_durably(output, text.encode())
    except OSError as exc:
        raise BadInput(f"{output} cannot be written: {exc.strerror or exc}", hint="choose another with -o") from exc
    print_record({"written": str(output), "bytes": len(text.encode())}, as_json=as_json)
