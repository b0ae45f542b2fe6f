"""When data sets are due, and what is late."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import ptolemy as pt
from ptolemy.journal import Journal
from ptolemy.schedule import next_due, run, states


def test_status_tells_what_is_late_and_what_is_due(tushare: str):
    pt.collect(tushare, "daily", start="20240102", end="20240104")
    now = datetime(2024, 1, 8, 7, 59, tzinfo=UTC)  # 15:59 in Shanghai, a minute before the rows are there

    with pt.open_series() as series, Journal() as journal:
        (state,) = states(series, journal, now=now)
        (later,) = states(series, journal, now=now.replace(hour=8, minute=0))

    assert (state.last, state.expected, state.behind) == ("20240104", "20240105", 1)
    assert state.due == "2024-01-08T08:00:00+00:00"
    assert (later.expected, later.behind, later.due) == ("20240108", 2, "2024-01-09T08:00:00+00:00")
    assert next_due(["daily", "adj_factor"], now) == (datetime(2024, 1, 8, 8, tzinfo=UTC), ["daily"])


def test_the_schedule_collects_at_the_times_of_the_catalogue_and_asks_again_after_a_failure(stub: Any, tmp_path: Path):
    clock = [datetime(2024, 1, 4, 9, 0, tzinfo=UTC)]
    told: list[int] = []
    failed: list[str] = []
    (tmp_path / "feed.py").write_text(
        "def bars(dataset, start, end, codes):\n"
        "    if (flag := __import__('pathlib').Path('away')).exists():\n"
        "        flag.unlink(); raise __import__('ptolemy.errors', fromlist=['x']).BackendUnavailable('away')\n"
        "    days = [d for d in ('20240102','20240103','20240104','20240105') if start <= d <= end]\n"
        "    return [dict(ts_code='A.SH', trade_date=d, open=9.5, high=10, low=9, close=9.2 + int(d[-1]) / 100)"
        " for d in days]\n"
    )
    (tmp_path / "bars.csv").write_text("ts_code,trade_date,open,high,low,close\nA.SH,20240102,9.5,10,9,9.4\n")
    pt.collect("csv:bars.csv", "daily")

    def sleep(seconds: float) -> None:
        from datetime import timedelta

        clock[0] += timedelta(seconds=seconds)
        if clock[0] > datetime(2024, 1, 5, 7, 0, tzinfo=UTC) and not told[1:] and not failed:
            (tmp_path / "away").touch()

    import ptolemy.calendars as calendars

    real = calendars.finished
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ptolemy.collecting.finished", lambda c, u, now=None: real(c, u, clock[0]))
        run("python:feed.py:bars", ["daily"], told=lambda got: told.append(got[0].written),
            failed=lambda exc: failed.append(str(exc)), passes=3, now=lambda: clock[0], sleep=sleep)  # fmt: skip

    assert told == [2, 1]
    assert failed == ["away"]
    assert datetime(2024, 1, 5, 8, 10, tzinfo=UTC) <= clock[0] <= datetime(2024, 1, 5, 8, 12, tzinfo=UTC)
