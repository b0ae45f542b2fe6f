"""``exia runs``: what ran, and what came out."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from exia._house.command import (
    Group,
    dry_run_option,
    json_option,
    no_input_option,
    progress,
    yes_option,
)
from exia._house.output import print_record, print_records
from exia.errors import BackendUnavailable, BadInput, Conflict
from exia.runs import STATUSES, RunRecord, Status, open_runs
from exia.runs.query import find_runs, full_id, get_run

store_option = click.option("--runs", "url", metavar="URL", help="Where the runs are; by default as configured.")
where_option = click.option(
    "--where", metavar="FILTER", help="Only runs that fit, such as \"metrics.ic > 0.03 and tags.desk = 'alpha'\"."
)


@click.group(cls=Group, help="Show the records of runs; the beginning of a run's id is enough, if no other has it.")
def runs() -> None:
    pass


@runs.command("list", epilog="Example: exia runs list --where \"status = 'failed' and metrics.ic >= 0.03\"")
@where_option
@click.option("--name", help="Only runs of this name.")
@click.option("--status", type=click.Choice(STATUSES), help="Only runs that ended so, are running, or were lost.")
@click.option("--order-by", metavar="KEYS", help='Instead of newest first, such as "metrics.ic desc, started".')
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many at most.")
@store_option
@json_option
def list_(
    where: str | None,
    name: str | None,
    status: Status | None,
    order_by: str | None,
    limit: int,
    url: str | None,
    as_json: bool,
) -> None:
    """List runs, newest first. A run whose process died is shown as lost."""
    found = find_runs(where, name=name, status=status, order_by=order_by, limit=limit, store=url)
    print_records([_told(r) for r in found], ["id", "name", "status", "started", "metrics"], as_json=as_json)


@runs.command(epilog="Example: exia runs list --limit 1 --json")
@click.argument("run_id")
@click.option("--lineage", is_flag=True, help="Print what gave its results as a lineage record, which is JSON.")
@store_option
@json_option
def show(run_id: str, lineage: bool, url: str | None, as_json: bool) -> None:
    """Show one run."""
    record = get_run(run_id, store=url)
    if lineage:
        from exia.lineage import lineage_of

        print_record(lineage_of(record), as_json=True)
        return
    if as_json:
        print_record(_told(record), as_json=True)
        return
    plain = {k: v for k, v in _told(record).items() if k not in ("traceback", "facts") and v not in (None, {}, "")}
    print_record({**plain, **{f"facts.{k}": v for k, v in record.facts.items()}}, as_json=False)
    _print_lines(record.traceback or "")


@runs.command(epilog="Example: exia runs list --limit 1 --json")
@click.argument("run_id")
@store_option
@json_option
def output(run_id: str, url: str | None, as_json: bool) -> None:
    """Print what a run printed, if it was started with capture=True."""
    from exia.captured import printed

    text = printed(get_run(run_id, store=url).output)
    if as_json:
        print_record({"output": text}, as_json=True)
    else:
        _print_lines(text)


@runs.command(epilog="Example: exia runs list --limit 1 --json")
@click.argument("run_id")
@click.argument("tags", nargs=-1, required=True, metavar="KEY=VALUE...")
@store_option
@json_option
def tag(run_id: str, tags: tuple[str, ...], url: str | None, as_json: bool) -> None:
    """Set tags of a run, also of one that has ended."""
    from exia.runs.query import add_tags

    pairs = [text.partition("=") for text in tags]
    for key, equals, _ in pairs:
        if not equals:
            raise BadInput(f"{key!r} is no KEY=VALUE", hint="exia runs tag RUN desk=alpha")
    record = add_tags(run_id, {key: value for key, _, value in pairs}, store=url)
    print_record({"id": record.id, "tags": record.tags}, as_json=as_json)


@runs.command(epilog="Example: exia runs list --limit 1 --json")
@click.argument("run_id")
@click.argument("text")
@store_option
@json_option
def note(run_id: str, text: str, url: str | None, as_json: bool) -> None:
    """Write a remark to a run, also to one that has ended."""
    from exia.runs.query import add_note

    record = add_note(run_id, text, store=url)
    print_record({"id": record.id, "notes": record.notes}, as_json=as_json)


@runs.command(epilog="Example: exia runs list --limit 1 --json")
@click.argument("run_id")
@click.argument("name")
@click.option("--output", "file", type=click.Path(path_type=Path, dir_okay=False), help="By default as it is called.")
@store_option
@json_option
def artifact(run_id: str, name: str, file: Path | None, url: str | None, as_json: bool) -> None:
    """Write one file of a run here; its digest is checked."""
    from exia.runs.query import read_artifact

    data = read_artifact(run_id, name, store=url)
    target = file or Path(Path(name).name)
    if file is None and target.exists():
        raise Conflict(f"{target} is there already", hint=f"--output FILE, also --output {target} to replace it")
    _write(target, data)
    print_record({"written": str(target), "bytes": len(data)}, as_json=as_json)


@runs.command(epilog="Example: exia runs list --limit 2 --json")
@click.argument("run_ids", nargs=-1, required=True)
@click.option("--differing", is_flag=True, help="Only what differs.")
@store_option
@json_option
def compare(run_ids: tuple[str, ...], differing: bool, url: str | None, as_json: bool) -> None:
    """Show params, last metrics, tags and what runs were made of side by side.

    That is the code, the commit, the environment, packages, data sets and versions of parameters.
    """
    from exia.runs.comparing import side_by_side

    with closing(open_runs(url)) as store:
        ids = dict.fromkeys(full_id(store, run_id) for run_id in run_ids) if len(run_ids) > 1 else {}
        if len(ids) < 2:
            raise BadInput("there is nothing to compare", hint="give the ids of two runs or more")
        records = [get_run(run_id, store=store) for run_id in ids]
    rows = [row for row in side_by_side(records) if not differing or row["differs"] == "yes"]
    columns = ["value", *(r.id for r in records), "differs"]
    print_records(rows, columns, as_json=as_json)


@runs.command(epilog="Example: exia runs plot --where \"name = 'momentum'\" --metric ic --output ic.svg")
@click.argument("run_ids", nargs=-1)
@where_option
@click.option("--metric", required=True, help="What to draw.")
@click.option("--by", type=click.Choice(["step", "time"]), default="step", show_default=True, help="What lies across.")
@click.option("--output", "file", type=click.Path(path_type=Path), help="Draw it into this .svg or .png too.")
@store_option
@json_option
def plot(
    run_ids: tuple[str, ...],
    where: str | None,
    metric: str,
    by: str,
    file: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Draw a metric of one run or several: as a line of blocks here, and as a picture with --output.

    By time, seconds since the start of each run lie across.
    """
    from exia.charts import draw
    from exia.runs.housekeeping import chosen

    with closing(open_runs(url)) as store:
        records = chosen(run_ids, where, store)
        points = {record.id: store.points(record.id, metric) for record in records}
    if not any(points.values()):
        known = sorted({name for record in records for name in record.metrics})
        raise BadInput(f"no such run has a metric {metric!r}", hint=f"known: {', '.join(known) or 'none'}")
    if file is not None:
        lines = {f"{r.name} {_short(r.id, records)}": _line(r, points[r.id], by) for r in records}
        drawn = draw(lines, file.suffix[1:], title=metric, x_label="step" if by == "step" else "seconds")
        _write(file, drawn)
    rows = [{"id": r.id, "name": r.name, **_summary([p.value for p in points[r.id]])} for r in records]
    print_records(rows, ["id", "name", "points", "first", "last", "min", "max", "line"], as_json=as_json)


