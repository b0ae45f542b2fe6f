"""Our client gives the same DataFrame with a service as without."""

from __future__ import annotations

import asyncio
import json
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pandas as pd
import polars
import pyarrow as pa
import pytest

import ptolemy as pt
from ptolemy.errors import BackendUnavailable, BadInput, PtolemyError

ASKED: dict[str, Callable[[pt.Api], Any]] = {
    "one security": lambda api: api.daily(ts_code="AAPL.US"),
    "several": lambda api: api.daily(ts_code=["AAPL.US", "IBM.US"], start_date="20120101"),
    "everything": lambda api: api.daily(),
    "one day": lambda api: api.daily(trade_date="20130301"),
    "fields": lambda api: api.daily(ts_code="AAPL.US", fields=["close", "trade_date"]),
    "a hidden column": lambda api: api.daily(ts_code="AAPL.US", fields="ah_vol", limit=3),
    "a page": lambda api: api.daily(limit=7, offset=5),
    "nothing": lambda api: api.daily(ts_code="NONE.US"),
    "factors": lambda api: api.adj_factor(ts_code="AAPL.US"),
    "bars": lambda api: api.pro_bar("AAPL.US"),
    "adjusted": lambda api: api.pro_bar("AAPL.US,MSFT.US", adj="qfq", start_date="20050101", end_date="20051231"),
    "to the latest": lambda api: api.pro_bar("AAPL.US", adj="qfq", end_date="20041231", anchor="latest"),
    "not rounded": lambda api: api.pro_bar("AAPL.US", adj="hfq", precision=None),
    "means": lambda api: api.pro_bar("AAPL.US,FB.US", adj="qfq", ma=[5, 20]),
    "bars by query": lambda api: api.query("pro_bar", ts_code="AAPL.US", adj="qfq"),
    "a version": lambda api: api.daily(ts_code="AAPL.US", as_of=1),
    "a version of the bars": lambda api: api.pro_bar("AAPL.US", adj="qfq", as_of={"daily": 1, "adj_factor": 1}),
}
REFUSED: dict[str, Callable[[pt.Api], Any]] = {
    "interface": lambda api: api.dayly(),
    "by query": lambda api: api.query("dayly"),
    "column": lambda api: api.daily(fields="clse"),
    "parameter": lambda api: api.query("daily", ts_cod="AAPL.US"),
    "date": lambda api: api.daily(start_date="2012"),
    "range": lambda api: api.daily(start_date="20130101", end_date="20120101"),
    "limit": lambda api: api.daily(limit=-1),
    "codes": lambda api: api.daily(ts_code=[]),
    "no security": lambda api: api.pro_bar(),
    "adj": lambda api: api.pro_bar("AAPL.US", adj="xfq"),  # type: ignore[arg-type]
    "freq": lambda api: api.pro_bar("AAPL.US", freq="2min"),
    "window": lambda api: api.pro_bar("AAPL.US", ma=[0]),
    "version": lambda api: api.daily(as_of=9),
    "of another": lambda api: api.pro_bar("AAPL.US", as_of={"weekly": 1}),
}


@pytest.fixture
def here(real: str) -> pt.Api:
    return pt.api(series=real)


@pytest.fixture
def there(service: Any) -> Iterator[pt.Api]:
    with pt.api(url=service.url) as api:
        yield api


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED.keys())
def test_a_service_gives_the_same_frame_as_the_store(here: pt.Api, there: pt.Api, asked: Any):
    pd.testing.assert_frame_equal(asked(there), asked(here))


@pytest.mark.parametrize("asked", REFUSED.values(), ids=REFUSED.keys())
def test_a_service_raises_the_same_error_as_the_store(here: pt.Api, there: pt.Api, asked: Any):
    with pytest.raises(PtolemyError) as far:
        asked(there)
    with pytest.raises(PtolemyError) as near:
        asked(here)

    assert (type(far.value), str(far.value)) == (type(near.value), str(near.value))
    assert far.value.hint == near.value.hint or "known interfaces" in str(near.value.hint)
    assert far.value.exit_code == near.value.exit_code


