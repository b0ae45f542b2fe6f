"""Ticks, minutes and days: made-up ticks, the exchange's rules, and rows that are pushed."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ptolemy as pt
from ptolemy import sample
from ptolemy.catalogue import interface
from ptolemy.errors import BackendUnavailable, BadParam, Conflict
from ptolemy.journal import Journal
from ptolemy.pushing import Intake, PushSocket
from ptolemy.resample import bars_a_day, bars_of_minutes, days_of_minutes, minutes_of_ticks


def ticks(*times: str, code: str = "000001.SZ") -> pa.Table:
    rows = [
        {"ts_code": code, "trade_time": f"2024-01-02 {time}", "price": 10.0 + i, "vol": 100 * (i + 1),
         "amount": 1000.0 * (i + 1)}
        for i, time in enumerate(times)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=interface("ticks").schema())


def clocks(table: pa.Table) -> list[str]:
    return [time[11:16] for time in table["trade_time"].to_pylist()]


@pytest.mark.parametrize(
    ("time", "bar"),
    [
        ("09:15:00", "09:30"), ("09:25:00.120000", "09:30"), ("09:30:00", "09:30"), ("09:30:00.000001", "09:31"),
        ("09:30:59.999999", "09:31"), ("09:31:00", "09:31"), ("09:31:00.500000", "09:32"), ("11:30:00", "11:30"),
        ("11:30:02", "11:30"), ("12:58:59", "11:30"), ("13:00:00", "13:01"), ("13:00:01", "13:01"),
        ("13:01:00", "13:01"), ("13:01:01", "13:02"), ("14:59:59.990000", "15:00"),
        ("15:00:00", "15:00"), ("15:00:04", "15:00"),
    ],
)  # fmt: skip
def test_a_trade_is_in_the_bar_of_the_exchange(time: str, bar: str):
    assert clocks(minutes_of_ticks(ticks(time))) == [bar]


def test_a_bar_has_the_first_the_extreme_and_the_last_price_and_the_sums():
    table = minutes_of_ticks(ticks("09:30:10", "09:30:20", "09:30:30", "09:31:10"))

    assert table.drop_columns(["ts_code", "freq"]).to_pylist()[0] == {
        "trade_time": "2024-01-02 09:31:00", "open": 10.0, "close": 12.0, "high": 12.0, "low": 10.0, "vol": 600,
        "amount": 6000.0,
    }  # fmt: skip
    assert clocks(table) == ["09:31", "09:32"]


def test_the_order_of_the_rows_does_not_matter():
    whole = ticks("09:30:10", "09:30:20", "10:30:30", "14:31:10")
    shuffled = whole.take(pa.array([2, 0, 3, 1]))

    assert minutes_of_ticks(shuffled) == minutes_of_ticks(whole)


@pytest.mark.parametrize(
    ("freq", "bars", "first", "last"),
    [("1min", 241, "09:30", "15:00"), ("5min", 48, "09:35", "15:00"), ("15min", 16, "09:45", "15:00"),
     ("30min", 8, "10:00", "15:00"), ("60min", 4, "10:30", "15:00")],
)  # fmt: skip
def test_a_whole_day_in_shanghai_has_its_number_of_bars_and_none_at_one_o_clock(
    freq: str, bars: int, first: str, last: str
):
    daily = {"ts_code": "000001.SZ", "trade_date": "20240102", "open": 10.0, "high": 11.0, "low": 9.5, "close": 10.5,
             "vol": 12345.0}  # fmt: skip
    minutes = minutes_of_ticks(sample.ticks(pa.Table.from_pylist([daily], schema=interface("daily").schema())))

    made = bars_of_minutes(minutes, freq)

    times = clocks(made)
    assert (len(times), times[0], times[-1]) == (bars, first, last)
    assert bars_a_day("XSHG", freq) == bars
    assert "13:00" not in times
    assert "11:30" in times
    assert set(made["freq"].to_pylist()) == {freq}


def test_ticks_inside_real_bars_give_the_real_bars_back(real: str):
    with pt.open_series(real) as series:
        bars = series.read("daily", codes=["AAPL.US", "IBM.US"], start="20130101")
    made = sample.ticks(bars, a_minute=2, seed=7)

    back = days_of_minutes(minutes_of_ticks(made))

    assert back.num_rows == bars.num_rows == 82
    for name in ("ts_code", "trade_date", "open", "high", "low", "close"):
        assert back[name].to_pylist() == bars[name].to_pylist(), name
    np.testing.assert_allclose(back["vol"].to_numpy(), bars["vol"].to_numpy(), rtol=1e-12)
    assert back["pre_close"].null_count == back.num_rows
    assert made == sample.ticks(bars, a_minute=2, seed=7)
    assert made != sample.ticks(bars, a_minute=2, seed=8)
    alone = sample.ticks(bars.slice(81), a_minute=2, seed=7)
    assert alone == made.slice(made.num_rows - alone.num_rows)
    assert b"synthetic" in made.schema.metadata
    with pytest.raises(BadParam, match="no price or no volume"):
        sample.ticks(bars.slice(0, 1).set_column(bars.column_names.index("vol"), "vol", pa.array([None], pa.float64())))


def test_the_commands_go_from_days_to_ticks_to_minutes_and_back(bars: Path, ptolemy: Callable[..., Any]):
    pt.collect("csv:bars.csv", "daily")
    assert ptolemy("sample", "ticks", "000001.SZ", "--out", "t.parquet").code == 0
    assert pq.read_metadata("t.parquet").metadata[b"synthetic"]
    pt.collect("parquet:t.parquet", "ticks")
    assert json.loads(ptolemy("collect", "resample", "ticks", "--json").out)[0]["written"] == 482
    with pt.open_series() as series:
        before = series.read("daily").to_pylist()
        series.delete("daily", codes=["000001.SZ"], start="20240103", end="20240103")

    made = json.loads(ptolemy("collect", "resample", "stk_mins", "--json").out)

    assert made[0]["written"] == 1  # the other day is kept as it was
    with pt.open_series() as series:
        assert series.read("daily", columns=["open", "high", "low", "close", "vol"]).to_pylist() == [
            {k: v for k, v in row.items() if k in ("open", "high", "low", "close", "vol")} for row in before
        ]
    five = pt.api().stk_mins(ts_code="000001.SZ", freq="5min", start_date="20240103")
    assert len(five) == 48
    assert five["trade_time"].iloc[-1] == "2024-01-03 09:35:00"
    with pytest.raises(BadParam, match="freq cannot be '7min'"):
        pt.api().stk_mins(freq="7min")


def test_what_is_asked_for_a_part_of_a_day_is_made_of_whole_bars(bars: Path):
    pt.collect("csv:bars.csv", "daily")
    with pt.open_series() as series:
        made = minutes_of_ticks(sample.ticks(series.read("daily", codes=["000001.SZ"], end="20240102")))
        series.upsert("stk_mins", made, key=interface("stk_mins").key)

    whole = pt.api().stk_mins(ts_code="000001.SZ", freq="30min")
    part = pt.api().stk_mins(ts_code="000001.SZ", freq="30min", start_date="2024-01-02 10:15:00",
                             end_date="2024-01-02 11:00:00")  # fmt: skip

    assert part["trade_time"].tolist() == ["2024-01-02 11:00:00", "2024-01-02 10:30:00"]
    assert part.to_numpy().tolist() == whole[whole["trade_time"].isin(part["trade_time"])].to_numpy().tolist()


@pytest.fixture
def intake(tmp_path: Path) -> Iterator[Intake]:
    with pt.open_series(f"arrow://{tmp_path}/pushed") as series, Journal(tmp_path / "journal.db") as journal:
        yield Intake(series, journal)


def test_pushed_rows_are_kept_and_what_is_wrong_is_set_aside(intake: Intake):
    table = ticks("09:30:10", "09:30:20", "24:30:30")

    assert intake.take("ticks", table) == {"rows": 3, "written": 2, "quarantined": 1}
    assert intake.take("ticks", table.slice(0, 2)) == {"rows": 2, "written": 0, "quarantined": 0}
    assert intake.series.read("ticks").num_rows == 2
    (row,) = intake.journal.quarantine()
    assert (row.kind, row.time) == ("date", "2024-01-02 24:30:30")


@pytest.mark.parametrize(
    ("dataset", "table", "why"),
    [
        ("tickz", ticks("09:30:10"), "tickz"),
        ("trade_cal", ticks("09:30:10"), "computed"),
        ("ticks", ticks("09:30:10").rename_columns(["ts_code", "trade_time", "prices", "vol", "amount"]), "'prices'"),
        ("ticks", pa.table({"price": ["dear"]}), "cannot be string"),
    ],
)
def test_rows_that_cannot_be_meant_are_refused(intake: Intake, dataset: str, table: pa.Table, why: str):
    with pytest.raises(pt.BadInput, match=why):
        intake.take(dataset, table)
    assert intake.series.datasets() == []


def test_a_socket_acknowledges_what_is_durable(intake: Intake, tmp_path: Path):
    path = tmp_path / "push.sock"
    taking = PushSocket(intake, path)
    try:
        parts = [ticks(f"09:3{i}:10", f"09:3{i}:20") for i in range(1, 6)]

        assert pt.push("ticks", parts, path) == 10
        assert pt.push("ticks", parts[0], path) == 2  # what is there already is taken and not written again
        assert intake.series.read("ticks").num_rows == 10
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(pt.BadInput, match="tikcs"):
            pt.push("tikcs", parts, path)
        with pytest.raises(Conflict, match="listens at"):
            PushSocket(intake, path)
        with socket.socket(socket.AF_UNIX) as broken:  # one who speaks something else hurts nobody
            broken.connect(str(path))
            broken.sendall(b"ticks\nGET / HTTP/1.1\r\n\r\n")
        assert pt.push("ticks", ticks("10:00:00"), path) == 1
    finally:
        taking.close()
    with pytest.raises(BackendUnavailable):
        pt.push("ticks", parts, path)
    assert pt.push("ticks", [], path) == 0


def test_a_socket_that_a_killed_service_left_is_taken_over(intake: Intake, tmp_path: Path):
    path = tmp_path / "push.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))

    PushSocket(intake, path).close()

    assert not path.exists()


def test_a_service_takes_rows_over_http_and_at_its_socket(tmp_path: Path):
    command = [str(Path(sys.executable).with_name("ptolemy")), "serve", "--port", "0", "--json", "--store",
               f"arrow://{tmp_path}/store", "--push", "--push-socket", f"{tmp_path}/p.sock"]  # fmt: skip
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PTOLEMY_HOME": str(tmp_path / "home")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env) as process:
        try:
            assert process.stdout is not None
            url = json.loads("".join(process.stdout.readline() for _ in range(4)))["url"]
            import urllib3

            body = json.dumps({"fields": ["ts_code", "trade_time", "price", "vol"],
                               "items": [["a", "2024-01-02 09:30:01", 1, 2]]})  # fmt: skip
            with urllib3.PoolManager() as pool:
                headers = {"content-type": "application/json"}
                reply = pool.request("PUT", f"{url}/v1/ticks", body=body, headers=headers)
                assert (reply.status, reply.json()) == (200, {"rows": 1, "written": 1, "quarantined": 0})
                assert pt.push("ticks", ticks("09:30:02"), tmp_path / "p.sock") == 1
                assert len(pt.api(url=url).ticks()) == 2
        finally:
            process.terminate()
            process.wait(timeout=20)
    assert not (tmp_path / "p.sock").exists()
