"""``ptolemy collect``: read sources into the series store."""

from __future__ import annotations

from dataclasses import asdict

import click

from ptolemy._house.command import Group, json_option, note, progress
from ptolemy._house.output import print_records
from ptolemy.cli._frames import series_option

collect = Group("collect", help="Read sources into the series store.")


@collect.command(epilog="Example: ptolemy collect run 'csv:bars.csv?mapping=bars.toml'")
@click.argument("source_url")
@click.option("--dataset", "datasets", multiple=True, metavar="NAME", help="Data set to collect; may be repeated.")
@series_option
@json_option
def run(source_url: str, datasets: tuple[str, ...], series: str | None, as_json: bool) -> None:
    """Read SOURCE_URL, check every row and keep what is new, all or nothing.

    SOURCE_URL is csv:FILE or parquet:FILE, with ?mapping=FILE.toml where the columns bear other names
    than the catalogue's.
    """
    from ptolemy.collection import collect as collect_all

    with progress("collect") as said:
        collected = collect_all(source_url, datasets or None, series, progress=said)
    print_records([asdict(c) for c in collected], ["dataset", "rows", "written", "version", "first", "last"],
                  as_json=as_json)  # fmt: skip
    if not any(c.written for c in collected):
        note("nothing new: the store holds these rows already")
