"""The contract on a real InfluxDB 1.6.7, and what is delivered there."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen
from uuid import uuid4

import pyarrow as pa
import pytest

from ptolemy import sample
from ptolemy.catalogue import interfaces
from ptolemy.errors import BackendUnavailable, BadInput, DamagedSeries, NotFound
from ptolemy.series import Series, open_series
from ptolemy.series.influxdb import InfluxSeries
from ptolemy.testing import SeriesContract
from ptolemy.testing.series import A1, A2, A3, B1, KEY, bars, rows

pytestmark = pytest.mark.influxdb


@pytest.fixture
def url(tmp_path: Path) -> str:
    server = os.environ["PTOLEMY_TEST_INFLUXDB_URL"].rpartition("/")[0]
    return f"{server}/test_{uuid4().hex[:12]}?spool={tmp_path / 'spool'}"


@pytest.fixture
def series(url: str) -> Iterator[Series]:
    with open_series(url) as store:
        yield store


@pytest.fixture
def reopened(url: str) -> Callable[[], Series]:
    return lambda: open_series(url)


class TestInfluxdb(SeriesContract):
    """All of `SeriesContract`, on a real server."""


def influx(series: Series) -> InfluxSeries:
    return cast(InfluxSeries, series)


def asked(url: str, statement: str) -> list[list[str]]:
    """Ask the server itself."""
    address = urlsplit(url)
    query = urlencode({"db": address.path.strip("/"), "q": statement, "epoch": "ns"})
    request = Request(f"http://{address.netloc}/query?{query}", headers={"Accept": "application/csv"})
    with urlopen(request) as answer:
        lines = answer.read().decode().splitlines()
    return [line.split(",") for line in lines]


def test_points_have_the_security_as_tag_and_numbers_as_floats(series: Series, url: str):
    series.upsert("daily", bars(A1, vol=[7.0]), key=KEY)
    influx(series).flush()

    assert asked(url, "SELECT * FROM daily") == [
        ["name", "tags", "time", "close", "ts_code", "vol"],
        ["daily", "", "1704153600000000000", "1", "A.X", "7"],
    ]
    assert [row[2:] for row in asked(url, "SHOW TAG KEYS FROM daily")] == [["tagKey"], ["ts_code"]]


def test_shards_are_as_long_as_the_data_ask_for(series: Series, url: str):
    series.upsert("daily", bars(A1), key=KEY)
    series.upsert("stk_mins", bars(("A.X", "2024-01-02 09:31:00", 1.0)), key=KEY)
    series.upsert("ticks", bars(("A.X", "2024-01-02 09:31:00.500", 1.0)), key=KEY)
    influx(series).flush()

    found = {row[2]: row[4] for row in asked(url, "SHOW RETENTION POLICIES")}
    assert (found["daily"], found["minutes"], found["ticks"]) == ("8736h0m0s", "672h0m0s", "24h0m0s")
    assert rows(series.read("stk_mins")) == [("A.X", "2024-01-02 09:31:00", 1.0)]
    assert rows(series.read("ticks")) == [("A.X", "2024-01-02 09:31:00.5", 1.0)]


def test_a_value_that_is_taken_back_is_gone_there_as_well(series: Series):
    series.upsert("daily", bars(A1, A2, vol=[7.0, 8.0]), key=KEY)
    influx(series).flush()
    series.upsert("daily", bars(("A.X", "20240102", None), vol=[7.0]), key=KEY)

    assert rows(series.read("daily")) == [("A.X", "20240102", None, 7.0), (*A2, 8.0)]
    assert series.verify("daily") == 2


def test_texts_with_every_separator_come_back(series: Series):
    table = pa.table(
        {
            "ts_code": ["A, =\\.X", 'B"X', "平安.SZ"],
            "trade_date": ["20240102"] * 3,
            "name": ['say "no"', "a\\b, c=d", "平安\n银行"],
            "open": [1.5, None, float("1e-7")],
        }
    )
    series.upsert("names", table, key=KEY)

    assert rows(series.read("names")) == rows(table)
    assert rows(series.read("names", codes=['B"X'])) == rows(table)[1:2]


def test_a_data_set_without_time_is_kept(series: Series):
    table = pa.table({"ts_code": ["A.X", "B.X"], "name": ["one", "two"]})
    series.upsert("stock_basic", table, key=("ts_code",))

    assert rows(series.read("stock_basic", codes=["B.X"])) == [("B.X", "two")]


def test_another_machine_reads_the_newest_version_without_the_log(series: Series, url: str, tmp_path: Path):
    series.upsert("daily", bars(A1, A2), key=KEY)
    version = series.upsert("daily", bars(A3), key=KEY)
    influx(series).flush()

    with open_series(f"{url.partition('?')[0]}?spool={tmp_path / 'elsewhere'}") as other:
        assert other.datasets() == ["daily"]
        assert rows(other.read("daily", start="20240103")) == [A2, A3]
        assert other.versions("daily") == [version]
        assert other.stats("daily").rows == 3
        assert other.verify("daily") == 3
        with pytest.raises(NotFound, match="version 2 only"):
            other.read("daily", as_of=1)


def test_rows_of_every_interface_come_back_from_the_server_as_they_were(series: Series, url: str):
    kept = {}
    for known in interfaces().values():
        if not known.computed:
            made = sample.rows(known, codes=3, days=["20050103", "20050104"])
            series.upsert(known.name, made, key=known.key)
            kept[known.name] = series.read(known.name)
    influx(series).flush()

    assert len(kept) > 20
    with open_series(url.replace("/spool", "/elsewhere")) as other:
        assert {name: other.read(name).to_pylist() for name in kept} == {n: t.to_pylist() for n, t in kept.items()}


def test_an_infinity_is_refused_and_nothing_is_written(series: Series):
    with pytest.raises(BadInput, match="close holds an infinity"):
        series.upsert("daily", bars(("A.X", "20240102", float("inf"))), key=KEY)

    assert series.datasets() == []


def test_a_day_that_is_none_is_refused_and_stops_nothing(series: Series):
    series.upsert("daily", bars(A1), key=KEY)
    influx(series).flush()
    for day in ("20240231", "yesterday"):
        with pytest.raises(BadInput, match="neither a day nor a moment"):
            series.upsert("daily", bars(("A.X", day, 1.0)), key=KEY)
    series.upsert("daily", bars(A2), key=KEY)

    assert rows(series.read("daily")) == [A1, A2]


def test_what_the_server_lost_is_found_by_verify(series: Series, url: str):
    series.upsert("daily", bars(A1, A2), key=KEY)
    influx(series).flush()
    influx(series).server.command("DROP MEASUREMENT daily")

    with pytest.raises(DamagedSeries, match="does not hold of daily what was delivered"):
        series.verify("daily")


def test_a_server_that_is_down_takes_nothing_away_and_gets_all_once_it_is_up(url: str):
    address = urlsplit(url)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    down = f"influxdb://127.0.0.1:{port}{address.path}?{address.query}"

    with open_series(down) as series:
        for day in range(1, 20):
            series.upsert("daily", bars(("A.X", f"202401{day:02d}", float(day))), key=KEY)
        with pytest.raises(BackendUnavailable, match="does not answer"):
            series.read("daily")
        assert series.stats("daily").log_records == 19
        assert len(series.versions("daily")) == 19
        assert series.read("daily", as_of=19).num_rows == 19

    with open_series(url) as series:
        assert series.read("daily").num_rows == 19
        assert series.stats("daily").log_records == 0
    assert len(asked(url, "SELECT * FROM daily")) == 20


def test_doctor_says_that_the_server_is_away(url: str, ptolemy: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    with open_series(url) as series:
        series.upsert("daily", bars(A1), key=KEY)
    monkeypatch.setenv("PTOLEMY_SERIES", url)
    assert "daily 1 rows" in ptolemy("doctor").out

    monkeypatch.setenv("PTOLEMY_SERIES", url.replace(str(urlsplit(url).port), "1"))
    code, out, _ = ptolemy("doctor")

    assert code == 6
    assert "does not answer" in out


def test_leaving_the_block_delivers_what_was_written(url: str):
    with open_series(url) as series:
        series.upsert("daily", bars(A1, B1), key=KEY)

    assert len(asked(url, "SELECT * FROM daily")) == 3


@pytest.mark.parametrize("query", ["dialect=v3", "timeout=soon"])
def test_an_address_that_cannot_be_used_is_refused(query: str):
    with pytest.raises(BadInput, match=query.partition("=")[0]):
        open_series(f"influxdb://127.0.0.1:8086/jiyuan?{query}")


@pytest.mark.influxdb2
def test_the_v2_route_takes_the_same_lines(tmp_path: Path):
    base = os.environ["PTOLEMY_TEST_INFLUXDB2_URL"].partition("?")[0]
    database = f"test_{uuid4().hex[:12]}"
    server = base.rpartition("/")[0]
    table = bars(*(("A.X", f"202401{day:02d}", day / 4) for day in range(1, 21)))
    with open_series(f"{server}/{database}?dialect=v2&org=jiyuan&spool={tmp_path}") as series:
        series.upsert("daily", table, key=KEY)
        series.upsert("daily", bars(("A.X", "20240121", 9.0)), key=KEY)
        influx(series).flush()
        assert series.stats("daily").log_records == 0

    http = f"http://{urlsplit(server).netloc}"
    urlopen(f"{http}/internal/force_flush").close()
    with urlopen(f"{http}/api/v1/export?match[]=daily_close") as answer:
        (found,) = [json.loads(line) for line in answer.read().splitlines()]
    assert found["metric"]["ts_code"] == "A.X"
    assert found["values"] == [*(day / 4 for day in range(1, 21)), 9.0]
