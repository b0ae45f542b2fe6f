"""The public clients, not modified but for the address, each in an environment of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ptolemy as pt
from ptolemy.catalogue import interfaces

ROOT = Path(__file__).resolve().parents[4]
ASK = Path(__file__).with_name("ask_tushare.py")


@pytest.fixture(scope="session", params=["1.4.29", "1.2.89"])
def client(request: pytest.FixtureRequest, public_client: Callable[[str], Path]) -> Any:
    """Give a callable that asks all of `calls` with one client and returns its answers."""
    python = public_client(request.param)

    def ask(url: str, *calls: tuple[str, dict[str, Any]], token: str = "any") -> list[Any]:
        done = subprocess.run(
            [str(python), str(ASK), url], input=json.dumps({"token": token, "calls": calls}), capture_output=True,
            text=True, timeout=120, env={"PATH": "/usr/bin:/bin", "HOME": str(ROOT / ".cache")}, check=True,
        )  # fmt: skip
        found = json.loads(done.stdout.splitlines()[-1])
        assert found["version"] == request.param
        return list(found["answers"])

    ask.version = request.param  # type: ignore[attr-defined]
    return ask


def frame(answer: Any) -> pd.DataFrame:
    assert "error" not in answer, answer
    return pd.DataFrame(answer["rows"], columns=answer["columns"])


def same(answer: Any, expected: pd.DataFrame, tolerance: float = 0.0) -> None:
    found = frame(answer)
    assert list(found.columns) == list(expected.columns)
    assert len(found) == len(expected)
    for name in expected.columns:
        if expected[name].dtype.kind in "fi":
            here, there = found[name].to_numpy(np.float64), expected[name].to_numpy(np.float64)
            np.testing.assert_allclose(here, there, rtol=1e-12, atol=tolerance, err_msg=name)
        else:
            assert found[name].tolist() == expected[name].where(expected[name].notna(), None).tolist(), name


@pytest.fixture(scope="session")
def here(real: str) -> pt.Api:
    return pt.api(series=real)


def test_each_way_to_ask_gives_the_frame_of_the_store(client: Any, service: Any, here: pt.Api):
    calls: list[tuple[str, dict[str, Any]]] = [
        ("daily", {"ts_code": "AAPL.US", "start_date": "20120101", "end_date": "20121231"}),
        ("daily", {"ts_code": "AAPL.US,IBM.US", "start_date": "20130101"}),
        ("daily", {"trade_date": "20130301"}),
        ("daily", {"ts_code": "FB.US", "fields": "trade_date,close,vol"}),
        ("daily", {"ts_code": "FB.US", "fields": ["trade_date", "ah_vol"]}),
        ("daily", {"ts_code": "FB.US", "limit": 10, "offset": 5}),
        ("daily", {"ts_code": "FB.US", "limit": "10", "trade_date": "", "start_date": None}),
        ("daily", {"ts_code": "NONE.US"}),
        ("adj_factor", {"ts_code": "MSFT.US"}),
        ("query", {"api_name": "daily", "ts_code": "IBM.US", "start_date": "20130201"}),
    ]

    for (name, words), answer in zip(calls, client(service.url, *calls), strict=True):
        words = {**words}
        same(answer, here.query(words.pop("api_name", name), **words))


def test_numbers_are_floats_even_where_all_of_them_are_whole(client: Any, service: Any):
    (answer,) = client(service.url, ("daily", {"trade_date": "20120103", "fields": "ts_code,vol"}))

    assert answer["numbers"] == ["vol"]


def test_bars_that_the_client_adjusts_are_those_that_we_adjust(client: Any, service: Any, here: pt.Api):
    # The newer client rounds to 2 decimals, the older to 4.
    decimals = 2 if client.version == "1.4.29" else 4
    wanted = [(c, a) for c in ("AAPL.US", "MSFT.US", "IBM.US", "GOOG.US", "FB.US") for a in ("qfq", "hfq")]
    words = {"start_date": "20000301", "end_date": "20130301", "ma": [5, 20]}

    answers = client(service.url, *(("pro_bar", {"ts_code": c, "adj": a, **words}) for c, a in wanted))

    columns = ["trade_date", "open", "high", "low", "close", "pre_close", "ma5", "ma20"]
    for (code, adj), answer in zip(wanted, answers, strict=True):
        ours = here.pro_bar(code, "20000301", "20130301", adj, ma=[5, 20], precision=decimals)  # type: ignore[arg-type]
        theirs = frame(answer)
        # Of a mean that lies between two decimals, the last bit decides.
        same(
            {"rows": theirs[columns].to_numpy().tolist(), "columns": columns},
            ours[columns],
            tolerance=1.01 * 10.0**-decimals,
        )
        assert np.abs(theirs["close"].to_numpy(np.float64) - ours["close"].to_numpy(np.float64)).max() < 1e-9


def test_bars_that_are_not_adjusted_are_the_traded_ones(client: Any, service: Any, here: pt.Api):
    (answer,) = client(
        service.url, ("pro_bar", {"ts_code": "IBM.US", "start_date": "20120101", "end_date": "20121231"})
    )

    columns = ["trade_date", "open", "high", "low", "close", "vol"]
    same(
        {"rows": frame(answer)[columns].to_numpy().tolist(), "columns": columns},
        here.daily("IBM.US", start_date="20120101", end_date="20121231", fields=columns),
    )


def test_all_pages_of_the_client_make_up_the_whole(client: Any, service: Any, here: pt.Api):
    calls = [("daily", {"ts_code": "GOOG.US", "limit": 500, "offset": begin}) for begin in range(0, 2500, 500)]

    pages = pd.concat([frame(a) for a in client(service.url, *calls)], ignore_index=True)

    assert pages["trade_date"].tolist() == here.daily("GOOG.US")["trade_date"].tolist()


def test_errors_reach_the_user_as_exceptions_with_our_text(client: Any, service: Any, serve: Any, real: str):
    wrong = client(
        service.url, ("dayly", {}), ("daily", {"start_date": "2012"}), ("daily", {"fields": "clse"}),
        ("daily", {"start_date": "20130101", "end_date": "20120101"}),
    )  # fmt: skip
    for answer, text in zip(wrong, ["did you mean 'daily'", "is not a date", "'close'", "is after"], strict=True):
        assert text in answer["error"]

    from ptolemy.http.tokens import Tokens

    closed = serve(real)
    tokens = Tokens(closed.home / "tokens.json", "ptl")
    _, text = tokens.create("desk", ["daily"], 2, None)
    assert client(closed.url, ("daily", {"limit": 1}), token="wrong")[0]["error"] == "您的token不对，请确认。"
    forbidden, fine, late = client(closed.url, ("adj_factor", {}), ("daily", {"limit": 1}), ("daily", {}), token=text)
    assert "没有接口访问权限" in forbidden["error"]
    assert len(frame(fine)) == 1
    assert "每分钟最多访问该接口2次" in late["error"]


@pytest.fixture(scope="session")
def everything(serve: Any, whole: str) -> Any:
    return serve(whole)


#: What is asked of each interface in Tushare's own examples.
ASKED: dict[str, dict[str, Any]] = {
    "stock_basic": {"exchange": "", "list_status": "L", "fields": "ts_code,symbol,name,area,industry,list_date"},
    "trade_cal": {"exchange": "", "start_date": "20180101", "end_date": "20181231"},
    "daily": {"ts_code": "AAPL.US", "start_date": "20050101", "end_date": "20050131"},
    "weekly": {"ts_code": "AAPL.US", "start_date": "20050101", "end_date": "20050331",
               "fields": "ts_code,trade_date,open,high,low,close,vol,amount"},
    "monthly": {"ts_code": "AAPL.US"},
    "adj_factor": {"ts_code": "", "trade_date": "20050228"},
    "daily_basic": {"ts_code": "", "trade_date": "20050104",
                    "fields": "ts_code,trade_date,turnover_rate,volume_ratio,pe,pb"},
    "suspend_d": {"suspend_type": "S", "trade_date": "20050104"},
    "stk_limit": {"ts_code": "SYN001.SH", "start_date": "20050101"},
    "namechange": {"ts_code": "SYN001.SH", "fields": "ts_code,name,start_date,end_date,change_reason"},
    "dividend": {"ts_code": "SYN001.SH", "fields": "ts_code,div_proc,stk_div,record_date,ex_date"},
    "index_basic": {"market": "SW"},
    "index_daily": {"ts_code": "SYN001.SH", "start_date": "20050104"},
    "index_weight": {"index_code": "SYN001.SH", "start_date": "20050101", "end_date": "20050131"},
    "fund_basic": {"market": "E"},
    "fund_daily": {"ts_code": "SYN002.SH"},
    "fut_basic": {"exchange": "DCE", "fields": "ts_code,symbol,exchange,name,fut_code,list_date,delist_date"},
    "fut_daily": {"ts_code": "SYN003.SH", "start_date": "20050101", "end_date": "20051114"},
    "moneyflow": {"trade_date": "20050104"},
    "stk_mins": {"ts_code": "MSFT.US", "freq": "1min", "start_date": "2004-11-15 09:30:00",
                 "end_date": "2004-11-15 16:00:00"},
    "us_basic": {},
    "us_daily": {"ts_code": "SYN001.SH", "start_date": "20050101", "end_date": "20050904"},
}  # fmt: skip


def test_all_interfaces_answer_the_client_in_columns_order_values_and_types(client: Any, everything: Any, whole: str):
    assert len(ASKED) == 22
    here = pt.api(series=whole)
    calls = [*ASKED.items(), *((name, {"limit": 2, "offset": 1}) for name in ASKED)]

    for (name, words), answer in zip(calls, client(everything.url, *calls), strict=True):
        ours = here.query(name, **words)
        same(answer, ours)
        # A column without any number is one of nulls in JSON.
        assert set(answer["numbers"]) == {c for c in ours if ours[c].dtype.kind == "f" and ours[c].notna().any()}, name
        if name not in ("fut_basic", "index_basic", "suspend_d"):  # made-up rows have no such exchange
            assert len(ours), name


def test_bars_of_five_frequencies_are_adjusted_in_three_ways_as_ours_are(client: Any, everything: Any, whole: str):
    decimals = 2 if client.version == "1.4.29" else 4
    here = pt.api(series=whole)
    wide, day = {"start_date": "20041101", "end_date": "20050331"}, {"start_date": "20041112", "end_date": "20041116"}
    moments = {"start_date": "2004-11-12 09:00:00", "end_date": "2004-11-16 16:00:00"}
    wanted = [(freq, adj) for freq in ("D", "W", "M", "1min", "5min") for adj in (None, "qfq", "hfq")]
    calls = [
        ("pro_bar", {"ts_code": "MSFT.US", "adj": adj, "freq": freq, **(moments if "min" in freq else wide)})
        for freq, adj in wanted
    ]

    for (freq, adj), answer in zip(wanted, client(everything.url, *calls), strict=True):
        ours = here.pro_bar("MSFT.US", adj=adj, freq=freq, precision=decimals, **(day if "min" in freq else wide))
        theirs = frame(answer)
        columns = [c for c in ours if c in ("trade_date", "trade_time", "open", "high", "low", "close", "vol")]
        assert len(ours) >= 3, freq
        same(
            {"rows": theirs[columns].to_numpy().tolist(), "columns": columns}, ours[columns],
            tolerance=1.01 * 10.0**-decimals,
        )  # fmt: skip


def test_what_was_not_collected_is_said_and_never_an_empty_frame(client: Any, service: Any):
    calls = [(name, {"limit": 1}) for name in interfaces()]

    for (name, _), answer in zip(calls, client(service.url, *calls), strict=True):
        if name in ("daily", "adj_factor", "trade_cal"):
            assert answer["columns"]
        else:
            assert name in answer["error"]
