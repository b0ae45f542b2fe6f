"""``exia runs``: what ran, and what came out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from exia._house.command import Group, json_option
from exia._house.output import print_record, print_records
from exia.errors import BadInput
from exia.runs import STATUSES, RunRecord, RunStore, Status, open_runs

store_option = click.option("--runs", "url", metavar="URL", help="Where the runs are; by default as configured.")


@click.group(cls=Group, help="Show the records of runs.")
def runs() -> None:
    pass


@runs.command("list", epilog="Example: exia runs list --status failed")
@click.option("--name", help="Only runs of this name.")
@click.option("--status", type=click.Choice(STATUSES), help="Only runs that ended so, or are running.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many at most.")
@store_option
@json_option
def list_(name: str | None, status: Status | None, limit: int, url: str | None, as_json: bool) -> None:
    """List runs, newest first."""
    with _opened(url) as store:
        found = store.find(name, status, limit)
    print_records([vars(r) for r in found], ["id", "name", "status", "started", "metrics"], as_json=as_json)


@runs.command(epilog="Example: exia runs list --limit 1 --json")
@click.argument("run_id")
@store_option
@json_option
def show(run_id: str, url: str | None, as_json: bool) -> None:
    """Show one run."""
    with _opened(url) as store:
        record = store.get(run_id)
    if as_json:
        print_record(vars(record), as_json=True)
        return
    trace = record.traceback
    print_record({k: v for k, v in vars(record).items() if k != "traceback" and v not in (None, {}, "")}, as_json=False)
    for line in (trace or "").splitlines():
        # As in a table, a control character in data must not drive the reader's terminal.
        print("".join(c if c.isprintable() else "\ufffd" for c in line))


@runs.command(epilog="Example: exia runs list --limit 2 --json")
@click.argument("run_ids", nargs=-1, required=True)
@store_option
@json_option
def compare(run_ids: tuple[str, ...], url: str | None, as_json: bool) -> None:
    """Show params and last metrics side by side."""
    if len(set(run_ids)) < 2:
        raise BadInput("there is nothing to compare", hint="give the ids of two runs or more")
    with _opened(url) as store:
        records = [store.get(run_id) for run_id in dict.fromkeys(run_ids)]
    rows = list(_side_by_side(records))
    columns = ["value", *(r.id for r in records), "differs"]
    print_records(rows, columns, as_json=as_json)


def _side_by_side(records: list[RunRecord]) -> Iterator[dict[str, Any]]:
    for kind in ("params", "metrics"):
        for key in sorted({k for r in records for k in getattr(r, kind)}):
            values = [getattr(r, kind).get(key) for r in records]
            differs = "yes" if any(v != values[0] for v in values) else "no"
            cells = {r.id: v for r, v in zip(records, values, strict=True)}
            yield {"value": f"{kind}.{key}", **cells, "differs": differs}


@contextmanager
def _opened(url: str | None) -> Iterator[RunStore]:
    store = open_runs(url)
    try:
        yield store
    finally:
        store.close()
