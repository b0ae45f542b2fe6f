from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ptolemy as pt

DAILY = ["ts_code", "trade_date", "open", "high", "low", "close", "pre_close", "change", "pct_chg", "vol", "amount"]


@pytest.fixture
def api(real: str) -> pt.Api:
    return pt.api(series=real)


def test_daily_gives_the_bars_of_a_year_newest_first(api: pt.Api):
    frame = api.daily(ts_code="AAPL.US", start_date="20120101", end_date="20121231")

    assert list(frame.columns) == DAILY
    assert len(frame) == 250
    assert (frame["trade_date"].iloc[0], frame["trade_date"].iloc[-1]) == ("20121231", "20120103")
    assert frame["trade_date"].is_monotonic_decreasing
    assert list(frame.index) == list(range(250))


def test_a_bar_has_the_units_of_tushare(api: pt.Api):
    # AAPL,2012-01-03,409.4,412.5,409.0,411.23,10793600 after a close of 405.0 on 2011-12-30
    (bar,) = api.daily(ts_code="AAPL.US", trade_date="20120103").to_dict("records")

    assert (bar["open"], bar["high"], bar["low"], bar["close"]) == (409.4, 412.5, 409.0, 411.23)
    assert bar["vol"] == 107936.0
    assert bar["pre_close"] == pytest.approx(405.0)
    assert bar["change"] == pytest.approx(6.23)
    assert bar["pct_chg"] == pytest.approx(6.23 / 405 * 100)
    assert np.isnan(bar["amount"])


def test_the_first_bar_of_a_security_has_no_day_before(api: pt.Api):
    (bar,) = api.daily(ts_code="FB.US", trade_date="20120518").to_dict("records")

    assert all(np.isnan(bar[name]) for name in ("pre_close", "change", "pct_chg"))


def test_the_money_volume_that_the_source_lacks_is_missing_everywhere(api: pt.Api):
    assert api.daily()["amount"].isna().all()


def test_texts_have_the_string_dtype_of_pandas_and_numbers_are_floats(api: pt.Api):
    for frame in (api.daily(ts_code="AAPL.US", limit=3), api.daily(ts_code="NONE.US")):
        assert frame["ts_code"].dtype == pd.Series(["AAPL.US"]).dtype
        assert frame["trade_date"].dtype == pd.Series(["20120103"]).dtype
        assert all(frame[name].dtype == np.float64 for name in DAILY[2:])


def test_an_empty_result_keeps_the_columns(api: pt.Api):
    frame = api.daily(ts_code="NONE.US")

    assert frame.empty
    assert list(frame.columns) == DAILY


@pytest.mark.parametrize(
    "codes", ["MSFT.US,IBM.US", " msft.us , IBM.US ", ["IBM.US", "MSFT.US"], "IBM.US,,MSFT.US,IBM.US"]
)
def test_several_codes_come_day_by_day_in_the_order_of_their_names(api: pt.Api, codes: str | list[str]):
    frame = api.daily(ts_code=codes, start_date="20120103", end_date="20120104")

    assert list(zip(frame["trade_date"], frame["ts_code"], strict=True)) == [
        ("20120104", "IBM.US"),
        ("20120104", "MSFT.US"),
        ("20120103", "IBM.US"),
        ("20120103", "MSFT.US"),
    ]


def test_one_day_gives_all_that_traded(api: pt.Api):
    assert list(api.daily(trade_date="20120103")["ts_code"]) == ["AAPL.US", "GOOG.US", "IBM.US", "MSFT.US"]


def test_all_rows_come_when_nothing_is_asked_for(api: pt.Api):
    assert len(api.daily()) == 12154
    assert len(api.daily(ts_code="", trade_date=None, start_date="", end_date=None, fields="")) == 12154


