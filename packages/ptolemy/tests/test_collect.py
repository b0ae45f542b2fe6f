from __future__ import annotations

from pathlib import Path

import pytest

import ptolemy as pt
from ptolemy.errors import BadData, BadInput, SeriesLocked, UnknownInterface

HEAD = "ts_code,trade_date,open,high,low,close,vol\n"
GOOD = "A.X,20240102,10,11,9,10.5,100\n"
MAPPING = Path(__file__).parents[3] / "examples" / "data" / "bokeh-stocks.toml"


def test_the_real_bars_come_in_as_bars_and_factors(stocks: Path, tmp_path: Path):
    collected = pt.collect(f"csv://{stocks}?mapping={MAPPING}", series="arrow:own")

    assert [(c.dataset, c.rows, c.written, c.version, c.first, c.last) for c in collected] == [
        ("adj_factor", 12154, 12154, 1, "20000301", "20130301"),
        ("daily", 12154, 12154, 1, "20000301", "20130301"),
    ]
    assert pt.versions("daily", series="arrow:own")[0].digest == collected[1].digest


def test_collecting_the_same_twice_changes_nothing(stocks: Path, tmp_path: Path):
    url = f"csv://{stocks}?mapping={MAPPING}"
    pt.collect(url)
    before = {path: path.read_bytes() for path in (tmp_path / "home").rglob("*.*")}

    again = pt.collect(url)

    assert [(c.rows, c.written, c.version) for c in again] == [(12154, 0, 1)] * 2
    assert before == {path: path.read_bytes() for path in (tmp_path / "home").rglob("*.*")}


def test_only_what_is_new_is_written(bars: Path):
    pt.collect("csv:bars.csv", "daily")
    bars.write_text(bars.read_text().replace("20.5,500", "20.6,500") + "600000.SH,20240103,20,21,19,20,1\n")

    (collected,) = pt.collect("csv:bars.csv", "daily")

    assert (collected.rows, collected.written, collected.version) == (4, 2, 2)
    assert pt.versions("daily")[-1].rows == 4


def test_only_the_data_sets_that_are_named_are_collected(stocks: Path):
    collected = pt.collect(f"csv://{stocks}?mapping={MAPPING}", datasets=["adj_factor"])

    assert [c.dataset for c in collected] == ["adj_factor"]
    assert pt.api().datasets() == ["adj_factor"]


def test_progress_is_told_to_the_end(stocks: Path):
    said: list[tuple[int, int]] = []

    pt.collect(f"csv://{stocks}?mapping={MAPPING}", progress=lambda done, total: said.append((done, total)))

    assert said[-1] == (stocks.stat().st_size, stocks.stat().st_size)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("A.X,20240103,10,11,9,-3,1", "bars.csv line 3, column close: -3 breaks the rule close > 0"),
        ("A.X,20240103,10,11,0,10,1", "bars.csv line 3, column low: 0 breaks the rule low > 0"),
        ("A.X,20240103,10,9,9.5,9.2,1", r"column low: 9.5 breaks the rule low <= high \(high is 9\)"),
        ("A.X,20240103,12,11,9,10,1", r"column open: 12 breaks the rule open <= high \(high is 11\)"),
        ("A.X,20240103,10,11,9,8,1", r"column low: 9 breaks the rule low <= close \(close is 8\)"),
        ("A.X,20240103,10,11,9,10,-1", "column vol: -1 breaks the rule vol >= 0"),
        ("A.X,20240103,10,11,9,,1", "column close: there is no value"),
        (",20240103,10,11,9,10,1", "column ts_code: there is no value"),
        ("A.X,,10,11,9,10,1", "column trade_date: there is no value"),
        ("A.X,20241303,10,11,9,10,1", "column trade_date: '20241303' is not a date"),
        ("A.X,20240103,10,1e999,9,10,1", "column high: inf is not a finite number"),
        ("A.X,20240102,10,11,9,10,1", "line 3, column trade_date: A.X 20240102 is there already, in line 2"),
        ("A.X,20240103,ten,11,9,10,1", "column open: 'ten' is not a number"),
    ],
)
def test_a_bad_row_is_named_by_line_and_column_and_nothing_is_written(bars: Path, home: Path, row: str, why: str):
    bars.write_text(HEAD + GOOD + row + "\n")

    with pytest.raises(BadData, match=why) as caught:
        pt.collect("csv:bars.csv", "daily")

    assert caught.value.exit_code == 2
    assert not home.exists()


