from __future__ import annotations

import csv
import io
import pickle
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

import ptolemy as pt
from ptolemy import sample
from ptolemy.catalogue import interface, interfaces
from ptolemy.errors import BadInput, BadParam, Conflict, NotFound, UnknownColumn, UnknownInterface

DAILY = ["ts_code", "trade_date", "open", "high", "low", "close", "pre_close", "change", "pct_chg", "vol", "amount"]


def test_daily_shows_the_columns_of_tushare_in_its_order():
    assert interface("daily").shown == DAILY
    assert interface("adj_factor").shown == ["ts_code", "trade_date", "adj_factor"]


def test_a_hidden_column_comes_only_when_it_is_asked_for():
    daily = interface("daily")

    assert "ah_vol" in daily.names
    assert "ah_vol" not in daily.select()
    assert daily.select("close,ah_vol") == ["close", "ah_vol"]


@pytest.mark.parametrize("fields", ["close, open", ["close", "open"], ("close", "open", "close"), "close,,open,"])
def test_fields_are_a_comma_list_or_a_sequence(fields):
    assert interface("daily").select(fields) == ["close", "open"]


@pytest.mark.parametrize("fields", ["", None, [], ","])
def test_no_fields_are_all_that_are_shown(fields):
    assert interface("daily").select(fields) == DAILY


def test_an_unknown_interface_or_column_comes_with_the_nearest_name():
    with pytest.raises(UnknownInterface) as no_interface:
        interface("dayly")
    with pytest.raises(UnknownColumn, match="daily has no column 'clsoe'") as no_column:
        interface("daily").select("clsoe")

    assert no_interface.value.hint == "did you mean 'daily'?"
    assert no_column.value.hint == "did you mean 'close'?"


@pytest.mark.parametrize("name", sorted(interfaces()))
def test_every_interface_is_told_in_full(name: str):
    known = interface(name)

    assert known.title
    assert all(column.description for column in known.columns)
    assert all(column.unit for column in known.columns if column.is_number)
    assert all(known.column(key).required for key in known.key)
    for rule in known.rules:
        assert rule.left in known.names
        assert isinstance(rule.right, float) or rule.right in known.names


TUSHARE = {
    "stock_basic": "ts_code symbol name area industry cnspell market list_date act_name act_ent_type",
    "trade_cal": "exchange cal_date is_open pretrade_date",
    "weekly": "ts_code trade_date close open high low pre_close change pct_chg vol amount",
    "monthly": "ts_code trade_date close open high low pre_close change pct_chg vol amount",
    "daily_basic": "ts_code trade_date close turnover_rate turnover_rate_f volume_ratio pe pe_ttm pb ps ps_ttm "
    "dv_ratio dv_ttm total_share float_share free_share total_mv circ_mv",
    "suspend_d": "ts_code trade_date suspend_timing suspend_type",
    "stk_limit": "trade_date ts_code up_limit down_limit",
    "namechange": "ts_code name start_date end_date ann_date change_reason",
    "dividend": "ts_code end_date ann_date div_proc stk_div stk_bo_rate stk_co_rate cash_div cash_div_tax record_date "
    "ex_date pay_date div_listdate imp_ann_date",
    "index_basic": "ts_code name market publisher category base_date base_point list_date",
    "index_daily": "ts_code trade_date close open high low pre_close change pct_chg vol amount",
    "index_weight": "index_code con_code trade_date weight",
    "fund_daily": "ts_code trade_date open high low close pre_close change pct_chg vol amount",
    "fut_daily": "ts_code trade_date pre_close pre_settle open high low close settle change1 change2 vol "
    "amount oi oi_chg",
    "moneyflow": "ts_code trade_date buy_sm_vol buy_sm_amount sell_sm_vol sell_sm_amount buy_md_vol buy_md_amount "
    "sell_md_vol sell_md_amount buy_lg_vol buy_lg_amount sell_lg_vol sell_lg_amount buy_elg_vol buy_elg_amount "
    "sell_elg_vol sell_elg_amount net_mf_vol net_mf_amount",
    "stk_mins": "ts_code trade_time open close high low vol amount",
    "us_basic": "ts_code name enname classify list_date delist_date",
    "us_daily": "ts_code trade_date close open high low pre_close change pct_change vol amount vwap",
}
ALL = {*TUSHARE, "daily", "adj_factor", "fund_basic", "fut_basic"}


