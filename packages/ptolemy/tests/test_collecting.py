"""Sources that answer questions: what is asked, what is kept, what is set aside, and how it goes on."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import ptolemy as pt
from ptolemy.catalogue import interface
from ptolemy.collection import backfill
from ptolemy.errors import BackendUnavailable, BadData, BadParam, BadToken, NoPermission, RateLimited
from ptolemy.journal import Journal
from ptolemy.schedule import next_due, run, states
from ptolemy.sources import Source, Wanted, open_source
from ptolemy.sources.rates import Rate
from ptolemy.sources.tushare import TushareSource
from ptolemy.testing.sources import ROWS, SourceContract

DAYS = ["20240102", "20240103", "20240104", "20240105", "20240108"]  # five sessions in Shanghai


class Stub:
    """Answers as recorded from services that are not ours: a queue of special replies, then rows by day."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.special: list[Any] = []
        self.cap = 6000
        self.knows_offset = True
        self.url = ""

    def rows(self, asked: dict[str, Any]) -> list[list[Any]]:
        params = asked["params"]
        days = [params["trade_date"]] if params.get("trade_date") else DAYS
        if params.get("start_date"):
            days = [d for d in DAYS if params["start_date"] <= d <= params.get("end_date", "9")]
        codes = params["ts_code"].split(",") if params.get("ts_code") else ["000001.SZ", "600000.SH"]
        # Newest first, amount null as after a halt of the feed, in the order of the service's own columns.
        return [[c, d, 10.0 + int(d[-1]), 11.0 + int(d[-1]), 9.5, 10.5, 100.0 + int(d[-2:]), None]
                for d in sorted(days, reverse=True) if d in DAYS for c in codes]  # fmt: skip

    def answer(self, asked: dict[str, Any]) -> tuple[int, bytes]:
        self.calls.append(asked)
        if self.special:
            given = self.special.pop(0)
            if isinstance(given, tuple):
                return given
            return 200, json.dumps(given, ensure_ascii=False).encode()
        rows = self.rows(asked)
        begin = int(asked["params"].get("offset") or 0) if self.knows_offset else 0
        page = rows[begin : begin + min(self.cap, int(asked["params"].get("limit") or self.cap))]
        data = {
            "fields": ["ts_code", "trade_date", "open", "high", "low", "close", "vol", "amount"], "items": page,
            "has_more": begin + len(page) < len(rows) and self.knows_offset, "count": -1,
        }  # fmt: skip
        reply = {"request_id": "a1", "code": 0, "msg": "", "data": data}
        return 200, json.dumps(reply, ensure_ascii=False).encode()


