from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ptolemy.errors import BadInput, NothingCollected
from ptolemy.series import Series, open_series
from ptolemy.sql import select
from ptolemy.testing.series import A1, A2, B1, KEY, bars

pytest.importorskip("duckdb", reason="SQL needs the extra duckdb: uv pip install 'jiyuan-ptolemy[duckdb]'")


@pytest.fixture
def filled() -> Series:
    series = open_series()
    with series:
        series.upsert("daily", bars(A1, A2, B1), key=KEY)
        series.upsert("daily", bars(("A.X", "20240102", 5.0)), key=KEY)
        series.compact("daily")
    return series


def test_a_select_reads_data_sets_as_tables(filled: Series):
    found = select("select ts_code, max(close) as top from daily group by all order by all")

    assert found.to_pylist() == [{"ts_code": "A.X", "top": 5.0}, {"ts_code": "B.X", "top": 10.0}]


def test_a_data_set_can_be_joined_with_itself(filled: Series):
    found = select("select count(*) as n from daily a join daily b using (trade_date)")

    assert found.to_pylist() == [{"n": 5}]


def test_an_earlier_version_can_be_asked(filled: Series):
    found = select("select close from DAILY where ts_code = 'A.X' and trade_date = '20240102'", as_of={"daily": 1})

    assert found.to_pylist() == [{"close": 1.0}]


@pytest.mark.parametrize(
    "statement",
    [
        "drop table daily",
        "insert into daily values ('C.X', '20240102', 1)",
        "copy daily to 'daily.csv'",
        "select 1; select 2",
        "attach 'other.db'",
        "install httpfs",
        "",
    ],
)
def test_what_is_not_one_select_is_refused(filled: Series, tmp_path: Path, statement: str):
    before = set(tmp_path.rglob("*"))

    with pytest.raises(BadInput, match="one SELECT and changes nothing"):
        select(statement)

    assert set(tmp_path.rglob("*")) == before


def test_no_file_and_no_variable_of_the_caller_can_be_read(filled: Series, tmp_path: Path):
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    mine: Any = bars(A1)

    with pytest.raises(BadInput, match="disabled by configuration"):
        select(f"select * from read_csv('{tmp_path / 'secret.csv'}')")
    with pytest.raises(NothingCollected, match="mine"):
        select("select * from mine")
    assert mine.num_rows == 1


def test_a_table_that_is_not_there_names_the_nearest(filled: Series):
    with pytest.raises(NothingCollected, match="nothing of dayly") as caught:
        select("select * from dayly")

    assert caught.value.hint == "did you mean 'daily'?"


def test_a_column_that_is_not_there_is_said_in_one_line(filled: Series):
    with pytest.raises(BadInput, match="nope") as caught:
        select("select nope from daily")

    assert "\n" not in str(caught.value)


def test_the_command_prints_a_table_json_or_csv(filled: Series, ptolemy: Callable[..., Any]):
    asked = "select ts_code, close from daily where close > 4 order by close"

    assert ptolemy("sql", asked).out.splitlines()[0].split() == ["TS_CODE", "CLOSE"]
    assert json.loads(ptolemy("sql", asked, "--json").out)[0] == {"ts_code": "A.X", "close": 5.0}
    assert ptolemy("sql", asked, "--csv").out == "ts_code,close\nA.X,5.0\nB.X,10.0\n"
    assert ptolemy("sql", "drop table daily").code == 2
    assert ptolemy("sql", "select * from dayly").code == 3
