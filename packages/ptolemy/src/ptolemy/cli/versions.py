"""``ptolemy versions``: the history of one data set."""

from __future__ import annotations

from dataclasses import asdict

import click

from ptolemy._house.command import Command, json_option
from ptolemy._house.output import print_records
from ptolemy.cli._frames import series_option


@click.command(cls=Command, epilog="Example: ptolemy versions daily")
@click.argument("dataset")
@series_option
@json_option
def versions(dataset: str, series: str | None, as_json: bool) -> None:
    """Print every version of DATASET, oldest first; each can be read with --as-of."""
    from ptolemy.catalogue import interface
    from ptolemy.series import open_series

    with open_series(series) as store:
        rows = [asdict(v) for v in store.versions(interface(dataset).name)]
    print_records(rows, ["id", "rows", "written", "first", "last", "time"], as_json=as_json)
