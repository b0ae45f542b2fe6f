"""``ptolemy sql``: a SELECT over the series store."""

from __future__ import annotations

import click

from ptolemy._house.command import Command, json_option
from ptolemy.cli._frames import csv_option, print_frame, series_option


@click.command(cls=Command, epilog="Example: ptolemy sql 'select ts_code, max(close) from daily group by all'")
@click.argument("statement")
@series_option
@csv_option
@json_option
def sql(statement: str, series: str | None, as_csv: bool, as_json: bool) -> None:
    """Run one SELECT in DuckDB's SQL; each data set is a table, and nothing can be changed."""
    from ptolemy.sql import select

    print_frame(select(statement, series=series).to_pandas(), as_json=as_json, as_csv=as_csv)