@pytest.fixture
def stub() -> Iterator[Stub]:
    made = Stub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self.reply(*made.answer(body | {"path": self.path}))

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            made.calls.append({"path": parts.path, "query": {k: v[0] for k, v in parse_qs(parts.query).items()}})
            given = made.special.pop(0) if made.special else (404, b"gone")
            self.reply(*given)

        def reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json" if body[:1] in b"{[" else "text/csv")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def tushare(stub: Stub) -> str:
    return f"tushare://:secret@{stub.url}?rate=0"


def days_of(frame: Any) -> list[str]:
    return sorted(set(frame["trade_date"]))


def test_every_session_is_asked_for_once_and_only_what_can_be_new_the_next_time(tushare: str, stub: Stub):
    (first,) = pt.collect(tushare, "daily", start="20240101", end="20240104")
    assert [c["params"]["trade_date"] for c in stub.calls] == ["20240102", "20240103", "20240104"]
    assert (first.rows, first.written, first.questions) == (6, 6, 3)

    stub.calls.clear()
    (second,) = pt.collect(tushare, "daily", end="20240108")

    assert [c["params"]["trade_date"] for c in stub.calls] == ["20240105", "20240108"]
    assert second.written == 4
    assert days_of(pt.api().daily()) == DAYS
    assert stub.calls[0]["token"] == "secret"
    assert pt.api().daily()["amount"].isna().all()
    (third,) = pt.collect(tushare, "daily", end="20240108")
    assert (third.questions, third.written) == (0, 0)


def test_asking_again_changes_nothing_and_makes_no_version(tushare: str, stub: Stub):
    pt.collect(tushare, "daily", start="20240102", end="20240108")
    before = pt.versions("daily")
    stub.calls.clear()

    pt.collect(tushare, "daily", start="20240102", end="20240108")
    assert stub.calls == []
    pt.collect(tushare, "daily", start="20240102", end="20240108", again=True)

    assert len(stub.calls) == 5
    assert pt.versions("daily") == before


def test_what_was_interrupted_goes_on_where_it_was(tushare: str, stub: Stub):
    refused = {"code": 40203, "msg": "抱歉，您没有接口访问权限，权限的具体详情访问：https://tushare.pro", "data": None}
    fine = json.loads(stub.answer({"params": {"trade_date": "20240102"}})[1])
    stub.calls.clear()
    stub.special = [fine, refused]
    with pytest.raises(NoPermission, match="没有接口访问权限"):
        pt.collect(tushare, "daily", start="20240102", end="20240108")
    assert days_of(pt.api().daily()) == ["20240102"]
    with Journal() as journal:
        (failed,) = journal.jobs(["failed"])
    assert (failed.wanted.start, failed.dataset) == ("20240103", "daily")

    stub.calls.clear()
    pt.collect(tushare, "daily", start="20240102", end="20240108")

    assert [c["params"]["trade_date"] for c in stub.calls] == DAYS[1:]
    assert days_of(pt.api().daily()) == DAYS


def test_a_cut_answer_is_asked_on_and_a_service_without_pages_is_told(tushare: str, stub: Stub):
    stub.cap = 3
    codes = [f"{i:06}.SZ" for i in range(8)]
    known = interface("daily")
    with open_source(tushare) as source:
        (batch,) = source.read(known, wanted=Wanted("20240102", "20240102", tuple(codes), "trade_date"))
        assert batch.table["ts_code"].to_pylist() == codes
        assert [c["params"]["offset"] for c in stub.calls] == [0, 3, 6]

        stub.knows_offset = False
        stub.special = []
        original = stub.answer
        stub.answer = lambda asked: (  # type: ignore[method-assign]  # it says that there is more, and gives the same
            200, original(asked)[1].replace(b'"has_more": false', b'"has_more": true')
        )  # fmt: skip
        with pytest.raises(BadData, match="does not know offset"):
            list(source.read(known, wanted=Wanted("20240102", "20240102", tuple(codes), "trade_date")))


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        ({"code": 40101, "msg": "您的token不对，请确认。", "data": None}, BadToken, "token"),
        ({"code": 2002, "msg": "权限不足", "data": None}, NoPermission, "权限不足"),
        ({"code": -2002, "message": "没有权限", "data": None}, NoPermission, "没有权限"),
        ({"code": -2001, "msg": "参数校验失败,start_date", "data": None}, BadParam, "-2001"),
        ({"code": 40203, "msg": "抱歉，您每天最多访问该接口2次", "data": None}, RateLimited, "每天"),
        ({"code": 0, "msg": "", "data": {"fields": ["ts_code"], "items": [["a", "b"]]}}, BadData, "do not fit"),
        ((200, b"<html>maintenance</html>"), BackendUnavailable, "does not answer as Tushare"),
    ],
)
def test_what_the_service_refuses_is_an_error_of_its_kind(stub: Stub, tushare: str, reply: Any, kind: Any, text: str):
    stub.special = [reply]

    with pytest.raises(kind, match=text):
        pt.collect(tushare, "daily", start="20240102", end="20240102")
    assert pt.api().datasets() == []


