"""``ptolemy collect``: read sources into the series store."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from ptolemy._house.command import Group, json_option, note, progress
from ptolemy._house.output import json_text, print_records
from ptolemy.cli._frames import end_option, series_option, start_option

collect = Group("collect", help="Read sources into the series store.")
_dataset = click.option("--dataset", "datasets", multiple=True, metavar="NAME", help="Data set; may be repeated.")
_codes = click.option("--code", "codes", multiple=True, metavar="CODE", help="Security; may be repeated.")
_COLUMNS = ["dataset", "rows", "written", "version", "first", "last"]


@collect.command(epilog="Example: ptolemy collect run 'csv:bars.csv?mapping=bars.toml'")
@click.argument("source_url")
@_dataset
@start_option
@end_option
@_codes
@click.option("--quarantine", is_flag=True, help="Set bad rows of a file aside and keep the others.")
@click.option("--again", is_flag=True, help="Ask once more for days that were answered already.")
@series_option
@json_option
def run(
    source_url: str, datasets: tuple[str, ...], start_date: str | None, end_date: str | None, codes: tuple[str, ...],
    quarantine: bool, again: bool, series: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Read SOURCE_URL, check every row and keep what is new.

    A file is kept whole or not at all: csv:FILE or parquet:FILE, with ?mapping=FILE.toml where the columns bear
    other names than the catalogue's.

    tushare://:TOKEN@HOST, python:MODULE:FUNCTION and an https:// address with {day}, {start}, {end} or {code} in it
    are asked for what can be new, by the calendar. What is interrupted goes on where it was; bad rows are set aside.
    """
    from ptolemy.collection import collect as collect_all

    with progress("collect") as said:
        collected = collect_all(
            source_url, datasets or None, series, start=start_date, end=end_date, codes=codes or None,
            quarantine=quarantine, again=again, progress=said,
        )  # fmt: skip
    _print(collected, as_json)


@collect.command(epilog="Example: ptolemy collect backfill python:fetch.py:bars --dataset daily")
@click.argument("source_url")
@_dataset
@start_option
@end_option
@_codes
@series_option
@json_option
def backfill(
    source_url: str, datasets: tuple[str, ...], start_date: str | None, end_date: str | None, codes: tuple[str, ...],
    series: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Ask SOURCE_URL for what is missing: gaps that ptolemy quality check --backfill found, and what failed.

    With --start-date it also asks anew for every day from there on.
    """
    from ptolemy.collection import backfill as fill

    with progress("backfill") as said:
        collected = fill(
            source_url, datasets or None, series, start=start_date, end=end_date, codes=codes or None, progress=said
        )
    _print(collected, as_json)


@collect.command(epilog="Example: ptolemy collect status --json")
@_dataset
@series_option
@json_option
def status(datasets: tuple[str, ...], series: str | None, as_json: bool) -> None:
    """Print how far each data set is behind its calendar, what waits, what failed and what was set aside."""
    from ptolemy.journal import Journal
    from ptolemy.schedule import states
    from ptolemy.series import open_series

    with open_series(series) as store, Journal() as journal:
        rows = [asdict(state) for state in states(store, journal, datasets)]
    columns = ["dataset", "rows", "last", "expected", "behind", "waiting", "failed", "quarantined", "due"]
    print_records(rows, columns, as_json=as_json)


@collect.command(epilog="Example: ptolemy collect schedule python:fetch.py:bars --dataset daily --dry-run")
@click.argument("source_url")
@_dataset
@click.option("--once", is_flag=True, help="Collect what is due now, and end.")
@click.option("--dry-run", is_flag=True, help="Print when each data set is due next, and end.")
@series_option
@json_option
def schedule(
    source_url: str, datasets: tuple[str, ...], once: bool, dry_run: bool, series: str | None, as_json: bool
) -> None:
    """Collect from SOURCE_URL whenever a session's rows are there, by the catalogue's times, until Ctrl-C.

    A source that does not answer is asked again after ten minutes. Each pass prints a line, or a JSON record.
    """
    from datetime import UTC, datetime

    from ptolemy.calendars import due
    from ptolemy.catalogue import interface
    from ptolemy.schedule import run as loop
    from ptolemy.sources import open_source

    with open_source(source_url) as source:
        names = [interface(name).name for name in datasets or source.datasets()]
    if not names:
        raise click.UsageError("name the data sets with --dataset")
    if dry_run:
        now = datetime.now(UTC)
        times = [(name, due(interface(name).calendar, interface(name).update, now)) for name in names]
        rows = [{"dataset": n, "due": at.isoformat(timespec="seconds") if at else None} for n, at in times]
        print_records(rows, ["dataset", "due"], as_json=as_json)
        return

    def told(collected: list[Any]) -> None:
        for each in collected:
            if as_json:
                click.echo(" ".join(json_text(asdict(each)).split()))
            else:
                aside = f", {each.quarantined} set aside" if each.quarantined else ""
                click.echo(f"{each.dataset}: {each.written} of {each.rows} rows new{aside}")

    loop(source_url, names, series, told=told, failed=lambda exc: note(f"{exc}; asking again later"),
         passes=1 if once else None)  # fmt: skip


@collect.command(epilog="Example: ptolemy collect resample stk_mins --json")
@click.argument("name", type=click.Choice(["ticks", "stk_mins"]))
@start_option
@end_option
@_codes
@series_option
@json_option
def resample(
    name: str, start_date: str | None, end_date: str | None, codes: tuple[str, ...], series: str | None, as_json: bool
) -> None:
    """Make bars of minutes of the ticks that are kept, or daily bars of the minutes; what is kept stays.

    Bars bear the time of their right edge; a whole day in Shanghai has 241 of one minute.
    """
    from ptolemy.collection import resampled

    _print([resampled(name, series, start=start_date, end=end_date, codes=codes or None)], as_json)


def _print(collected: list[Any], as_json: bool) -> None:
    print_records([asdict(c) for c in collected], _COLUMNS, as_json=as_json)
    aside = sum(c.quarantined for c in collected)
    if aside:
        note(f"{aside} rows were set aside; see ptolemy quality quarantine")
    if not any(c.written for c in collected):
        note("nothing new: the store holds these rows already" if collected else "nothing waits")
