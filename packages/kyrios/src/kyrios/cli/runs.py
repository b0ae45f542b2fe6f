"""``kyrios runs``: list, show, logs."""

from __future__ import annotations

import click

from kyrios._house.command import Group, json_option
from kyrios._house.output import json_text, print_record, print_records
from kyrios.errors import NotFound

runs = Group("runs", help="Look at the record of runs.")


@runs.command("list", epilog="Example: kyrios runs list --json")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@json_option
def list_(limit: int, as_json: bool) -> None:
    """List the newest runs, newest first."""
    from kyrios import run

    rows = [
        {
            "run": r.run_id,
            "flow": r.head.flow,
            "state": r.state.value,
            "engine": r.head.engine,
            "started": r.started,
            "seconds": r.seconds,
        }
        for r in run.runs(limit)
    ]
    print_records(rows, ["run", "flow", "state", "engine", "started", "seconds"], as_json=as_json)


@runs.command(epilog="Example: kyrios runs show RUN")
@click.argument("run_id", metavar="RUN")
@json_option
def show(run_id: str, as_json: bool) -> None:
    """Show one run and its units."""
    from kyrios.run import get_run

    run = get_run(run_id)
    head = {
        "run": run.run_id,
        "flow": run.head.flow,
        "digest": run.head.digest,
        "state": run.state.value,
        "engine": run.head.engine,
        "host": run.head.host,
        "started": run.started,
        "ended": run.ended,
        "params": dict(run.head.params),
        "where": run.where,
    }
    if as_json:
        print(json_text({**head, "units": [vars(t) for t in run.tasks]}))
        return
    print_record(head, as_json=False)
    print()
    rows = [{**vars(t), "unit": t.name, "rows": [o["rows"] for o in t.outputs]} for t in run.tasks]
    print_records(rows, ["unit", "state", "attempts", "seconds", "rows", "error"], as_json=False)


@runs.command(epilog="Example: kyrios runs logs RUN")
@click.argument("run_id", metavar="RUN")
@click.argument("unit", required=False)
@json_option
def logs(run_id: str, unit: str | None, as_json: bool) -> None:
    """Print what a unit, or each unit of a run, has printed and logged."""
    from kyrios.execution import log_path
    from kyrios.run import get_run

    run = get_run(run_id)
    paths = {name: log_path(run_id, name) for name in ([run.task(unit).name] if unit else [t.name for t in run.tasks])}
    found = {name: path.read_text(encoding="utf-8") for name, path in paths.items() if path.is_file()}
    if unit and not found:
        raise NotFound(f"unit {unit} of run {run_id} has no log on this machine")
    if as_json:
        print(json_text([{"unit": name, "path": str(paths[name]), "text": text} for name, text in found.items()]))
        return
    for text in found.values():
        print(text, end="")
