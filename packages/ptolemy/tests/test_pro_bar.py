from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ptolemy as pt

CODES = ["AAPL.US", "FB.US", "GOOG.US", "IBM.US", "MSFT.US"]
PRICES = ["open", "high", "low", "close", "pre_close"]
RANGES = [("", ""), ("20000301", "20051231"), ("20030101", "20030331"), ("20120518", "20120518"), ("20041101", "")]


@pytest.fixture
def api(real: str) -> pt.Api:
    return pt.api(series=real)


def tushare_pro_bar(daily: pd.DataFrame, factors: pd.DataFrame, adj: str) -> pd.DataFrame:
    """Compute what the ``tushare`` client computes from the answers of ``daily`` and ``adj_factor``, newest first.

    Written from the description of its client: left join on the day, missing factors from the row
    below, times factor (hfq) or times factor over the newest factor (qfq), printed with two decimals
    and read again, ``pct_chg`` from those and printed with two decimals.
    """
    by_day = dict(zip(factors["trade_date"], factors["adj_factor"], strict=True))
    newest = float(factors["adj_factor"].iloc[0])
    result = daily.to_dict("records")
    below = float("nan")
    for row in reversed(result):
        below = by_day.get(row["trade_date"], below)
        for name in PRICES:
            price = row[name] * below
            row[name] = float(f"{price / newest if adj == 'qfq' else price:.2f}")
        row["change"] = row["close"] - row["pre_close"]
        row["pct_chg"] = float(f"{row['change'] / row['pre_close'] * 100:.2f}")
    return pd.DataFrame(result, columns=daily.columns)


@pytest.mark.parametrize("days", RANGES)
@pytest.mark.parametrize("adj", ["qfq", "hfq"])
@pytest.mark.parametrize("code", CODES)
def test_adjusted_bars_equal_those_of_the_tushare_client(api: pt.Api, code: str, adj: str, days: tuple[str, str]):
    asked = {"ts_code": code, "start_date": days[0], "end_date": days[1]}
    bars = api.pro_bar(**asked, adj=adj)
    if bars.empty:  # not listed yet
        assert api.daily(**asked).empty
        return

    expected = tushare_pro_bar(api.daily(**asked), api.adj_factor(**asked), adj)

    assert list(bars.columns) == list(expected.columns)
    for name in ("ts_code", "trade_date"):
        assert list(bars[name]) == list(expected[name])
    for name in [*PRICES, "vol", "amount"]:
        np.testing.assert_array_equal(bars[name], expected[name])
    for name in ("change", "pct_chg"):
        np.testing.assert_allclose(bars[name], expected[name], atol=1e-9, equal_nan=True)


@pytest.mark.parametrize(("code", "day", "before"), [("AAPL.US", "20050228", 88.99), ("MSFT.US", "20030218", 48.30)])
def test_the_reference_price_of_a_split_day_is_half_the_close_before(api: pt.Api, code: str, day: str, before: float):
    (bar,) = api.daily(ts_code=code, trade_date=day).to_dict("records")
    raw = api.daily(ts_code=code, end_date=day, limit=2)

    assert raw["close"].iloc[1] == before
    assert bar["pre_close"] == pytest.approx(before / 2, abs=0.005)
    assert abs(bar["pct_chg"]) < 5  # by the raw closes the day would have lost half


def test_the_special_dividend_is_taken_off_the_reference_price(api: pt.Api):
    # Microsoft paid USD 3.08 a share; the closes were 29.97 and 27.39, and the source reinvests at the latter.
    (bar,) = api.daily(ts_code="MSFT.US", trade_date="20041115").to_dict("records")

    assert bar["pre_close"] == pytest.approx(29.97 * 27.39 / (27.39 + 3.08), abs=0.001)


def test_a_split_leaves_no_jump_in_adjusted_prices(api: pt.Api):
    bars = api.pro_bar("AAPL.US", "20050225", "20050228", adj="qfq", precision=None)

    assert list(bars["close"]) == pytest.approx([44.86, 88.99 / 2])
    assert bars["pre_close"].iloc[0] == pytest.approx(bars["close"].iloc[1])
    assert list(bars["vol"]) == [116359.0, 163484.0]  # as traded, not adjusted


def test_qfq_is_anchored_to_the_newest_day_of_the_range(api: pt.Api):
    raw = api.daily(ts_code="AAPL.US", start_date="20050101", end_date="20050225")

    before_split = api.pro_bar("AAPL.US", "20050101", "20050225", adj="qfq")
    over_split = api.pro_bar("AAPL.US", "20050101", "20050228", adj="qfq").iloc[1:]

    assert before_split["close"].iloc[0] == raw["close"].iloc[0]
    np.testing.assert_allclose(over_split["close"], before_split["close"] / 2, atol=0.006)


