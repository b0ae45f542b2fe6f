"""Rows as an Arrow stream: what a reader gets is what was asked for, newest first, whatever is in it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import ptolemy as pt
from ptolemy.answers import Answer, answer
from ptolemy.http.arrow import SMALL, arrow_stream


def read(answer: Answer) -> pa.Table:
    return pa.ipc.open_stream(arrow_stream(answer)).read_all()


def rows(count: int) -> pa.Table:
    return pa.table(
        {
            "ts_code": ["AAPL.US"] * count,
            "trade_date": [f"{20200000 + i}" for i in range(count)],
            "close": pa.array(np.arange(count) + 0.5),
            "vol": pa.array(np.arange(count)),
            "name": [f"day {i:05}" for i in range(count)],
            "amount": pa.array(np.arange(count) * 2.0),
        }
    )


@pytest.mark.parametrize("count", [0, 1, 2, 7, 250, SMALL, SMALL + 1])
def test_a_security_is_read_newest_first(count: int) -> None:
    table = rows(count)

    assert read(Answer(table, count, backwards=True)).to_pylist() == table.to_pylist()[::-1]
    assert read(Answer(table, count)).to_pylist() == table.to_pylist()


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1.5, None, 3.5, 4.5]),
        pa.array(["a", None, "b", "c"]),
        pa.array(["", "", "", ""]),
        pa.array(["一", "bc", "", "平安银行"]),
        pa.array([1, 2, 3, 4], pa.int32()),
        pa.array([True, False, False, True]),
        pa.array([float("nan"), 1.0, float("inf"), -0.0]),
    ],
    ids=["no number", "no text", "empty texts", "texts of any width", "short numbers", "truths", "special numbers"],
)
def test_what_else_a_column_may_hold_is_turned_around_too(column: pa.Array) -> None:  # type: ignore[type-arg]
    table = rows(4).append_column("it", column)

    found = read(Answer(table, 4, backwards=True))

    assert repr(found.to_pylist()) == repr(table.to_pylist()[::-1])
    assert found.schema == table.schema


def test_a_part_of_a_longer_table_is_only_that_part() -> None:
    table = rows(100).slice(17, 40)

    assert read(Answer(table, 40, backwards=True)).to_pylist() == table.to_pylist()[::-1]
    assert table.to_pylist() == rows(100).to_pylist()[17:57]


def test_the_rows_of_a_real_security_need_not_be_taken_one_by_one(real: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pt.open_series(real) as series:
        found = answer(series, "daily", "ts_code,trade_date,open,vol", {"ts_code": "IBM.US", "start_date": "20120101"})
        expected = found.table.to_pylist()
        again = answer(series, "daily", "ts_code,trade_date,open,vol", {"ts_code": "IBM.US", "start_date": "20120101"})
    monkeypatch.setattr(Answer, "table", None)

    assert again.backwards
    assert read(again).to_pylist() == expected
