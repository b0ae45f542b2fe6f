from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from ptolemy.catalogue import interface
from ptolemy.errors import BadData, BadInput, NotFound, PtolemyError, UnknownBackend
from ptolemy.sources import Source, open_source
from ptolemy.testing import SourceContract
from ptolemy.testing.sources import ROWS


def as_csv() -> bytes:
    lines = [",".join(ROWS), *(",".join(map(str, row)) for row in zip(*ROWS.values(), strict=True))]
    return "\n".join(lines).encode()


@pytest.fixture(params=["csv", "csv.gz", "parquet"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    path = tmp_path / f"bars.{request.param}"
    if request.param == "parquet":
        pyarrow.parquet.write_table(pa.table(ROWS), path)
    else:
        path.write_bytes(gzip.compress(as_csv()) if request.param == "csv.gz" else as_csv())
    with open_source(f"{request.param.partition('.')[0]}://{path}") as opened:
        yield opened


class TestSource(SourceContract):
    """All of `SourceContract`, once per kind of file."""


def read(url: str, name: str = "daily") -> pa.Table:
    with open_source(url) as source:
        return pa.concat_tables(batch.table for batch in source.read(interface(name)))


@pytest.fixture
def mapped(tmp_path: Path):
    """Give a callable that reads a CSV through a mapping."""

    def call(text: str, mapping: str, name: str = "daily") -> pa.Table:
        (tmp_path / "own.csv").write_text(text)
        (tmp_path / "own.toml").write_text(mapping)
        return read("csv:own.csv?mapping=own.toml", name)

    return call


FACTORS = '[adj_factor]\nts_code = "c"\ntrade_date = "d"\nadj_factor = '


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ('"f"', 6.0),
        ('{ column = "f", multiply = 10 }', 60.0),
        ('{ column = "f", divide = 100 }', 0.06),
        ('{ column = "f", over = "g" }', 1.5),
        ('{ column = "f", divide = 7, decimals = 2 }', 0.86),
    ],
)
def test_a_number_is_scaled_as_the_mapping_says(mapped, field: str, value: float):
    table = mapped("c,d,f,g\nA,20240102,6,4\n", FACTORS + field, "adj_factor")

    assert table["adj_factor"].to_pylist() == [value]


def test_codes_get_a_prefix_and_a_suffix_and_dates_their_format(mapped):
    mapping = """
    [adj_factor]
    ts_code = { column = "c", prefix = "X", suffix = ".US" }
    trade_date = { column = "d", format = "%d/%m/%y" }
    adj_factor = "f"
    """

    table = mapped("d,c,f\n02/01/24, A ,1\n", mapping, "adj_factor")

    assert table.to_pylist() == [{"ts_code": "XA.US", "trade_date": "20240102", "adj_factor": 1.0}]


def test_codes_are_kept_in_upper_case(mapped):
    assert mapped("c,d,f\naapl.us,20240102,1\n", FACTORS + '"f"', "adj_factor")["ts_code"].to_pylist() == ["AAPL.US"]


@pytest.mark.parametrize("text", ["", " ", "NaN", "NA", "null", "None"])
def test_what_stands_for_nothing_is_missing(mapped, text: str):
    assert mapped(f"c,d,f\nA,20240102,{text}\n", FACTORS + '"f"', "adj_factor")["adj_factor"].to_pylist() == [None]


DERIVING = """
[daily]
ts_code = "c"
trade_date = "d"
close = "p"
pre_close = { derive = "pre_close", factor = { column = "f" } }
change = { derive = "change" }
pct_chg = { derive = "pct_chg" }
"""


def test_the_previous_close_is_put_on_the_basis_of_the_day_within_each_security(mapped):
    # Out of order on purpose: the day before is the one with the earlier date, not the line above.
    table = mapped("c,d,p,f\nA,20240103,55,2\nB,20240103,7,1\nA,20240102,100,1\n", DERIVING)

    assert table["pre_close"].to_pylist() == [50.0, None, None]
    assert table["change"].to_pylist() == [5.0, None, None]
    assert table["pct_chg"].to_pylist() == [10.0, None, None]


def test_a_parquet_file_with_typed_dates_needs_no_format(tmp_path: Path):
    table = pa.table({**ROWS, "trade_date": pa.array([date(2024, 1, 2), date(2024, 1, 3), date(2024, 1, 2)])})
    pyarrow.parquet.write_table(table, tmp_path / "bars.parquet")

    assert read("parquet:bars.parquet")["trade_date"].to_pylist() == ROWS["trade_date"]


def test_a_parquet_column_of_another_type_is_refused(tmp_path: Path):
    pyarrow.parquet.write_table(pa.table({**ROWS, "open": pa.array([True, False, True])}), tmp_path / "bars.parquet")

    with pytest.raises(BadData, match=r"bars\.parquet, column open: it holds bool, not numbers"):
        read("parquet:bars.parquet")