def test_arrow_and_polars_have_the_same_rows(here: pt.Api, there: pt.Api):
    for api in (here, there):
        table = api.arrow("daily", ts_code="FB.US", fields="trade_date,close,pre_close")
        frame = api.polars("daily", ts_code="FB.US", fields="trade_date,close,pre_close")

        assert isinstance(table, pa.Table)
        assert frame.equals(polars.from_arrow(table))  # type: ignore[arg-type]
        assert table["pre_close"].null_count == 1


def test_what_is_kept_is_told_alike(here: pt.Api, there: pt.Api):
    assert there.datasets() == here.datasets() == ["adj_factor", "daily"]
    assert there.versions("daily") == here.versions("daily")


def test_it_goes_to_another_process_and_serves_several_threads(there: pt.Api):
    copy = pickle.loads(pickle.dumps(there))

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda i: len(copy.daily(ts_code="FB.US", limit=i)), range(1, 33)))

    assert found == list(range(1, 33))


def test_the_async_twin_answers_the_same(there: pt.Api, service: Any):
    async def ask() -> list[pd.DataFrame]:
        async with pt.async_api(url=service.url) as api:
            with pytest.raises(pt.UnknownInterface):
                await api.dayly()
            return list(await asyncio.gather(*(api.daily(ts_code=c) for c in ("AAPL.US", "FB.US"))))

    for frame, code in zip(asyncio.run(ask()), ("AAPL.US", "FB.US"), strict=True):
        pd.testing.assert_frame_equal(frame, there.daily(ts_code=code))


def test_all_pages_are_fetched(serve: Any, real: str, here: pt.Api):
    paged = serve(real, "--max-rows", "1000")

    with pt.api(url=paged.url) as api:
        pd.testing.assert_frame_equal(api.daily(), here.daily())
        pd.testing.assert_frame_equal(api.pro_bar("AAPL.US", adj="qfq"), here.pro_bar("AAPL.US", adj="qfq"))
        assert len(api.daily(limit=900)) == 900
        with pytest.raises(pt.BadParam, match="above the 1000 rows"):
            api.daily(limit=1500)


