"""``exia top``: the pools of all processes, as they are now."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from exia._house.command import Command, json_option
from exia._house.output import print_records
from exia.pooling.showing import Watch

_COLUMNS = [
    "pid", "pool", "version", "leases/s", "in use", "idle", "max", "waiting", "wait p99 ms", "hold p99 ms",
    "timeouts", "errors", "leaked",
]  # fmt: skip


@click.command(cls=Command, epilog="Example: exia top --once")
@click.option("--once", is_flag=True, help="Print one table and leave.")
@click.option("--interval", type=click.FloatRange(0.2, 60), default=1.0, show_default=True, help="Seconds between two.")
@json_option
def top(once: bool, interval: float, as_json: bool) -> None:
    """Show the open pools of all processes that share Exia's home.

    Processes write their figures once a second while this runs, and not otherwise. Leave with Ctrl-C.
    """
    with Watch() as watch:
        if once or as_json or not sys.stdout.isatty():
            watch.wait()
            before = watch.rows()
            time.sleep(interval)
            print_records(_rows(before, watch.rows()), _COLUMNS, as_json=as_json)
            return
        _live(watch, interval)


def _live(watch: Watch, interval: float) -> None:
    from rich.live import Live

    before: list[dict[str, Any]] = []
    with Live(_table([]), auto_refresh=False, screen=True) as live:
        while True:
            now = watch.rows()
            live.update(_table(_rows(before, now)), refresh=True)
            before = now
            time.sleep(interval)


def _table(rows: list[dict[str, Any]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(title="exia top", caption="Ctrl-C to leave" if rows else "no process has an open pool")
    for column in _COLUMNS:
        least = {"pid": 7, "pool": 8}.get(column)  # on a narrow terminal the others give way
        table.add_column(column, justify="left" if column in ("pool", "version") else "right", min_width=least)
    for row in rows:
        table.add_row(*(Text("" if row[c] is None else str(row[c])) for c in _COLUMNS))
    return table


def _rows(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = {(row["pid"], row["name"]): row for row in before}
    return [_row(known.get((row["pid"], row["name"])), row) for row in now]


def _row(before: dict[str, Any] | None, now: dict[str, Any]) -> dict[str, Any]:
    passed = now["time"] - before["time"] if before is not None else 0.0
    rate = round((now["leases"] - before["leases"]) / passed, 1) if before is not None and passed > 0 else None
    return {
        "pid": now["pid"],
        "pool": now["name"],
        "version": now["version"],
        "leases/s": rate,
        "in use": now["in_use"],
        "idle": now["idle"],
        "max": now["max_size"],
        "waiting": now["waiting"],
        "wait p99 ms": _ms(now["wait"]),
        "hold p99 ms": _ms(now["hold"]),
        "timeouts": now["timeouts"],
        "errors": sum(now["failures"].values()) + now["errors"],
        "leaked": now["leaked"],
    }


def _ms(quantiles: dict[str, float] | None) -> float | None:
    return None if quantiles is None else round(quantiles["p99"] * 1e3, 3)