@pytest.mark.parametrize("name", sorted(TUSHARE))
def test_every_interface_shows_the_columns_of_tushare_in_its_order(name: str):
    assert interface(name).shown == TUSHARE[name].split()


def test_the_catalogue_has_the_interfaces_of_tushare_and_ticks():
    assert set(interfaces()) == {*ALL, "ticks"}
    assert len(ALL) == 22


@pytest.mark.parametrize("name", sorted(ALL - {"trade_cal"}))
def test_made_up_rows_obey_the_file_of_their_interface_and_are_labelled(name: str, tmp_path: Path):
    known = interface(name)
    table = sample.rows(known, codes=4, days=["20240102", "20240103"], seed=1)
    source = tmp_path / "rows.csv"
    with source.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table.column_names)
        writer.writerows(zip(*(c.to_pylist() for c in table.columns), strict=True))

    (got,) = pt.collect(f"csv:{source}", name)

    assert got.rows == table.num_rows == (8 if known.time else 4)
    assert b"synthetic" in table.schema.metadata
    assert all(code.startswith("SYN") for code in table[known.key[0]].to_pylist())
    assert table.equals(sample.rows(known, codes=4, days=["20240102", "20240103"], seed=1))
    frame = pt.api().query(name, limit=3)
    assert list(frame.columns) == known.shown
    assert len(frame) == 3


@pytest.mark.parametrize(
    ("name", "lot", "money"),
    [("daily", 100, 1000), ("weekly", 100, 1000), ("fund_daily", 100, 1000), ("us_daily", 1, 1), ("stk_mins", 1, 1)],
)
def test_the_money_of_made_up_bars_is_what_their_shares_cost(name: str, lot: int, money: int):
    for bar in sample.rows(interface(name), codes=40, days=["20240102"], seed=3).to_pylist():
        price = bar["amount"] * money / (bar["vol"] * lot)

        assert bar["low"] * 0.99 <= price <= bar["high"] * 1.01


@pytest.mark.parametrize("name", sorted(ALL | {"ticks"}))
def test_the_methods_of_the_client_are_those_of_the_catalogue(name: str):
    api = pt.api()

    ask = getattr(api, name)

    assert name in dir(api)
    if name not in ("daily", "adj_factor"):
        assert [*signature(ask).parameters] == ["fields", *interface(name).parameters]
        assert interface(name).title in (ask.__doc__ or "")
        assert repr(pickle.loads(pickle.dumps(ask))) == repr(ask)


def test_the_calendar_of_trading_answers_on_an_empty_store():
    frame = pt.api().trade_cal(start_date="20240101", end_date="20240105")

    assert frame.to_dict("list") == {
        "exchange": ["SSE"] * 5,
        "cal_date": ["20240105", "20240104", "20240103", "20240102", "20240101"],
        "is_open": [1, 1, 1, 1, 0],
        "pretrade_date": ["20240104", "20240103", "20240102", "20231229", "20231229"],
    }
    closed = pt.api().trade_cal(exchange="NYSE", start_date="20240110", end_date="20240120", is_open="0")
    assert closed["cal_date"].tolist() == ["20240120", "20240115", "20240114", "20240113"]
    assert len(pt.api().trade_cal(exchange="SSE", start_date="19901219", end_date="19901231")) == 13
    with pytest.raises(BadParam, match="no calendar of 'SSEX'") as caught:
        pt.api().trade_cal(exchange="SSEX")
    assert caught.value.hint == "did you mean 'SSE'?"