def test_full_precision_gives_returns_without_rounding(api: pt.Api):
    exact = api.pro_bar("AAPL.US", adj="qfq", precision=None)
    hfq = api.pro_bar("AAPL.US", adj="hfq", precision=None)

    # The source gives the adjusted close of the first day as 4.186662803811; hfq by this factor is it.
    assert hfq["close"].iloc[-1] == pytest.approx(4.186662803811, rel=1e-12)
    returns = exact["close"].to_numpy()[:-1] / exact["close"].to_numpy()[1:] - 1
    np.testing.assert_allclose(returns, hfq["close"].to_numpy()[:-1] / hfq["close"].to_numpy()[1:] - 1, rtol=1e-9)
    np.testing.assert_allclose(exact["pct_chg"].to_numpy()[:-1], returns * 100, atol=1e-3)
    np.testing.assert_allclose(exact["close"], api.pro_bar("AAPL.US", adj="qfq")["close"], atol=0.00501)


def test_without_adjustment_the_bars_are_those_of_daily(api: pt.Api):
    asked = {"ts_code": "AAPL.US", "start_date": "20050201", "end_date": "20050301"}

    assert api.pro_bar(**asked).equals(api.daily(**asked))


def test_each_of_several_securities_is_adjusted_by_itself(api: pt.Api):
    both = api.pro_bar("AAPL.US,MSFT.US", "20030101", "20051231", adj="qfq")

    for code in ("AAPL.US", "MSFT.US"):
        alone = api.pro_bar(code, "20030101", "20051231", adj="qfq")
        assert both[both["ts_code"] == code].reset_index(drop=True).equals(alone)


def test_fields_choose_columns_of_adjusted_bars(api: pt.Api):
    bars = api.pro_bar("AAPL.US", "20050101", "20050301", adj="qfq", fields="trade_date,close")

    assert list(bars.columns) == ["trade_date", "close"]
    assert bars.equals(api.pro_bar("AAPL.US", "20050101", "20050301", adj="qfq")[["trade_date", "close"]])


def test_no_bars_keep_the_columns(api: pt.Api):
    bars = api.pro_bar("NONE.US", adj="qfq")

    assert bars.empty
    assert list(bars.columns) == list(api.daily(limit=0).columns)
    assert bars["close"].dtype == np.float64


def test_the_function_and_the_method_give_the_same(real: str, api: pt.Api):
    asked = {"ts_code": "IBM.US", "start_date": "20120101", "end_date": "20121231", "adj": "hfq"}

    assert pt.pro_bar(**asked, series=real).equals(api.pro_bar(**asked))


FACTORS = "ts_code,trade_date,adj_factor\n000001.SZ,20240102,1\n"


def test_a_day_without_a_factor_takes_the_one_of_the_day_before(bars: Path, tmp_path: Path):
    (tmp_path / "factors.csv").write_text(FACTORS.replace(",1\n", ",3\n"))
    pt.collect("csv:bars.csv", "daily")
    pt.collect("csv:factors.csv", "adj_factor")

    assert list(pt.pro_bar("000001.SZ", adj="hfq")["close"]) == [34.5, 31.5]


def test_a_security_without_any_factor_is_named(bars: Path, tmp_path: Path):
    (tmp_path / "factors.csv").write_text(FACTORS)
    pt.collect("csv:bars.csv", "daily")
    pt.collect("csv:factors.csv", "adj_factor")

    with pytest.raises(pt.NotFound, match=r"no adj_factor of 600000\.SH"):
        pt.pro_bar("000001.SZ,600000.SH", adj="qfq")


def test_versions_of_bars_and_factors_can_be_fixed(bars: Path, tmp_path: Path):
    (tmp_path / "factors.csv").write_text(FACTORS)
    pt.collect("csv:bars.csv", "daily")
    pt.collect("csv:factors.csv", "adj_factor")
    before = pt.pro_bar("000001.SZ", adj="hfq")
    (tmp_path / "factors.csv").write_text(FACTORS.replace(",1\n", ",2\n"))
    pt.collect("csv:factors.csv", "adj_factor")

    assert pt.pro_bar("000001.SZ", adj="hfq", as_of={"daily": 1, "adj_factor": 1}).equals(before)
    assert list(pt.pro_bar("000001.SZ", adj="hfq")["close"]) == [23.0, 21.0]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"ts_code": ""}, "pro_bar needs a ts_code"),
        ({"ts_code": "AAPL.US", "adj": "qqf"}, "adj cannot be 'qqf'"),
        ({"ts_code": "AAPL.US", "adj": "qfq", "precision": -1}, "precision must be a whole number"),
        ({"ts_code": "AAPL.US", "adj": "qfq", "precision": "2"}, "precision must be a whole number"),
        ({"ts_code": "AAPL.US", "fields": "clsoe"}, "daily has no column 'clsoe'"),
        ({"ts_code": "AAPL.US", "as_of": {"dialy": 1}}, "as_of"),
    ],
)
def test_what_cannot_be_meant_is_refused(api: pt.Api, asked: dict[str, object], why: str):
    with pytest.raises(pt.BadInput, match=why):
        api.pro_bar(**asked)
