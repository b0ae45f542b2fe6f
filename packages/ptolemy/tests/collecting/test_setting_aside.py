"""Rows that are wrong and rows that are missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ptolemy as pt
from ptolemy.collection import backfill
from ptolemy.errors import BadData
from ptolemy.journal import Journal

DAYS = ["20240102", "20240103", "20240104", "20240105", "20240108"]  # five sessions in Shanghai


def test_bad_rows_of_an_answer_are_set_aside_with_a_reason_and_can_be_released(
    tushare: str, stub: Any, ptolemy: Callable[..., Any]
):
    names = ["ts_code", "trade_date", "open", "high", "low", "close", "vol"]
    rows = [
        ["000001.SZ", "20240102", 10, 11, 9, 10, 100], ["000001.SZ", "20240102", 10, 11, 9, 10, 100],
        ["000002.SZ", "20240102", 10, 9, 11, 10, 100], ["000003.SZ", "20240102", "n.a.?", 11, 9, 10, 100],
        ["000004.SZ", "20240102", 10, 11, 9, [10], 100], ["000005.SZ", "20240101", 10, 11, 9, 10, 100],
        ["000006.SZ", "20240102", 10, 11, 9, None, 100],
    ]  # fmt: skip
    stub.special = [{"code": 0, "msg": "", "data": {"fields": names, "items": rows}}]

    (got,) = pt.collect(tushare, "daily", start="20240102", end="20240102")

    assert (got.rows, got.written, got.quarantined) == (7, 1, 6)
    assert pt.api().daily()["ts_code"].tolist() == ["000001.SZ"]
    with Journal() as journal:
        aside = journal.quarantine("daily")
    assert [row.kind for row in aside] == ["duplicate", "rule", "value", "value", "session", "missing"]
    assert "low <= high" in aside[1].reason
    assert "row 3" in aside[1].place
    assert "secret" not in json.dumps([row.source for row in aside])
    shown = json.loads(ptolemy("quality", "quarantine", "--json").out)
    assert [row["id"] for row in shown] == [row.id for row in aside]
    assert ptolemy("quality", "release", "5", "--dry-run").code == 0
    assert ptolemy("quality", "release", "5").code == 0
    assert pt.api().daily()["ts_code"].tolist() == ["000001.SZ", "000005.SZ"]
    assert ptolemy("quality", "release", "5").code == 3


def test_gaps_become_jobs_that_a_source_fills(tushare: str, stub: Any, ptolemy: Callable[..., Any]):
    pt.collect(tushare, "daily", start="20240102", end="20240108")
    with pt.open_series() as series:
        series.delete("daily", codes=["000001.SZ"], start="20240103", end="20240105")

    checked = ptolemy("quality", "check", "daily", "--backfill", "--no-late", "--json")
    assert checked.code == 1
    (gap,) = json.loads(checked.out)
    assert (gap["kind"], gap["code"], gap["start"], gap["end"], gap["rows"]) == (
        "gap", "000001.SZ", "20240103", "20240105", 3,
    )  # fmt: skip
    assert ptolemy("collect", "status", "--json").out.count('"waiting": 1') == 1
    stub.calls.clear()
    (filled,) = backfill(tushare)

    assert filled.written == 3
    assert [(c["params"]["trade_date"], c["params"]["ts_code"]) for c in stub.calls] == [
        (day, "000001.SZ") for day in DAYS[1:4]
    ]
    assert ptolemy("quality", "check", "daily", "--no-late").code == 0
    assert backfill(tushare) == []


def test_a_day_of_suspension_is_no_gap(tushare: str, tmp_path: Path, ptolemy: Callable[..., Any]):
    pt.collect(tushare, "daily", start="20240102", end="20240108")
    with pt.open_series() as series:
        series.delete("daily", codes=["000001.SZ"], start="20240104", end="20240104")
    (tmp_path / "s.csv").write_text("ts_code,trade_date,suspend_type\n000001.SZ,20240104,S\n")
    pt.collect("csv:s.csv", "suspend_d")

    assert ptolemy("quality", "check", "daily", "--no-late").code == 0


def test_bad_rows_of_a_file_are_refused_or_set_aside(tmp_path: Path, bars: Path):
    text = bars.read_text() + "600000.SH,20240103,20,19,21,20,100\n600000.SH,20240104,20,21,19,20,100\n"
    bars.write_text(text)
    with pytest.raises(BadData, match="low <= high"):
        pt.collect("csv:bars.csv", "daily")

    (got,) = pt.collect("csv:bars.csv", "daily", quarantine=True)

    assert (got.rows, got.written, got.quarantined) == (5, 4, 1)
