"""``ptolemy quality``: what is wrong with what is kept, and what was set aside."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from ptolemy._house.command import Group, dry_run_option, json_option, note, progress
from ptolemy._house.output import print_record, print_records
from ptolemy.cli._frames import complete_name, series_option

quality = Group("quality", help="What is wrong with what is kept, and what was set aside.")
_datasets = click.argument("datasets", nargs=-1, metavar="[DATASET]...", shell_complete=complete_name)


@quality.command(epilog="Example: ptolemy quality check daily --no-late --json")
@_datasets
@click.option("--backfill", is_flag=True, help="Make each gap a job for ptolemy collect backfill.")
@click.option("--quarantine", is_flag=True, help="Set rows that stand out aside and take them from the store.")
@click.option("--late/--no-late", default=True, help="Whether a data set that is behind its calendar is a finding.")
@series_option
@json_option
def check(
    datasets: tuple[str, ...], backfill: bool, quarantine: bool, late: bool, series: str | None, as_json: bool
) -> int:
    """Look through the data sets that are kept: gaps, spikes, stale rows, wrong units, lateness.

    It ends with exit code 1 if it finds something.
    """
    from ptolemy.inspection import inspect
    from ptolemy.journal import Journal
    from ptolemy.series import open_series

    with open_series(series) as store, Journal() as journal, progress("check") as said:
        findings = inspect(store, datasets, journal=journal, backfill=backfill, quarantine=quarantine, progress=said)
    rows = [asdict(f) for f in findings if late or f.kind != "late"]
    print_records(rows, ["dataset", "kind", "code", "start", "end", "rows", "why"], as_json=as_json)
    if not rows:
        note("nothing is wrong with what is kept")
    return 1 if rows else 0


@quality.command(epilog="Example: ptolemy quality report --out quality.html")
@_datasets
@click.option("--out", type=click.Path(path_type=Path), default=Path("quality.html"), show_default=True,
              help="File to write.")  # fmt: skip
@series_option
@json_option
def report(datasets: tuple[str, ...], out: Path, series: str | None, as_json: bool) -> None:
    """Write what ptolemy quality check finds, with a map of what is there, as one HTML page."""
    from ptolemy._house.files import write_durably
    from ptolemy.inspection import inspect
    from ptolemy.journal import Journal
    from ptolemy.report import quality_page
    from ptolemy.schedule import states
    from ptolemy.series import open_series

    with open_series(series) as store, Journal() as journal, progress("report") as said:
        findings = inspect(store, datasets, journal=journal, progress=said)
        page = quality_page(store, journal, findings, states(store, journal, datasets))
    write_durably(out.absolute(), page.encode())
    print_record({"report": str(out), "findings": len(findings)}, as_json=as_json)


@quality.command("quarantine", epilog="Example: ptolemy quality quarantine --json")
@click.option("--dataset", metavar="NAME", help="Rows of this data set.")
@json_option
def list_quarantine(dataset: str | None, as_json: bool) -> None:
    """Print the rows that were set aside, each with its reason."""
    from ptolemy.journal import Journal

    with Journal() as journal:
        rows = [asdict(row) for row in journal.quarantine(dataset)]
    print_records(rows, ["id", "dataset", "code", "time", "kind", "reason", "place"], as_json=as_json)


@quality.command(epilog="Example: ptolemy quality release 1 --dry-run")
@click.argument("ids", nargs=-1, type=int, required=True)
@dry_run_option
@series_option
@json_option
def release(ids: tuple[int, ...], dry_run: bool, series: str | None, as_json: bool) -> None:
    """Keep rows that were set aside after all, by their IDS; they are right, or the best that there is."""
    from ptolemy.inspection import release as release_rows
    from ptolemy.journal import Journal
    from ptolemy.series import open_series

    with Journal() as journal:
        rows = journal.quarantine(ids=ids)
        if not dry_run:
            with open_series(series) as store:
                release_rows(store, journal, ids)
    print_records([asdict(row) for row in rows], ["id", "dataset", "code", "time", "kind", "reason"], as_json=as_json)