def test_the_setting_names_the_service_and_a_store_that_is_named_wins(
    service: Any, real: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PTOLEMY_SERVER", service.url)

    assert service.url in repr(pt.api())
    assert real in repr(pt.api(series=real))
    assert len(pt.pro_api("any").daily(limit=2)) == 2


@pytest.mark.parametrize("url", ["127.0.0.1:8100", "ftp://x", "http://", "http://me:canary@127.0.0.1", "x"])
def test_an_address_that_cannot_be_one_is_refused_at_once(url: str):
    with pytest.raises(BadInput, match="no address") as caught:
        pt.api(url=url)

    assert "canary" not in str(caught.value)


def test_a_service_that_is_not_there_is_said_in_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ptolemy.client_http.time.sleep", lambda _: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(BackendUnavailable, match="does not answer") as caught:
            pt.api(url=url).daily()

    assert caught.value.exit_code == 6


class Stub(ThreadingHTTPServer):
    """Gives replies one after the other, and keeps what it was sent."""

    def __init__(self, replies: list[tuple[int, dict[str, str], bytes]]) -> None:
        self.replies, self.seen = replies, []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Stub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append((dict(self.headers), json.loads(body)))
        status, headers, reply = self.server.replies.pop(0)
        self.send_response(status)
        for name, value in {"content-length": str(len(reply)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Stub]]:
    started = []
    slept: list[float] = []
    monkeypatch.setattr("ptolemy.client_http.time.sleep", slept.append)

    def start(*replies: tuple[int, dict[str, str], bytes]) -> Stub:
        server = Stub(list(replies))
        server.slept = slept  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        started.append((server, thread))
        return server

    yield start
    for server, thread in started:
        server.shutdown()
        server.server_close()
        thread.join()


def rows() -> tuple[int, dict[str, str], bytes]:
    sink = pa.BufferOutputStream()
    table = pa.table({"close": [1.0]})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return 200, {}, sink.getvalue().to_pybytes()


def fault(status: int, **document: Any) -> tuple[int, dict[str, str], bytes]:
    return status, {}, json.dumps({"status": status, "message": "m", "hint": None, **document}).encode()


def test_a_service_that_is_away_for_a_moment_is_asked_again(stub: Any):
    server = stub(fault(503, error="BackendUnavailable"), (502, {}, b"<html>"), rows())

    with pt.api(url=server.url) as api:
        assert len(api.daily()) == 1
    assert len(server.slept) == 2
    assert server.slept[0] != server.slept[1]


def test_a_service_that_stays_away_is_given_up(stub: Any):
    server = stub(*[fault(503, error="BackendUnavailable")] * 4)

    with pt.api(url=server.url) as api, pytest.raises(BackendUnavailable):
        api.daily()
    assert server.replies == []


def test_a_short_wait_for_the_rate_is_waited_and_a_long_one_raised(stub: Any):
    server = stub(
        fault(429, error="RateLimited", rate=60, retry_after=0.5), rows(),
        fault(429, error="RateLimited", rate=60, retry_after=30.5),
    )  # fmt: skip

    with pt.api(url=server.url) as api:
        api.daily()
        assert server.slept[0] >= 0.5
        with pytest.raises(pt.RateLimited) as caught:
            api.daily()
    assert (caught.value.retry_after, caught.value.rate, len(server.slept)) == (30.5, 60, 1)


@pytest.mark.parametrize("error", ["BadToken", "NoPermission", "BadParam", "NothingCollected"])
def test_what_would_fail_again_is_not_asked_again(stub: Any, error: str):
    server = stub(fault(403, error=error, interface="daily"))

    with pt.api(url=server.url) as api, pytest.raises(getattr(pt, error)):
        api.daily()


@pytest.mark.parametrize("error", ["SystemExit", "annotations", "__name__", None, 7])
def test_a_stranger_cannot_choose_what_is_raised(stub: Any, error: Any):
    server = stub(fault(400, error=error, args="x"))

    with pt.api(url=server.url) as api, pytest.raises(PtolemyError):
        api.daily()


def test_what_is_no_service_of_ours_is_said(stub: Any):
    server = stub((404, {}, b"not here"))

    with pt.api(url=server.url) as api, pytest.raises(BackendUnavailable, match="HTTP 404"):
        api.daily()


def test_a_redirect_takes_no_token_elsewhere(stub: Any):
    other = stub()
    server = stub((307, {"location": other.url}, b""))

    with pt.api("secret", server.url) as api, pytest.raises(BackendUnavailable):
        api.daily()
    assert other.seen == []


def test_the_token_is_the_argument_then_the_environment_then_what_was_kept(stub: Any, monkeypatch: pytest.MonkeyPatch):
    server = stub(rows(), rows(), rows(), rows())

    def sent(**named: Any) -> str | None:
        with pt.api(url=server.url, **named) as api:
            api.daily()
            assert "word" not in repr(api)
        return {k.lower(): v for k, v in server.seen[-1][0].items()}.get("authorization")

    assert sent() is None
    pt.set_token("word-of-the-file")
    assert sent() == "Bearer word-of-the-file"
    monkeypatch.setenv("PTOLEMY_TOKEN", "word-of-the-environment")
    assert sent() == "Bearer word-of-the-environment"
    assert sent(token="word") == "Bearer word"


def test_a_mistyped_token_is_found_before_it_is_sent(tokens: Any):
    _, text = tokens.create("desk", ["*"], 0, None)

    with pytest.raises(pt.BadToken, match="mistyped"):
        pt.api(text.replace("ptl_", "ptl_x", 1), "http://127.0.0.1:1")
