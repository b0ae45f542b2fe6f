"""What a source is asked for, what is kept of its answers, and how it goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest

import ptolemy as pt
from ptolemy.catalogue import interface
from ptolemy.errors import BadData, NoPermission
from ptolemy.journal import Journal
from ptolemy.sources import Wanted, open_source

DAYS = ["20240102", "20240103", "20240104", "20240105", "20240108"]  # five sessions in Shanghai


def days_of(frame: Any) -> list[str]:
    return sorted(set(frame["trade_date"]))


def test_every_session_is_asked_for_once_and_only_what_can_be_new_the_next_time(tushare: str, stub: Any):
    (first,) = pt.collect(tushare, "daily", start="20240101", end="20240104")
    assert [c["params"]["trade_date"] for c in stub.calls] == ["20240102", "20240103", "20240104"]
    assert (first.rows, first.written, first.questions) == (6, 6, 3)

    stub.calls.clear()
    (second,) = pt.collect(tushare, "daily", end="20240108")

    assert [c["params"]["trade_date"] for c in stub.calls] == ["20240105", "20240108"]
    assert second.written == 4
    assert days_of(pt.api().daily()) == DAYS
    assert stub.calls[0]["token"] == "secret"
    assert pt.api().daily()["amount"].isna().all()
    (third,) = pt.collect(tushare, "daily", end="20240108")
    assert (third.questions, third.written) == (0, 0)


def test_asking_again_changes_nothing_and_makes_no_version(tushare: str, stub: Any):
    pt.collect(tushare, "daily", start="20240102", end="20240108")
    before = pt.versions("daily")
    stub.calls.clear()

    pt.collect(tushare, "daily", start="20240102", end="20240108")
    assert stub.calls == []
    pt.collect(tushare, "daily", start="20240102", end="20240108", again=True)

    assert len(stub.calls) == 5
    assert pt.versions("daily") == before


def test_what_was_interrupted_goes_on_where_it_was(tushare: str, stub: Any):
    refused = {"code": 40203, "msg": "抱歉，您没有接口访问权限，权限的具体详情访问：https://tushare.pro", "data": None}
    fine = json.loads(stub.answer({"params": {"trade_date": "20240102"}})[1])
    stub.calls.clear()
    stub.special = [fine, refused]
    with pytest.raises(NoPermission, match="没有接口访问权限"):
        pt.collect(tushare, "daily", start="20240102", end="20240108")
    assert days_of(pt.api().daily()) == ["20240102"]
    with Journal() as journal:
        (failed,) = journal.jobs(["failed"])
    assert (failed.wanted.start, failed.dataset) == ("20240103", "daily")

    stub.calls.clear()
    pt.collect(tushare, "daily", start="20240102", end="20240108")

    assert [c["params"]["trade_date"] for c in stub.calls] == DAYS[1:]
    assert days_of(pt.api().daily()) == DAYS


def test_a_cut_answer_is_asked_on_and_a_service_without_pages_is_told(tushare: str, stub: Any):
    stub.cap = 3
    codes = [f"{i:06}.SZ" for i in range(8)]
    known = interface("daily")
    with open_source(tushare) as source:
        (batch,) = source.read(known, wanted=Wanted("20240102", "20240102", tuple(codes), "trade_date"))
        assert batch.table["ts_code"].to_pylist() == codes
        assert [c["params"]["offset"] for c in stub.calls] == [0, 3, 6]

        stub.knows_offset = False
        stub.special = []
        original = stub.answer
        stub.answer = lambda asked: (  # type: ignore[method-assign]  # it says that there is more, and gives the same
            200, original(asked)[1].replace(b'"has_more": false', b'"has_more": true')
        )  # fmt: skip
        with pytest.raises(BadData, match="does not know offset"):
            list(source.read(known, wanted=Wanted("20240102", "20240102", tuple(codes), "trade_date")))


def test_reference_data_is_asked_for_in_each_of_its_states(tushare: str, stub: Any):
    names = ["ts_code", "name", "list_status"]
    stub.special = [
        {"code": 0, "msg": "", "data": {"fields": names, "items": [[f"00000{i}.SZ", "n", state]]}}
        for i, state in enumerate("LDP")
    ]

    pt.collect(tushare, "stock_basic")

    assert [c["params"]["list_status"] for c in stub.calls] == ["L", "D", "P"]
    assert pt.api().stock_basic(list_status="L,D,P")["ts_code"].tolist() == ["000000.SZ", "000001.SZ", "000002.SZ"]


def test_what_is_asked_by_another_day_than_its_key_is_asked_once(tushare: str, stub: Any):
    names = ["ts_code", "end_date", "ann_date", "div_proc", "cash_div"]
    stub.special = [
        {"code": 0, "msg": "", "data": {"fields": names, "items": [["000001.SZ", "20231231", day, f"step {day}", 1.0]]}}
        for day in ("20240102", "20240103", "20240104")
    ]

    pt.collect(tushare, "dividend", start="20240102", end="20240103")
    (again,) = pt.collect(tushare, "dividend", end="20240104")

    assert [c["params"]["ann_date"] for c in stub.calls] == ["20240102", "20240103", "20240104"]
    assert (again.questions, len(pt.api().dividend(ann_date="20240104"))) == (1, 1)


def test_bars_of_minutes_are_asked_for_security_by_security(tushare: str, stub: Any):
    row = ["000001.SZ", "2024-01-02 15:00:00", 10, 10, 10, 10, 100, 1000]
    names = ["ts_code", "trade_time", "open", "close", "high", "low", "vol", "amount"]
    stub.special = [{"code": 0, "msg": "", "data": {"fields": names, "items": [row]}}] * 2
    with pytest.raises(pt.BadInput, match="security by security"):
        pt.collect(tushare, "stk_mins", start="20240102", end="20240102")

    pt.collect(tushare, "stk_mins", start="20240102", end="20240102", codes="000001.SZ")
    pt.collect(tushare, "stk_mins", end="20240103")

    assert [(c["params"]["start_date"], c["params"]["end_date"], c["params"]["freq"]) for c in stub.calls] == [
        ("2024-01-02 00:00:00", "2024-01-02 23:59:59", "1min"), ("2024-01-03 00:00:00", "2024-01-03 23:59:59", "1min"),
    ]  # fmt: skip
    assert pt.api().stk_mins(fields="trade_time,freq").to_numpy().tolist() == [["2024-01-02 15:00:00", "1min"]]


def test_nothing_is_asked_before_it_is_said_where_to_begin(tushare: str, stub: Any):
    with pytest.raises(pt.BadInput, match="not said from which day") as caught:
        pt.collect(tushare, "daily")
    assert "--start-date" in str(caught.value.hint)
    with pytest.raises(pt.BadInput, match="is after"):
        pt.collect(tushare, "daily", start="20240105", end="20240102")
    assert stub.calls == []