def test_a_bad_row_leaves_what_was_collected_before_as_it_was(bars: Path):
    pt.collect("csv:bars.csv", "daily")
    before = pt.api().daily()
    bars.write_text(bars.read_text() + "600000.SH,20240103,20,1,19,20,1\n")

    with pytest.raises(BadData):
        pt.collect("csv:bars.csv", "daily")

    assert pt.api().daily().equals(before)
    assert len(pt.versions("daily")) == 1


def test_a_bad_row_in_one_data_set_keeps_all_out(packed: str, tmp_path: Path, home: Path):
    # The factor is above 0 where both prices are below it: only daily finds the fault.
    first, second, rest = packed.split("\n", 2)
    words = second.split(",")
    words[3], words[4], words[5], words[7] = "-1", "-2", "-1", "-1"
    (tmp_path / "stocks.csv").write_text("\n".join([first, ",".join(words), rest]))

    with pytest.raises(BadData, match=r"stocks\.csv line 2, column High"):
        pt.collect(f"csv:stocks.csv?mapping={MAPPING}")

    assert not home.exists()


def test_a_source_column_is_named_as_the_source_names_it(packed: str, tmp_path: Path):
    (tmp_path / "stocks.csv").write_text(packed.replace("AAPL,2000-03-02,127.0,", "AAPL,2000-03-02,-127.0,"))

    with pytest.raises(BadData, match=r"stocks\.csv line 3, column Open: -127 breaks"):
        pt.collect(f"csv:stocks.csv?mapping={MAPPING}")


def test_a_file_without_rows_is_refused(bars: Path, home: Path):
    bars.write_text(HEAD)

    with pytest.raises(BadInput, match="the source has no row of daily"):
        pt.collect("csv:bars.csv", "daily")

    assert not home.exists()


def test_a_source_that_does_not_say_what_it_holds_must_be_told(bars: Path):
    with pytest.raises(BadInput, match="does not say which data set") as caught:
        pt.collect("csv:bars.csv")

    assert "--dataset" in (caught.value.hint or "")


def test_an_unknown_data_set_and_one_without_mapping_are_refused(stocks: Path, bars: Path, tmp_path: Path):
    (tmp_path / "only.toml").write_text('[adj_factor]\nadj_factor = "Close"\n')

    with pytest.raises(UnknownInterface):
        pt.collect("csv:bars.csv", "dialy")
    with pytest.raises(BadInput, match="the mapping has no section for daily"):
        pt.collect("csv:bars.csv?mapping=only.toml", "daily")


def test_a_store_that_another_writer_has_is_said(bars: Path):
    pt.collect("csv:bars.csv", "daily")
    with pt.open_series() as writer:
        table = writer.read("daily")
        writer.upsert("daily", table, key=("ts_code", "trade_date"))

        with pytest.raises(SeriesLocked):
            pt.collect("csv:bars.csv", "daily")


def bars_of(*days: str, times: float = 1.0) -> str:
    """Return bars that all differ a little, with prices so many times too high."""
    rows = [
        ",".join(["A.X", day, *(f"{(price + i / 10) * times:g}" for price in (10, 11, 9, 10)), "1000"])
        for i, day in enumerate(days)
    ]
    return HEAD + "\n".join(rows) + "\n"


@pytest.mark.parametrize("days", [("20240108",), ("20240108", "20240109", "20240110", "20240111")])
@pytest.mark.parametrize("times", [100.0, 0.01])
def test_a_file_in_another_unit_than_what_is_kept_is_refused(bars: Path, days: tuple[str, ...], times: float):
    bars.write_text(bars_of("20240102", "20240103", "20240104", "20240105"))
    pt.collect("csv:bars.csv", "daily")
    before = pt.api().daily()
    bars.write_text(bars_of(*days, times=times))

    with pytest.raises(
        BadData, match=r"line 2, column trade_date: the close.*another unit.*nothing was written"
    ) as caught:
        pt.collect("csv:bars.csv", "daily")

    assert "--quarantine" in (caught.value.hint or "")
    assert pt.api().daily().equals(before)
    (collected,) = pt.collect("csv:bars.csv", "daily", quarantine=True)
    assert (collected.written, collected.quarantined) == (0, len(days))


def test_money_that_does_not_fit_the_prices_is_refused_in_an_empty_store(bars: Path, home: Path):
    bars.write_text("ts_code,trade_date,open,high,low,close,vol,amount\nA.X,20240102,1000,1100,900,1050,1000,1000\n")

    with pytest.raises(BadData, match="amount / vol is 10, far outside the bar's range"):
        pt.collect("csv:bars.csv", "daily")

    assert not home.exists()
