"""``ptolemy sample``: made-up rows for trying things out, labelled as such."""

from __future__ import annotations

from pathlib import Path

import click

from ptolemy._house.command import Group, json_option, note
from ptolemy._house.output import print_record
from ptolemy.cli._frames import complete_name, end_option, series_option, start_option

sample = Group("sample", help="Made-up rows for trying things out, labelled as synthetic.")
_out = click.option("--out", type=click.Path(path_type=Path), required=True, help="Parquet file to write.")
_seed = click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same rows.")


@sample.command(epilog="Example: ptolemy sample ticks AAPL.US --start-date 20130225 --out ticks.parquet")
@click.argument("ts_code")
@start_option
@end_option
@click.option("--a-minute", type=click.IntRange(1, 10_000), default=4, show_default=True, help="Trades in a minute.")
@_seed
@_out
@series_option
@json_option
def ticks(
    ts_code: str, start_date: str | None, end_date: str | None, a_minute: int, seed: int, out: Path,
    series: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Write trades that could have made the daily bars of TS_CODE that are kept: resampled, they are those bars."""
    from ptolemy import sample as made
    from ptolemy.client import Api

    with Api(series) as answers:
        bars = answers.arrow("daily", ts_code=ts_code, start_date=start_date, end_date=end_date)
    _write(out, made.ticks(bars, a_minute=a_minute, seed=seed), as_json)


@sample.command(epilog="Example: ptolemy sample rows moneyflow --day 20240102 --out moneyflow.parquet")
@click.argument("name", shell_complete=complete_name)
@click.option("--day", "days", multiple=True, metavar="YYYYMMDD", help="Day of the rows; may be repeated.")
@click.option("--codes", type=click.IntRange(1, 10_000), default=3, show_default=True, help="Number of securities.")
@_seed
@_out
@json_option
def rows(name: str, days: tuple[str, ...], codes: int, seed: int, out: Path, as_json: bool) -> None:
    """Write rows that obey the catalogue's file of the interface NAME and stand for nothing real."""
    from ptolemy import sample as made
    from ptolemy.catalogue import interface
    from ptolemy.request import read_day

    chosen = [day for text in days or ("20240102",) if (day := read_day("day", text))]
    _write(out, made.rows(interface(name), codes, chosen, seed), as_json)


def _write(out: Path, table: object, as_json: bool) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from ptolemy._house.files import replacing

    assert isinstance(table, pa.Table)
    with replacing(out.absolute()) as file:
        pq.write_table(table, file)
    print_record({"file": str(out), "rows": table.num_rows}, as_json=as_json)
    note("these rows are made up: the file's metadata says so")
