"""``ptolemy store``: look after the series store."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ptolemy._house.command import Group, dry_run_option, json_option, no_input_option, note, yes_option
from ptolemy._house.output import print_record, print_records
from ptolemy.cli._frames import end_option, series_option, start_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptolemy.series import Series

store = Group("store", help="Look after the series store.")
_COLUMNS = ["dataset", "rows", "version", "oldest", "first", "last", "files", "bytes", "log_records", "log_bytes"]


@store.command(epilog="Example: ptolemy store stats")
@click.argument("datasets", nargs=-1)
@series_option
@json_option
def stats(datasets: tuple[str, ...], series: str | None, as_json: bool) -> None:
    """Print what is kept of each data set: rows, versions, files, bytes and the log that is not compacted."""
    from ptolemy.series import open_series

    with open_series(series) as held:
        rows = [asdict(held.stats(name)) for name in _chosen(held, datasets)]
    print_records(rows, _COLUMNS, as_json=as_json)


@store.command(epilog="Example: ptolemy store verify")
@click.argument("datasets", nargs=-1)
@click.option("--repair", is_flag=True, help="Put a damaged end of a log aside, so that what lies before it is read.")
@series_option
@json_option
def verify(datasets: tuple[str, ...], repair: bool, series: str | None, as_json: bool) -> None:
    """Read all that is kept against its checksums.

    The exit code is 1 if anything is not what was written.
    """
    from ptolemy.series import open_series
    from ptolemy.series.arrow import ArrowSeries

    found = []
    with open_series(series) as held:
        for name in _chosen(held, datasets):
            aside = held.repair(name) if repair and isinstance(held, ArrowSeries) else None
            if aside is not None:
                note(f"{name}: what could not be read is in {aside}")
            if isinstance(held, ArrowSeries) and (torn := held.unfinished(name)):
                note(
                    f"{name}: {torn} bytes at the end of the log were never acknowledged; the next writer removes them"
                )
            rows = held.verify(name)
            found.append({"dataset": name, "rows": rows, "version": held.stats(name).version, "verified": True})
    print_records(found, ["dataset", "rows", "version", "verified"], as_json=as_json)


@store.command(epilog="Example: ptolemy store compact daily --versions 10")
@click.argument("datasets", nargs=-1)
@click.option("--versions", type=int, metavar="N", help="Keep the N newest versions readable and forget the others.")
@click.option("--before", metavar="YYYYMMDD", help="Forget all rows before this day, and all older versions.")
@yes_option
@no_input_option
@dry_run_option
@series_option
@json_option
def compact(
    datasets: tuple[str, ...],
    versions: int | None,
    before: str | None,
    yes: bool,
    no_input: bool,
    dry_run: bool,
    series: str | None,
    as_json: bool,
) -> None:
    """Bring what is kept into the form that is read fastest."""
    from ptolemy.errors import BadInput
    from ptolemy.request import read_day
    from ptolemy.series import open_series

    day = read_day("--before", before)
    if day is not None and versions not in (None, 1):
        raise BadInput("--before forgets every older version, so --versions cannot keep them", hint="leave it out")
    with open_series(series) as held:
        chosen = _chosen(held, datasets)
        if day is not None and not dry_run and not yes:
            if no_input:
                raise BadInput("--before destroys rows", hint="say so with --yes")
            click.confirm(f"Forget all rows of {', '.join(chosen)} before {day}?", abort=True, err=True)
        rows = []
        for name in chosen:
            if day is not None and not dry_run:
                held.delete(name, end=_before(day))
            rows.append(asdict(held.stats(name) if dry_run else held.compact(name, versions=1 if day else versions)))
            if day is not None and dry_run:
                gone = held.read(name, end=_before(day), columns=[held.stats(name).key[-1]]).num_rows
                note(f"{name}: {gone} rows lie before {day}")
    print_records(rows, _COLUMNS, as_json=as_json)


@store.command(epilog="Example: ptolemy store export daily daily.parquet")
@click.argument("dataset")
@click.argument("file", type=click.Path(dir_okay=False))
@start_option
@end_option
@click.option("--as-of", type=int, metavar="VERSION", help="Version to export; see ptolemy versions.")
@series_option
@json_option
def export(
    dataset: str,
    file: str,
    start_date: str | None,
    end_date: str | None,
    as_of: int | None,
    series: str | None,
    as_json: bool,
) -> None:
    """Write DATASET to FILE, which ends with .parquet or .arrow."""
    from pathlib import Path

    from ptolemy.request import read_day
    from ptolemy.series import open_series
    from ptolemy.series.transfer import export_rows

    start, end = read_day("--start-date", start_date), read_day("--end-date", end_date)
    with open_series(series) as held:
        rows = export_rows(held, dataset, Path(file), start=start, end=end, as_of=as_of)
    print_record({"dataset": dataset, "rows": rows, "file": file}, as_json=as_json)


@store.command("import", epilog="Example: ptolemy store import daily.parquet")
@click.argument("file", type=click.Path(dir_okay=False))
@series_option
@json_option
def import_(file: str, series: str | None, as_json: bool) -> None:
    """Write the rows of FILE, which ptolemy store export has made, all or none."""
    from pathlib import Path

    from ptolemy.series import open_series
    from ptolemy.series.transfer import import_rows

    with open_series(series) as held:
        version = import_rows(held, Path(file))
    print_record(asdict(version), as_json=as_json)


def _chosen(held: Series, names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names)) or held.datasets()


def _before(day: str) -> str:
    """Return what is greater than every day before `day`, and less than `day`."""
    from datetime import datetime, timedelta

    return (datetime.strptime(day, "%Y%m%d") - timedelta(days=1)).strftime("%Y%m%d")