def test_a_rate_by_the_minute_is_learned_and_waited_for(stub: Stub, tmp_path: Path):
    clock = [1000.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    rate = Rate(tmp_path / "rates", "x", 0, clock=lambda: clock[0], sleep=sleep)
    source = TushareSource(f"http://{stub.url}", "t", rate, sleep=sleep)
    stub.special = [
        {"code": 40203, "msg": "抱歉，您每分钟最多访问该接口120次，权限的具体详情访问：https://x", "data": None},
        (429, b""), (502, b"bad gateway"),
    ]  # fmt: skip

    (batch,) = source.read(interface("daily"), wanted=Wanted("20240102", "20240102", None, "trade_date"))

    assert batch.table.num_rows == 2
    assert len(stub.calls) == 4
    assert sum(slept) >= 60
    other = Rate(tmp_path / "rates", "x", 6000, clock=lambda: clock[0], sleep=sleep)  # another process
    assert [round(other.wait(), 2) > 0.4 for _ in range(3)][1:] == [True, True]


def test_all_processes_share_one_rate(tmp_path: Path):
    clock = [50.0]
    mine, other = (Rate(tmp_path, "host token", 60, clock=lambda: clock[0], sleep=lambda _: None) for _ in range(2))

    assert [mine.wait(), other.wait(), mine.wait()] == [0.0, 1.0, 2.0]
    clock[0] += 100
    assert other.wait() == 0.0
    assert "host" not in "".join(p.read_text() + p.name for p in tmp_path.iterdir())


def test_a_service_that_is_away_is_told_after_a_few_tries(tmp_path: Path):
    slept: list[float] = []
    source = TushareSource("http://127.0.0.1:9", "t", Rate(tmp_path, "x", 0), sleep=slept.append)

    with pytest.raises(BackendUnavailable, match=r"127\.0\.0\.1:9 does not answer"):
        list(source.read(interface("daily"), wanted=Wanted("20240102", "20240102", None, "trade_date")))
    assert len(slept) == 4


def test_reference_data_is_asked_for_in_each_of_its_states(tushare: str, stub: Stub):
    names = ["ts_code", "name", "list_status"]
    stub.special = [
        {"code": 0, "msg": "", "data": {"fields": names, "items": [[f"00000{i}.SZ", "n", state]]}}
        for i, state in enumerate("LDP")
    ]

    pt.collect(tushare, "stock_basic")

    assert [c["params"]["list_status"] for c in stub.calls] == ["L", "D", "P"]
    assert pt.api().stock_basic(list_status="L,D,P")["ts_code"].tolist() == ["000000.SZ", "000001.SZ", "000002.SZ"]


def test_what_is_asked_by_another_day_than_its_key_is_asked_once(tushare: str, stub: Stub):
    names = ["ts_code", "end_date", "ann_date", "div_proc", "cash_div"]
    stub.special = [
        {"code": 0, "msg": "", "data": {"fields": names, "items": [["000001.SZ", "20231231", day, f"step {day}", 1.0]]}}
        for day in ("20240102", "20240103", "20240104")
    ]

    pt.collect(tushare, "dividend", start="20240102", end="20240103")
    (again,) = pt.collect(tushare, "dividend", end="20240104")

    assert [c["params"]["ann_date"] for c in stub.calls] == ["20240102", "20240103", "20240104"]
    assert (again.questions, len(pt.api().dividend(ann_date="20240104"))) == (1, 1)


def test_bars_of_minutes_are_asked_for_security_by_security(tushare: str, stub: Stub):
    row = ["000001.SZ", "2024-01-02 15:00:00", 10, 10, 10, 10, 100, 1000]
    names = ["ts_code", "trade_time", "open", "close", "high", "low", "vol", "amount"]
    stub.special = [{"code": 0, "msg": "", "data": {"fields": names, "items": [row]}}] * 2
    with pytest.raises(pt.BadInput, match="security by security"):
        pt.collect(tushare, "stk_mins", start="20240102", end="20240102")

    pt.collect(tushare, "stk_mins", start="20240102", end="20240102", codes="000001.SZ")
    pt.collect(tushare, "stk_mins", end="20240103")

    assert [(c["params"]["start_date"], c["params"]["end_date"], c["params"]["freq"]) for c in stub.calls] == [
        ("2024-01-02 00:00:00", "2024-01-02 23:59:59", "1min"), ("2024-01-03 00:00:00", "2024-01-03 23:59:59", "1min"),
    ]  # fmt: skip
    assert pt.api().stk_mins(fields="trade_time,freq").to_numpy().tolist() == [["2024-01-02 15:00:00", "1min"]]


def test_bad_rows_of_an_answer_are_set_aside_with_a_reason_and_can_be_released(
    tushare: str, stub: Stub, ptolemy: Callable[..., Any]
):
    names = ["ts_code", "trade_date", "open", "high", "low", "close", "vol"]
    rows = [
        ["000001.SZ", "20240102", 10, 11, 9, 10, 100], ["000001.SZ", "20240102", 10, 11, 9, 10, 100],
        ["000002.SZ", "20240102", 10, 9, 11, 10, 100], ["000003.SZ", "20240102", "n.a.?", 11, 9, 10, 100],
        ["000004.SZ", "20240102", 10, 11, 9, [10], 100], ["000005.SZ", "20240101", 10, 11, 9, 10, 100],
        ["000006.SZ", "20240102", 10, 11, 9, None, 100],
    ]  # fmt: skip
    stub.special = [{"code": 0, "msg": "", "data": {"fields": names, "items": rows}}]

    (got,) = pt.collect(tushare, "daily", start="20240102", end="20240102")

    assert (got.rows, got.written, got.quarantined) == (7, 1, 6)
    assert pt.api().daily()["ts_code"].tolist() == ["000001.SZ"]
    with Journal() as journal:
        aside = journal.quarantine("daily")
    assert [row.kind for row in aside] == ["duplicate", "rule", "value", "value", "session", "missing"]
    assert "low <= high" in aside[1].reason
    assert "row 3" in aside[1].place
    assert "secret" not in json.dumps([row.source for row in aside])
    shown = json.loads(ptolemy("quality", "quarantine", "--json").out)
    assert [row["id"] for row in shown] == [row.id for row in aside]
    assert ptolemy("quality", "release", "5", "--dry-run").code == 0
    assert ptolemy("quality", "release", "5").code == 0
    assert pt.api().daily()["ts_code"].tolist() == ["000001.SZ", "000005.SZ"]
    assert ptolemy("quality", "release", "5").code == 3


def test_gaps_become_jobs_that_a_source_fills(tushare: str, stub: Stub, ptolemy: Callable[..., Any]):
    pt.collect(tushare, "daily", start="20240102", end="20240108")
    with pt.open_series() as series:
        series.delete("daily", codes=["000001.SZ"], start="20240103", end="20240105")

    checked = ptolemy("quality", "check", "daily", "--backfill", "--no-late", "--json")
    assert checked.code == 1
    (gap,) = json.loads(checked.out)
    assert (gap["kind"], gap["code"], gap["start"], gap["end"], gap["rows"]) == (
        "gap", "000001.SZ", "20240103", "20240105", 3,
    )  # fmt: skip
    assert ptolemy("collect", "status", "--json").out.count('"waiting": 1') == 1
    stub.calls.clear()
    (filled,) = backfill(tushare)

    assert filled.written == 3
    assert [(c["params"]["trade_date"], c["params"]["ts_code"]) for c in stub.calls] == [
        (day, "000001.SZ") for day in DAYS[1:4]
    ]
    assert ptolemy("quality", "check", "daily", "--no-late").code == 0
    assert backfill(tushare) == []


def test_a_day_of_suspension_is_no_gap(tushare: str, tmp_path: Path, ptolemy: Callable[..., Any]):
    pt.collect(tushare, "daily", start="20240102", end="20240108")
    with pt.open_series() as series:
        series.delete("daily", codes=["000001.SZ"], start="20240104", end="20240104")
    (tmp_path / "s.csv").write_text("ts_code,trade_date,suspend_type\n000001.SZ,20240104,S\n")
    pt.collect("csv:s.csv", "suspend_d")

    assert ptolemy("quality", "check", "daily", "--no-late").code == 0


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


def test_the_schedule_collects_at_the_times_of_the_catalogue_and_asks_again_after_a_failure(stub: Stub, tmp_path: Path):
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


def test_an_address_is_asked_day_by_day_with_its_mapping(stub: Stub, tmp_path: Path):
    (tmp_path / "map.toml").write_text(
        '[daily]\nts_code = "s"\ntrade_date = {column = "d", format = "%Y-%m-%d"}\nopen = "o"\nhigh = "h"\n'
        'low = "l"\nclose = "c"\n'
    )
    rows = [{"s": "a.sh", "d": f"2024-01-0{i}", "o": 9 + i / 10, "h": 10, "l": 9, "c": 9.5} for i in (2, 3)]
    stub.special = [(200, json.dumps({"data": {"rows": [row]}}).encode()) for row in rows]
    url = f"http://{stub.url}/bars/{{day}}?mapping=map.toml&rows=data.rows&day={{day}}&key=k&rate=0"

    (got,) = pt.collect(url, start="20240102", end="20240103")

    assert got.written == 2
    assert [(c["path"], c["query"]) for c in stub.calls] == [
        (f"/bars/{d}", {"day": d, "key": "k"}) for d in ("20240102", "20240103")
    ]
    assert pt.api().daily()["ts_code"].tolist() == ["A.SH", "A.SH"]


def test_an_address_of_lists_is_asked_security_by_security(stub: Stub):
    stub.special = [
        (200, json.dumps({"columns": ["trade_date", "adj_factor"], "values": [["20240102", 1.5]]}).encode())
    ] * 2
    url = f"http://{stub.url}/f?code={{code}}&from={{start}}&rows=values&rate=0"

    pt.collect(url, "adj_factor", start="20240102", end="20240102", codes=["A.SH", "B.SH"])

    assert [c["query"] for c in stub.calls] == [{"code": c, "from": "20240102"} for c in ("A.SH", "B.SH")]
    assert pt.api().adj_factor()["ts_code"].tolist() == ["A.SH", "B.SH"]


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        ((404, b"gone"), pt.NotFound, "404"),
        ((401, b"who"), pt.errors.NotAllowed, "401"),
        ((400, b"what"), BackendUnavailable, "400"),
        ((200, b"[1, 2"), BadData, "no json"),
        ((200, b"a,b\n1\n"), BadData, "row 1"),
        ((200, b"ts_code,trade_date\nA,20240102\n"), BadData, "'open' is missing"),
    ],
)
def test_an_address_that_gives_no_rows_is_told(stub: Stub, reply: Any, kind: Any, text: str):
    stub.special = [reply]

    with pytest.raises(kind, match=text):
        pt.collect(f"http://{stub.url}/bars.csv?rate=0", "daily")
    assert pt.api().datasets() == []


