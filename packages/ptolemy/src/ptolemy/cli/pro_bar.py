"""``ptolemy pro-bar``: daily bars, adjusted or not."""

from __future__ import annotations

import click

from ptolemy._house.command import Command, json_option
from ptolemy.cli._frames import csv_option, end_option, fields_option, print_frame, series_option, start_option


@click.command(cls=Command, epilog="Example: ptolemy pro-bar AAPL.US --adj qfq --start-date 20121201")
@click.argument("ts_code")
@start_option
@end_option
@click.option("--adj", type=click.Choice(["qfq", "hfq"]), help="qfq: to the newest day of the range; hfq: by factor.")
@click.option("--precision", type=int, default=2, show_default=True, help="Decimals of adjusted prices.")
@click.option("--full", is_flag=True, help="Do not round adjusted prices.")
@fields_option
@series_option
@csv_option
@json_option
def pro_bar(
    ts_code: str,
    start_date: str | None,
    end_date: str | None,
    adj: str | None,
    precision: int,
    full: bool,
    fields: str | None,
    series: str | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Print daily bars of TS_CODE (a code or a comma list), newest first."""
    from ptolemy.client import pro_bar as bars

    frame = bars(
        ts_code, start_date, end_date, adj,  # type: ignore[arg-type]
        precision=None if full else precision, fields=fields, series=series,
    )  # fmt: skip
    print_frame(frame, as_json=as_json, as_csv=as_csv)