def test_fields_choose_columns_and_their_order_without_changing_the_rows(api: pt.Api):
    frame = api.daily(ts_code="AAPL.US", start_date="20120101", fields="close,open")

    assert list(frame.columns) == ["close", "open"]
    assert frame.equals(api.daily(ts_code="AAPL.US", start_date="20120101")[["close", "open"]])


def test_a_hidden_column_can_be_asked_for(api: pt.Api):
    assert api.daily(ts_code="AAPL.US", limit=2, fields="close,ah_vol")["ah_vol"].isna().all()


def test_limit_and_offset_count_from_the_newest(api: pt.Api):
    whole = api.daily(ts_code="AAPL.US")

    page = api.daily(ts_code="AAPL.US", limit=2, offset=3)

    assert list(page["trade_date"]) == list(whole["trade_date"][3:5])
    assert len(api.daily(ts_code="AAPL.US", limit=0)) == 0


def test_query_and_the_method_give_the_same(api: pt.Api):
    assert api.query("daily", ts_code="AAPL.US", fields="close").equals(api.daily(ts_code="AAPL.US", fields="close"))
    assert api.query("adj_factor", "adj_factor").equals(api.adj_factor(fields=["adj_factor"]))


def test_the_factor_is_the_adjusted_close_over_the_close(api: pt.Api):
    # AAPL,2000-03-01: close 130.31, adjusted close 4.186662803811
    (row,) = api.adj_factor(ts_code="AAPL.US", trade_date="20000301").to_dict("records")

    assert list(row) == ["ts_code", "trade_date", "adj_factor"]
    assert row["adj_factor"] == pytest.approx(4.186662803811 / 130.31)


@pytest.mark.parametrize(
    "day", ["20120103", "2012-01-03", "2012-01-03 09:30:00", date(2012, 1, 3), datetime(2012, 1, 3, 9)]
)
def test_a_day_may_be_written_in_the_forms_that_clients_send(api: pt.Api, day: object):
    assert len(api.daily(trade_date=day)) == 4
    assert len(api.daily(ts_code="AAPL.US", start_date=day, end_date=day)) == 1


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"trade_date": "2012/01/03"}, "trade_date '2012/01/03' is not a date"),
        ({"start_date": "20120230"}, "start_date '20120230' is not a date"),
        ({"end_date": "2012013"}, "is not a date"),
        ({"end_date": 20120103.0}, "is not a date"),
        ({"start_date": "20120104", "end_date": "20120103"}, "start_date 20120104 is after end_date 20120103"),
        ({"trade_date": "20120103", "end_date": "20120103"}, "trade_date asks for one day"),
        ({"ts_code": ","}, "ts_code names no security"),
        ({"ts_code": []}, "ts_code names no security"),
        ({"ts_code": ["AAPL.US", 1]}, "ts_code must be a text or a list of texts"),
        ({"limit": -1}, "limit must be a whole number"),
        ({"limit": 1.5}, "limit must be a whole number"),
        ({"offset": True}, "offset must be a whole number"),
        ({"start": "20120103"}, "daily has no parameter 'start'"),
    ],
)
def test_what_cannot_be_meant_is_refused(api: pt.Api, asked: dict[str, object], why: str):
    with pytest.raises(pt.BadInput, match=why):
        api.query("daily", **asked)


def test_an_unknown_parameter_comes_with_the_nearest_one(api: pt.Api):
    with pytest.raises(pt.BadInput) as caught:
        api.query("daily", tscode="AAPL.US")

    assert caught.value.hint == "did you mean 'ts_code'?"


def test_an_unknown_interface_comes_with_the_nearest_one_by_method_and_by_query(api: pt.Api):
    for ask in (lambda: api.dialy(), lambda: api.query("dialy")):
        with pytest.raises(pt.UnknownInterface, match="no interface is called 'dialy'") as caught:
            ask()
        assert caught.value.hint == "did you mean 'daily'?"
    assert not hasattr(api, "no_such_thing")