def test_bad_rows_of_a_file_are_refused_or_set_aside(tmp_path: Path, bars: Path):
    text = bars.read_text() + "600000.SH,20240103,20,19,21,20,100\n600000.SH,20240104,20,21,19,20,100\n"
    bars.write_text(text)
    with pytest.raises(BadData, match="low <= high"):
        pt.collect("csv:bars.csv", "daily")

    (got,) = pt.collect("csv:bars.csv", "daily", quarantine=True)

    assert (got.rows, got.written, got.quarantined) == (5, 4, 1)


def test_a_part_of_a_file_is_kept_by_days_and_codes(bars: Path):
    pt.collect("csv:bars.csv", "daily", start="20240103", codes="000001.SZ")

    assert pt.api().daily()[["ts_code", "trade_date"]].to_numpy().tolist() == [["000001.SZ", "20240103"]]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("tushare://:t@host?rat=1", "option 'rat'"),
        ("tushare://:t@host?rate=x", "are numbers"),
        ("tushare://:t@host?tls=maybe", "tls is true or false"),
        ("tushare://host", "no token"),
        ("http:", "names no host"),
        ("http://h/x?format=xml", "csv or json"),
        ("http://h/x?rate=fast", "rate is a number"),
        ("python:nothing", "names no function"),
        ("python:no.such.module:f", "no module"),
        ("python:missing.py:f", "no file"),
        ("python:json:nothing", "no function"),
        ("python:json:dumps?x=1", "option 'x'"),
    ],
)
def test_a_source_that_cannot_be_meant_is_refused(url: str, why: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TUSHARE_TOKEN", raising=False)
    with pytest.raises(pt.PtolemyError, match=why):
        pt.collect(url, "daily", start="20240102", end="20240102")


def test_nothing_is_asked_before_it_is_said_where_to_begin(tushare: str, stub: Stub):
    with pytest.raises(pt.BadInput, match="not said from which day") as caught:
        pt.collect(tushare, "daily")
    assert "--start-date" in str(caught.value.hint)
    with pytest.raises(pt.BadInput, match="is after"):
        pt.collect(tushare, "daily", start="20240105", end="20240102")
    assert stub.calls == []


class TestHttp(SourceContract):
    """All of `SourceContract` over an address."""

    @pytest.fixture
    def source(self, stub: Stub) -> Iterator[Source]:
        lines = [",".join(ROWS), *(",".join(map(str, row)) for row in zip(*ROWS.values(), strict=True))]
        stub.special = [(200, "\n".join(lines).encode())] * 4
        with open_source(f"http://{stub.url}/bars.csv?rate=0") as source:
            yield source


class TestPython(SourceContract):
    """All of `SourceContract` over a function."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Iterator[Source]:
        (tmp_path / "feed_of_rows.py").write_text(
            f"import pandas\nROWS = {ROWS!r}\n"
            "def bars(dataset, start, end, codes):\n    return pandas.DataFrame(ROWS)\n"
        )
        with open_source(f"python:{tmp_path / 'feed_of_rows.py'}:bars") as source:
            yield source
