"""How a DataFrame is printed, and the options that commands share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ptolemy._house.output import print_records

if TYPE_CHECKING:
    import pandas as pd

series_option = click.option("--series", metavar="URL", help="Series store, such as arrow:///srv/series.")
csv_option = click.option("--csv", "as_csv", is_flag=True, help="Print the result as CSV.")
fields_option = click.option("--fields", metavar="A,B", help="Columns to print, in this order.")
start_option = click.option("--start-date", metavar="YYYYMMDD", help="First day, included.")
end_option = click.option("--end-date", metavar="YYYYMMDD", help="Last day, included.")


def complete_name(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the interfaces that begin so, for the shell's completion."""
    from ptolemy.catalogue import interfaces

    return [name for name in interfaces() if name.startswith(incomplete)]


def print_frame(frame: pd.DataFrame, *, as_json: bool, as_csv: bool) -> None:
    """Print a table, JSON records or CSV; what is missing is ``-``, null or empty."""
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    if as_csv:
        frame.to_csv(sys.stdout, index=False, lineterminator="\n")
        return
    names = list(frame.columns)
    cells = zip(*(frame[name].tolist() for name in names), strict=True)
    # NaN is the one value that differs from itself, and JSON has no word for it.
    rows = [{n: v if v == v else None for n, v in zip(names, row, strict=True)} for row in cells]
    print_records(rows, names, as_json=as_json)
