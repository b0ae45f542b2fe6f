from __future__ import annotations

import pytest

from ptolemy.catalogue import interface, interfaces
from ptolemy.errors import UnknownColumn, UnknownInterface

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
    assert all(column.unit for column in known.columns if column.type == "float")
    assert all(known.column(key).required for key in known.key)
    for rule in known.rules:
        assert rule.left in known.names
        assert isinstance(rule.right, float) or rule.right in known.names
