"""Ticks that come without an end: files of their own for what is new, and whole files dropped when they are old."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

import ptolemy as pt
from ptolemy.catalogue import interface
from ptolemy.errors import ConfigError, UnknownInterface
from ptolemy.journal import Journal
from ptolemy.pushing import Intake
from ptolemy.retention import behind, retention
from ptolemy.series import arrow, compaction

KEY = interface("ticks").key


def ticks(minute: int, price: float = 1.0) -> pa.Table:
    rows = [
        {"ts_code": code, "trade_time": f"2024-01-02 10:{minute:02}:{second:02}", "price": price, "vol": 100}
        for second in range(60)
        for code in ("B.SZ", "A.SZ")
    ]
    return pa.Table.from_pylist(rows, schema=interface("ticks").schema())


@pytest.fixture
def small_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "LOG_BYTES", 1)  # each write fills a log


@pytest.mark.usefixtures("small_logs")
def test_new_moments_are_put_into_files_beside_those_of_their_day(tmp_path: Path):
    with pt.open_series(f"arrow://{tmp_path}/many") as series, pt.open_series(f"arrow://{tmp_path}/one") as other:
        seen: set[Path] = set()
        for minute in range(5):
            series.upsert("ticks", ticks(minute), key=KEY)
            there = set((tmp_path / "many" / "ticks").glob("*.rows"))
            assert seen < there, "a file was laid again"
            seen = there
        other.upsert("ticks", pa.concat_tables(ticks(minute) for minute in range(5)), key=KEY)
        assert (series.stats("ticks").files, series.stats("ticks").log_records) == (5, 0)

        assert series.read("ticks").equals(other.read("ticks"))
        assert series.read("ticks", as_of=2).num_rows == 240
        assert series.verify("ticks") == 600
        series.upsert("ticks", ticks(2, price=2.0), key=KEY)  # what replaces rows lays their day again
        assert (
            series.read("ticks", start="2024-01-02 10:02", end="2024-01-02 10:03")["price"].to_pylist() == [2.0] * 120
        )
        assert series.verify("ticks") == 600
        assert series.compact("ticks").files - len(list((tmp_path / "many" / "ticks").glob("history*"))) == 1


@pytest.mark.usefixtures("small_logs")
def test_files_that_are_too_old_go_and_none_is_laid_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pt.open_series(f"arrow://{tmp_path}/s") as series, Journal(tmp_path / "j.db") as journal:
        intake = Intake(series, journal, retention={"ticks": timedelta(minutes=3)})
        for minute in range(3):
            intake.take("ticks", ticks(minute))
        monkeypatch.setattr(compaction, "lay", lambda *_: pytest.fail("a day was laid again"))
        for minute in range(3, 10):
            assert intake.take("ticks", ticks(minute))["written"] == 120

        assert series.stats("ticks").rows == series.verify("ticks") == 360
        assert series.read("ticks")["trade_time"].to_pylist()[0] == "2024-01-02 10:07:00"
        assert len(list((tmp_path / "s" / "ticks").glob("*.rows"))) == 3
    with pt.open_series(f"arrow://{tmp_path}/s") as series:
        assert series.verify("ticks") == 360


def test_how_long_rows_are_kept_is_a_setting(monkeypatch: pytest.MonkeyPatch):
    assert retention() == {}
    monkeypatch.setenv("PTOLEMY_RETENTION", "ticks=5m stk_mins=400d")
    assert retention() == {"ticks": timedelta(minutes=5), "stk_mins": timedelta(days=400)}


@pytest.mark.parametrize(
    ("text", "error"),
    [("ticks", ConfigError), ("ticks=5", ConfigError), ("ticks=0m", ConfigError), ("stock_basic=5d", ConfigError),
     ("tikcs=5m", UnknownInterface)],
)  # fmt: skip
def test_a_retention_that_cannot_be_meant_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str, error: type[Exception]
):
    monkeypatch.setenv("PTOLEMY_RETENTION", text)

    with pytest.raises(error):
        retention()


def test_one_row_from_the_future_makes_no_other_old():
    now = datetime(2024, 1, 2, 10, 0)

    assert behind(interface("ticks"), "2099-01-01 00:00:00", timedelta(minutes=5), now) == "2024-01-02 09:55:00.000000"
    assert behind(interface("ticks"), "2024-01-02 09:00:00", timedelta(hours=1), now) == "2024-01-02 08:00:00.000000"
    assert behind(interface("daily"), "20231229", timedelta(days=1), now) == "20231228"
