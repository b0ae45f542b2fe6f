"""``ptolemy datasets``: what the catalogue knows and what of it is kept."""

from __future__ import annotations

import click

from ptolemy._house.command import Command, json_option
from ptolemy._house.output import print_records
from ptolemy.cli._frames import series_option


@click.command(cls=Command, epilog="Example: ptolemy datasets --json")
@series_option
@json_option
def datasets(series: str | None, as_json: bool) -> None:
    """Print every data set of the catalogue, with its rows and its range of days where some are kept."""
    from ptolemy.catalogue import interfaces
    from ptolemy.series import open_series

    rows = []
    with open_series(series) as store:
        kept = set(store.datasets())
        for name, interface in interfaces().items():
            newest = store.versions(name)[-1] if name in kept else None
            rows.append(
                {
                    "dataset": name,
                    "rows": newest.rows if newest else 0,
                    "version": newest.id if newest else None,
                    "first": newest.first if newest else None,
                    "last": newest.last if newest else None,
                    "title": interface.title,
                }
            )
    print_records(rows, ["dataset", "rows", "version", "first", "last", "title"], as_json=as_json)