def test_blank_lines_are_no_rows_and_are_counted_as_lines(tmp_path: Path):
    (tmp_path / "a.csv").write_text("ts_code,trade_date,adj_factor\n\nA,20240102,1\n\nA,20240103,x\n\n")

    with pytest.raises(BadData, match=r"a\.csv line 5, column adj_factor: 'x' is not a number"):
        read("csv:a.csv", "adj_factor")


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path):
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfts_code,trade_date,adj_factor\r\nA,20240102,1\r\n")

    assert read("csv:a.csv", "adj_factor").num_rows == 1


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (
            b"ts_code,trade_date,adj_factor\nA,20240102,1\nA,20240103\n",
            "line 3: it has 2 values, the first line names 3",
        ),
        (b"ts_code,trade_date,adj_factor\nA,20240102,1,9\n", "line 2: it has 4 values, the first line names 3"),
        (b"ts_code,trade_date,adj_factor\nA,20240230,1\n", "line 2, column trade_date: '20240230' is not a date"),
        (b"ts_code,trade_date,adj_factor\nA,2024-01-02,1\n", "line 2, column trade_date: '2024-01-02' is not a date"),
        (b"ts_code,trade_date,adj_factor\nA,20240102,1e\nA,20240103,?\n", r"'1e' is not a number \(and 1 more\)"),
        (b"ts_code,trade_date,adj_factor\nA,20240102,inf\n", "'inf' is not a number"),
        (b"ts_code,trade_date,factor\nA,20240102,1\n", "the column 'adj_factor' is missing"),
        (b"ts_code,trade_date,adj_factor,adj_factor\nA,20240102,1,1\n", "there are two columns 'adj_factor'"),
        (b"", "the column 'ts_code' is missing"),
        (b"\xff\xfe\x00", "line 1: it is not UTF-8 text"),
        (b"ts_code,trade_date,adj_factor\n\xff,20240102,1\n", "invalid UTF8"),
        (b"\x1f\x8bbroken", "it cannot be read"),
        (gzip.compress(b"ts_code,trade_date,adj_factor\n" + b"A,20240102,1\n" * 9999)[:-20], "it cannot be read"),
    ],
)
def test_a_broken_csv_is_refused_with_its_place(tmp_path: Path, data: bytes, why: str):
    (tmp_path / "a.csv").write_bytes(data)

    with pytest.raises(BadData, match=why) as caught:
        read("csv:a.csv", "adj_factor")

    assert str(caught.value).startswith("a.csv")
    assert "\n" not in str(caught.value)


def test_a_column_that_is_missing_comes_with_the_nearest_one(tmp_path: Path):
    (tmp_path / "a.csv").write_text("ts_code,trade_date,adj_fctor\nA,20240102,1\n")

    with pytest.raises(BadData) as caught:
        read("csv:a.csv", "adj_factor")

    assert caught.value.hint == "did you mean 'adj_fctor'?"


@pytest.mark.parametrize(
    ("mapping", "why"),
    [
        ("[dialy]", "no interface is called 'dialy'"),
        ('daily = "x"', "daily must be a section"),
        ('[daily]\nopne = "o"', r"\[daily\] names 'opne', which daily does not have"),
        ("[daily]\nopen = 1", "must name a source column"),
        ('[daily]\nopen = { colum = "o" }', "'colum' is not known"),
        ("[daily]\nopen = { column = 1 }", "column cannot be 1"),
        ('[daily]\nopen = { column = "o", divide = true }', "divide cannot be True"),
        ('[daily]\nopen = { column = "o", divide = 0 }', "no division by 0"),
        ("[daily]\nopen = { divide = 2 }", "needs either a column, a value or derive"),
        ('[daily]\nopen = { derive = "open" }', "'open' cannot be derived"),
        ("[daily", "cannot be read"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_refused_by_file_and_word(mapped, mapping: str, why: str):
    with pytest.raises(BadInput, match=why) as caught:
        mapped("c,d,p\n", mapping)

    assert "own.toml" in str(caught.value)


def test_what_is_derived_needs_what_it_is_made_of(mapped):
    with pytest.raises(BadData, match="pre_close is not mapped"):
        mapped("c,d,p\nA,20240102,1\n", '[daily]\nts_code="c"\ntrade_date="d"\nclose="p"\nchange={derive="change"}')


@pytest.mark.parametrize(
    ("url", "error", "why"),
    [
        ("csv:none.csv", NotFound, "there is no file none.csv"),
        ("parquet:none.parquet", NotFound, "there is no file none.parquet"),
        ("csv:", BadInput, "names no file"),
        ("csv://bars.csv", BadInput, "names a host"),
        ("csv:own.csv?maping=x", BadInput, "has the option 'maping'"),
        ("csv:own.csv?mapping=none.toml", NotFound, "there is no mapping file none.toml"),
        ("cvs:own.csv", UnknownBackend, "known: csv, "),
        ("parquet:own.csv", BadData, "it cannot be read"),
    ],
)
def test_a_source_that_cannot_be_opened_is_refused(tmp_path: Path, url: str, error: type[PtolemyError], why: str):
    (tmp_path / "own.csv").write_text("a\n")

    with pytest.raises(error, match=why):
        read(url)