def test_a_filter_has_tushares_default_and_lets_pass_what_is_not_known(tmp_path: Path):
    (tmp_path / "basic.csv").write_text(
        "ts_code,name,list_status\n000001.SZ,Ping An,L\n000002.SZ,Gone,D\n000003.SZ,Unknown,\n"
    )
    pt.collect("csv:basic.csv", "stock_basic")
    api = pt.api()

    assert api.stock_basic()["ts_code"].tolist() == ["000001.SZ", "000003.SZ"]
    assert api.stock_basic(list_status="D")["ts_code"].tolist() == ["000002.SZ"]
    assert api.stock_basic(list_status="L,D")["ts_code"].tolist() == ["000001.SZ", "000002.SZ"]
    assert api.stock_basic(name="Ping An", fields="ts_code,list_status").to_numpy().tolist() == [["000001.SZ", "L"]]
    with pytest.raises(BadParam, match="stock_basic has no parameter 'liststatus'") as caught:
        api.stock_basic(liststatus="L")
    assert caught.value.hint == "did you mean 'list_status'?"


def test_a_range_of_moments_takes_moments_and_whole_days(tmp_path: Path):
    times = ["2024-01-02 09:31:00", "2024-01-02 15:00:00", "2024-01-03 09:31:00"]
    lines = [f"000001.SZ,{time},10,10,10,10,100,1000,1min" for time in times]
    (tmp_path / "m.csv").write_text("\n".join(["ts_code,trade_time,open,close,high,low,vol,amount,freq", *lines]))
    pt.collect("csv:m.csv", "stk_mins")
    api = pt.api()

    def found(**words: str) -> list[str]:
        return api.stk_mins(ts_code="000001.SZ", **words)["trade_time"].tolist()[::-1]

    assert found() == times
    assert found(start_date="20240102", end_date="2024-01-02") == times[:2]
    assert found(start_date="2024-01-02 15:00:00") == times[1:]
    assert found(end_date="2024-01-02 09:31:00") == times[:1]
    with pytest.raises(BadParam, match="is not a date"):
        found(start_date="2024-01-02 25:00:00")
    with pytest.raises(BadParam, match="is after"):
        found(start_date="20240104", end_date="20240103")


