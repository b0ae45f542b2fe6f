"""Rows as JSON text are what a JSON writer makes of them value by value."""

from __future__ import annotations

import json
import math
from typing import Any
from unittest.mock import patch

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from ptolemy.answers import Answer
from ptolemy.http import text
from ptolemy.http.text import json_items

NUMBERS = [
    st.integers(-(10**11), 10**11).map(lambda n: n / 100),
    st.integers(0, 10**4).map(lambda n: n / 100),
    st.integers(-(10**13), 10**13).map(lambda n: n / 10_000),
    st.floats(),
]


def asked_one_by_one(table: pa.Table) -> Any:
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    return [[v if not isinstance(v, float) or math.isfinite(v) else None for v in row] for row in rows]


def check(table: pa.Table) -> None:
    wanted = asked_one_by_one(table)

    for small in (0, 10_000):  # both ways of writing
        with patch.object(text, "SMALL", small):
            assert json.loads(json_items(Answer(table, table.num_rows))) == wanted
            assert json.loads(json_items(Answer(table, table.num_rows, backwards=True))) == wanted[::-1]
            assert json_items(Answer(table, 0), b'{"a":', b"}") == b'{"a":' + json_items(Answer(table, 0)) + b"}"


@given(st.data())
def test_any_values_are_written_as_they_are(data: st.DataObject):
    count = data.draw(st.integers(0, 120), "rows")

    def column(values: Any) -> Any:
        one = data.draw(st.lists(values | st.none(), min_size=1, max_size=6))
        return [one[i % len(one)] for i in range(count)]

    columns: list[Any] = []
    for _ in range(data.draw(st.integers(1, 4), "columns")):
        kind = data.draw(st.sampled_from(["text", "even", "int", *range(len(NUMBERS))]))
        if kind == "int":
            columns.append(pa.array(column(st.integers(-(2**62), 2**62)), pa.int64()))
        elif isinstance(kind, int):
            columns.append(pa.array(column(NUMBERS[kind]), pa.float64()))
        else:
            letters = st.characters(exclude_categories=["Cs"])
            columns.append(
                pa.array(column(st.text(letters, min_size=2, max_size=2 if kind == "even" else 9)), pa.string())
            )

    check(pa.table(columns, names=[f"c{i}" for i in range(len(columns))]))


@pytest.mark.parametrize("rows", [1, 250, 2048, 2049, 5000])
def test_a_long_answer_is_written_in_parts_that_follow_one_another(rows: int):
    chance = np.random.default_rng(rows)
    days: Any = [f"2024{i % 12 + 1:02}{i % 28 + 1:02}" for i in range(rows)]
    close: Any = chance.uniform(1, 100, rows).round(2)
    amount: Any = chance.uniform(0, 1e9, rows).round(3)
    close[::7] = np.nan
    table = pa.table(
        {"ts_code": ["A.X"] * rows, "trade_date": days, "close": close, "amount": amount, "n": range(rows)}
    )

    check(table)
    check(pa.concat_tables([table, table.slice(rows // 2)]).slice(rows // 3))


@pytest.mark.parametrize("word", ['a"b', "a\\b", "a\nb", "a\0b", "a\x7fb", "中文吗", ""])
def test_a_text_that_json_writes_otherwise_is_written_so(word: str):
    check(pa.table({"a": [word] * 3, "b": [word, "x", None]}))
    check(pa.table({"a": [word] * 300, "b": [word, "x", None] * 100, "c": [1.5] * 300}))


@pytest.mark.parametrize("small", [0, 600])
def test_a_number_keeps_its_point_and_its_shortest_form(small: int):
    table = pa.table({"a": [3.0, 12.5, 0.05, -0.25, 10000.0, 12345678.9, 99999999.99, 1e8, 0.0001, 1e-5]})

    with patch.object(text, "SMALL", small):
        assert json_items(Answer(table, 10)) == (
            b"[[3.0],[12.5],[0.05],[-0.25],[10000.0],[12345678.9],[99999999.99],[100000000.0],[0.0001],[0.00001]]"
        )