@runs.command(epilog="Example: exia runs export --where \"name = 'momentum'\" --output runs")
@click.argument("run_ids", nargs=-1)
@where_option
@click.option(
    "--output", "folder", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="A folder."
)
@store_option
@json_option
def export(run_ids: tuple[str, ...], where: str | None, folder: Path, url: str | None, as_json: bool) -> int:
    """Write runs into a folder each: run.json, metrics.csv, output.txt and their files.

    Exit code 1 if bytes of a file are not there any more.
    """
    from exia.runs.housekeeping import chosen, export_run

    with closing(open_runs(url)) as store, progress("runs") as tell:
        records = chosen(run_ids, where, store)
        done = []
        for record in records:
            done.append(export_run(record, store, folder))
            tell(len(done), len(records))
    rows = [d._asdict() for d in done]
    print_records(rows, ["id", "folder", "metrics", "artifacts", "missing"], as_json=as_json)
    return 1 if any(d.missing for d in done) else 0


@runs.command(epilog="Example: exia runs gc --older-than 90d --dry-run")
@click.option("--older-than", metavar="SPAN", help="Only runs that ended so long ago: 30d, 12h, 90m.")
@where_option
@dry_run_option
@yes_option
@no_input_option
@store_option
@json_option
def gc(
    older_than: str | None,
    where: str | None,
    dry_run: bool,
    yes: bool,
    no_input: bool,
    url: str | None,
    as_json: bool,
) -> None:
    """Remove runs that have ended or were lost, and files that no run has had for a week."""
    from exia.runs.housekeeping import remove_runs, span_of

    if older_than is None and where is None:
        raise BadInput("nothing says which runs may go", hint="exia runs gc --older-than 90d --dry-run")
    age = span_of(older_than) if older_than is not None else None
    with closing(open_runs(url)) as store, progress("runs") as tell:
        found = remove_runs(where, older_than=age, dry_run=True, store=store)
        if not dry_run and (found.runs or found.files):
            _confirm(f"Remove {found.runs} runs and {found.files} files of {found.bytes} bytes?", yes, no_input)
            found = remove_runs(where, older_than=age, dry_run=False, store=store, progress=tell)
    print_record(found._asdict(), as_json=as_json)