OWN = """\
title: Factors of the desk
key: [ts_code, trade_date]
rules: ["momentum <= 10"]
columns:
  - {name: ts_code, type: str, required: true}
  - {name: trade_date, type: date, required: true}
  - {name: momentum, type: float, unit: "1", rules: ["> -10"]}
  - {name: secret, type: int, unit: "1", hidden: true}
parameters:
  - {name: secret, description: The one that is looked for.}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "factors.yaml"
    path.write_text(OWN)
    return path


def test_a_data_set_of_ones_own_is_kept_asked_for_and_checked_as_those_that_are_shipped(
    own: Path, tmp_path: Path, ptolemy: Callable[..., Any]
):
    assert ptolemy("dataset", "add", "factors.yaml").code == 0
    (tmp_path / "f.csv").write_text("ts_code,trade_date,momentum,secret\nA,20240102,1.5,7\nB,20240102,2,8\n")
    pt.collect("csv:f.csv", "factors")

    assert pt.api().factors(ts_code="A").to_numpy().tolist() == [["A", "20240102", 1.5]]
    assert pt.api().factors(secret=8, fields="ts_code,secret").to_numpy().tolist() == [["B", 8]]
    assert "factors" in ptolemy("dataset", "list").out
    assert "/v1/factors" in __import__("ptolemy.http.openapi", fromlist=["x"]).openapi()["paths"]
    (tmp_path / "f.csv").write_text("ts_code,trade_date,momentum\nA,20240103,11\n")
    with pytest.raises(pt.BadData, match="momentum <= 10"):
        pt.collect("csv:f.csv", "factors")
    shown = ptolemy("dataset", "show", "factors", "--source")
    assert shown.out == OWN


def test_a_data_set_grows_by_columns_and_breaks_nobody(own: Path):
    from ptolemy import catalogue

    catalogue.add(own)
    with pytest.raises(Conflict, match="already"):
        catalogue.add(own)
    own.write_text(OWN + "  \n".replace("  ", ""))
    own.write_text(OWN.replace("parameters:", "  - {name: more, type: str, hidden: true}\nparameters:"))
    assert catalogue.add(own, replace=True).names[-1] == "more"
    own.write_text(OWN.replace("type: float", "type: str").replace(', rules: ["> -10"]', "").replace("<= 10", "<= 10"))
    with pytest.raises(BadInput, match="no column of numbers"):
        catalogue.add(own, replace=True)
    own.write_text(OWN)
    with pytest.raises(Conflict, match="the column more is kept"):
        catalogue.add(own, replace=True)
    own.write_text(OWN.replace("key: [ts_code, trade_date]", "key: [trade_date]"))
    with pytest.raises(Conflict, match="key"):
        catalogue.add(own, replace=True)
    catalogue.remove("factors")
    with pytest.raises(NotFound):
        catalogue.remove("factors")
    with pytest.raises(UnknownInterface):
        interface("factors")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("title", "titel"), "'titel' is not known"),
        (("type: float", "type: number"), "momentum must have a type"),
        (("[ts_code, trade_date]", "[ts_code, day]"), "'day', which is no column"),
        (("[ts_code, trade_date]", "[momentum, trade_date]"), "momentum is in the key"),
        (("momentum <= 10", "momentum =< 10"), "is no rule"),
        (("momentum <= 10", "momentom <= 10"), "no column of numbers"),
        (("name: secret, type", "name: momentum, type"), "two columns 'momentum'"),
        (("name: secret, desc", "name: secrets, desc"), "which is no column"),
        (("title: Factors of the desk", "title: [1"), "cannot be read"),
        (("title: Factors of the desk", "title: x\nupdate: 25:00"), "update must be a time"),
        (("title: Factors of the desk", "title: x\nquality: [gap]"), "no check 'gap'"),
        (("title: Factors of the desk", "title: x\ncollect: daily"), "collect must be a table"),
    ],
)
def test_a_file_that_describes_no_data_set_is_refused_with_its_fault(own: Path, home: Path, change: Any, why: str):
    from ptolemy import catalogue

    own.write_text(OWN.replace(*change))

    with pytest.raises(BadInput, match=why):
        catalogue.add(own)
    assert not (home / "datasets").exists()


def test_a_shipped_name_cannot_be_taken(tmp_path: Path):
    from ptolemy import catalogue

    for name in ("daily", "pro_bar"):
        (tmp_path / f"{name}.yaml").write_text(OWN)
        with pytest.raises(Conflict, match="a name of ptolemy's own"):
            catalogue.add(tmp_path / f"{name}.yaml")
    with pytest.raises(NotFound):
        catalogue.add(tmp_path / "none.toml")


def test_show_prints_a_file_before_it_is_added(own: Path, ptolemy: Callable[..., Any]):
    done = ptolemy("dataset", "show", "factors.yaml", "--json")

    assert done.code == 0
    assert '"momentum"' in done.out


def test_a_query_takes_any_parameter_of_its_interface(ptolemy: Callable[..., Any]):
    words = ["query", "trade_cal", "--start-date", "20240101", "--end-date", "20240103", "--csv"]

    done = ptolemy(*words, "--param", "is_open=1", "--param", "exchange=SZSE", "--fields", "cal_date")

    assert list(csv.reader(io.StringIO(done.out))) == [["cal_date"], ["20240103"], ["20240102"]]
    assert ptolemy(*words, "--param", "is_open").code == 2
