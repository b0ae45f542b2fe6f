"""``ptolemy query``: rows of one interface."""

from __future__ import annotations

import click

from ptolemy._house.command import Command, json_option
from ptolemy.cli._frames import (
    complete_name,
    csv_option,
    end_option,
    fields_option,
    print_frame,
    series_option,
    start_option,
)


@click.command(cls=Command, epilog="Example: ptolemy query daily --ts-code AAPL.US --start-date 20120101 --limit 5")
@click.argument("name", shell_complete=complete_name)
@click.option("--ts-code", metavar="CODES", help="Security code or a comma list of them.")
@click.option("--trade-date", metavar="YYYYMMDD", help="One day.")
@start_option
@end_option
@fields_option
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any other parameter of the interface, such as list_status=D; may be repeated.",
)
@click.option("--limit", type=int, help="At most so many rows, the newest.")
@click.option("--as-of", type=int, metavar="VERSION", help="Version to read; see ptolemy versions.")
@series_option
@csv_option
@json_option
def query(
    name: str,
    ts_code: str | None,
    trade_date: str | None,
    start_date: str | None,
    end_date: str | None,
    fields: str | None,
    params: tuple[str, ...],
    limit: int | None,
    as_of: int | None,
    series: str | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Print rows of the interface NAME, newest first."""
    from ptolemy.client import Api
    from ptolemy.errors import BadInput

    if name == "pro_bar":  # one of Tushare's names, but no interface: it takes other options
        raise BadInput("pro_bar is a command of its own", hint=f"ptolemy pro-bar {ts_code or 'TS_CODE'}")
    asked: dict[str, object] = {
        "ts_code": ts_code, "trade_date": trade_date, "start_date": start_date, "end_date": end_date, "limit": limit,
        "as_of": as_of,
    }  # fmt: skip
    for word in params:
        key, equals, value = word.partition("=")
        if not equals:
            raise click.UsageError(f"--param {word!r} is not NAME=VALUE")
        asked[key] = value
    with Api(series) as answers:
        frame = answers.query(name, fields, **{k: v for k, v in asked.items() if v is not None})
    print_frame(frame, as_json=as_json, as_csv=as_csv)