def test_an_unknown_column_comes_with_the_nearest_one(api: pt.Api):
    with pytest.raises(pt.UnknownColumn) as caught:
        api.daily(ts_code="AAPL.US", fields="ts_code,vool")

    assert caught.value.hint == "did you mean 'vol'?"


def test_the_object_can_be_copied_and_sent_to_another_process(api: pt.Api):
    before = api.daily(ts_code="AAPL.US", limit=5)

    for other in (pickle.loads(pickle.dumps(api)), copy.copy(api), copy.deepcopy(api)):
        assert other.daily(ts_code="AAPL.US", limit=5).equals(before)


def test_names_with_underscores_are_never_queries(api: pt.Api):
    for name in ("__setstate_with_cause__", "_repr_html_", "__array_interface__"):
        with pytest.raises(AttributeError):
            getattr(api, name)


def test_the_object_shows_its_store_without_a_password():
    assert repr(pt.api()) == "ptolemy.api()"
    assert repr(pt.api(series="arrow:///srv/series")) == "ptolemy.api(series='arrow:///srv/series')"
    assert "geheim" not in repr(pt.api(series="other://me:geheim@host/series"))


def test_many_threads_get_the_same_answer(api: pt.Api):
    expected = api.daily(ts_code="MSFT.US")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.daily(ts_code="MSFT.US"), range(32)))

    assert all(answer.equals(expected) for answer in answers)


def test_a_closed_object_opens_the_store_again(real: str):
    with pt.api(series=real) as api:
        first = api.daily(ts_code="AAPL.US")

    assert api.daily(ts_code="AAPL.US").equals(first)


def test_an_empty_store_says_how_to_fill_it():
    with pytest.raises(pt.NothingCollected) as caught:
        pt.api().daily(ts_code="AAPL.US")

    assert caught.value.hint == "ptolemy collect run SOURCE_URL --dataset daily"


def test_an_earlier_version_can_be_read_by_its_id(bars: Path):
    pt.collect("csv:bars.csv", "daily")
    bars.write_text(bars.read_text().replace("10.5,1000", "10.6,1000"))
    pt.collect("csv:bars.csv", "daily")
    api = pt.api()

    asked = {"ts_code": "000001.SZ", "trade_date": "20240102", "fields": "close"}
    assert api.daily(**asked)["close"].item() == 10.6
    assert api.daily(**asked, as_of=1)["close"].item() == 10.5
    assert [(v.id, v.rows, v.written, v.first, v.last) for v in api.versions("daily")] == [
        (1, 3, 3, "20240102", "20240103"),
        (2, 3, 1, "20240102", "20240103"),
    ]


def test_an_object_that_is_open_sees_what_is_collected_later(bars: Path):
    pt.collect("csv:bars.csv", "daily")
    api = pt.api()
    assert len(api.daily()) == 3

    bars.write_text(bars.read_text() + "600000.SH,20240103,20,21,19,20,1\n")
    pt.collect("csv:bars.csv", "daily")

    assert len(api.daily()) == 4


def test_a_new_version_leaves_frames_that_were_read_as_they_were(bars: Path):
    pt.collect("csv:bars.csv", "daily")
    frame = pt.api().daily()
    before = frame.copy(deep=True)

    bars.write_text(bars.read_text().replace("10.5,1000", "10.6,1000"))
    pt.collect("csv:bars.csv", "daily")

    assert frame.equals(before)


def test_a_frame_is_the_callers_to_change(api: pt.Api):
    frame = api.daily(ts_code="AAPL.US")
    frame["close"] = 0.0
    frame.loc[0, "open"] = 1.0

    assert api.daily(ts_code="AAPL.US")["close"].min() > 0


def test_what_is_exported_is_listed_and_sorted():
    assert pt.__all__ == sorted(pt.__all__, key=str.lower) or pt.__all__ == sorted(pt.__all__)
    assert set(pt.__all__) <= set(dir(pt))
    assert all(getattr(pt, name) for name in pt.__all__)