@runs.command(epilog="Example: exia runs ship")
@store_option
@json_option
def ship(url: str | None, as_json: bool) -> None:
    """Deliver what waits on this disk to the store and its mirror now.

    Processes deliver what they record by themselves; this is for what a dead one has left.
    """
    from exia.runs.housekeeping import ship as deliver

    with progress("bytes") as tell:
        done = deliver(url, progress=tell)
    print_records([d._asdict() for d in done], ["place", "records", "left"], as_json=as_json)
    for shipped in done:
        if shipped.error is not None:
            raise BackendUnavailable(shipped.error, hint="what waits is safe on this disk; exia doctor")


def _told(record: RunRecord) -> dict[str, Any]:
    return {k: v for k, v in vars(record).items() if k != "output"}


def _line(record: RunRecord, points: list[Any], by: str) -> list[tuple[float, float]]:
    from datetime import datetime

    if by == "step":
        return [(p.step, p.value) for p in points]
    start = datetime.fromisoformat(record.started)
    return [((datetime.fromisoformat(p.time) - start).total_seconds(), p.value) for p in points]


def _summary(values: list[float]) -> dict[str, Any]:
    from exia.charts import sparkline

    if not values:
        return {"points": 0, "first": None, "last": None, "min": None, "max": None, "line": ""}
    facts = {"first": values[0], "last": values[-1], "min": min(values), "max": max(values)}
    return {"points": len(values), **facts, "line": sparkline(values)}


def _short(run_id: str, records: list[RunRecord]) -> str:
    """Return the end of an id, which differs where the beginning says the time."""
    return next((run_id[-n:] for n in (6, 12) if len({r.id[-n:] for r in records}) == len(records)), run_id)


def _write(file: Path, data: bytes) -> None:
    try:
        file.write_bytes(data)
    except OSError as exc:
        raise BadInput(f"{file} cannot be written: {exc.strerror or exc}") from None


def _print_lines(text: str) -> None:
    for line in text.splitlines():
        # As in a table, a control character in data must not drive the reader's terminal.
        print("".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in line))


def _confirm(question: str, yes: bool, no_input: bool) -> None:
    if yes:
        return
    if no_input:
        raise BadInput(f"{question} nobody may be asked", hint="add --yes")
    click.confirm(question, abort=True, err=True)
