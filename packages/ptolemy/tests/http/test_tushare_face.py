"""What the public clients of Tushare rely on, call by call."""

from __future__ import annotations

from typing import Any

import pytest

from ptolemy.errors import BackendUnavailable

DAILY = ["ts_code", "trade_date", "open", "high", "low", "close", "pre_close", "change", "pct_chg", "vol", "amount"]


def test_rows_come_newest_first_under_the_shown_columns(call: Any):
    reply = call.tushare("daily", ts_code="AAPL.US", start_date="20120101", end_date="20121231")

    data = reply["data"]
    assert (reply["code"], reply["msg"]) == (0, "")
    assert data["fields"] == DAILY
    assert (data["has_more"], data["count"], len(data["items"])) == (False, 250, 250)
    assert [row[1] for row in data["items"]] == sorted((row[1] for row in data["items"]), reverse=True)
    assert data["items"][0][:2] == ["AAPL.US", "20121231"]


@pytest.mark.parametrize("target", ["/", "/dataapi", "/dataapi/daily", "/dataapi/daily/"])
def test_the_addresses_of_old_and_new_clients_answer_alike(call: Any, target: str):
    asked = {"api_name": "daily", "token": "t", "params": {"ts_code": "AAPL.US", "limit": 3}, "fields": "close"}

    assert call.post(target, asked).json["data"]["items"] == [[430.47], [441.4], [444.57]]


def test_the_path_alone_names_the_interface(call: Any):
    assert call.post("/dataapi/daily", {"token": "t", "params": {"limit": 1}}).json["data"]["count"] == 12154


def test_a_path_and_a_body_that_differ_are_refused(call: Any):
    reply = call.post("/dataapi/daily", {"api_name": "adj_factor", "token": "t"}).json

    assert (reply["code"], reply["data"]) == (-2001, None)


@pytest.mark.parametrize("nothing", [None, ""])
def test_null_and_an_empty_text_are_as_good_as_absent(call: Any, nothing: str | None):
    given = call.tushare("daily", ts_code="AAPL.US", trade_date=nothing, start_date=nothing, limit=2, offset=nothing)

    assert given["data"] == call.tushare("daily", ts_code="AAPL.US", limit=2)["data"]


@pytest.mark.parametrize("fields", ["close,trade_date", " close , trade_date ", ["close", "trade_date"]])
def test_fields_are_a_text_or_a_list(call: Any, fields: Any):
    assert call.tushare("daily", fields=fields, limit=1)["data"]["fields"] == ["close", "trade_date"]


def test_parameters_that_no_interface_has_are_ignored(call: Any):
    reply = call.tushare("daily", ts_code="AAPL.US", limit=1, ts_type_name="http://x/dataapi", exchange="")

    assert reply["code"] == 0


def test_has_more_and_count_lead_through_all_pages(call: Any):
    rows: list[Any] = []
    while True:
        data = call.tushare("daily", ts_code="FB.US", limit=50, offset=len(rows))["data"]
        rows += data["items"]
        assert data["count"] == 196
        if not data["has_more"]:
            break

    assert rows == call.tushare("daily", ts_code="FB.US")["data"]["items"]


def test_a_missing_number_is_null_and_an_empty_result_keeps_its_columns(call: Any):
    (row,) = call.tushare("daily", ts_code="FB.US", trade_date="20120518")["data"]["items"]
    empty = call.tushare("daily", ts_code="NONE.US")["data"]

    assert row[6:9] == [None, None, None]
    assert (empty["fields"], empty["items"], empty["count"]) == (DAILY, [], 0)


def test_whole_numbers_keep_the_point_that_makes_them_floats(call: Any):
    (row,) = call.tushare("daily", ts_code="AAPL.US", trade_date="20120103", fields="vol")["data"]["items"]

    assert row == [107936.0]
    assert isinstance(row[0], float)


def test_the_names_for_paying_users_are_the_same_interfaces(call: Any):
    assert call.tushare("daily_vip", limit=2)["data"] == call.tushare("daily", limit=2)["data"]


def test_bars_are_adjusted_by_the_service(call: Any):
    data = call.tushare("pro_bar", ts_code="AAPL.US", adj="qfq", start_date="20000301")["data"]

    last = dict(zip(data["fields"], data["items"][-1], strict=True))
    assert (last["open"], last["close"]) == (29.21, 32.1)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"api_name": "dayly"}, "did you mean 'daily'"),
        ({"api_name": "daily", "fields": "clse"}, "did you mean 'close'"),
        ({"api_name": "daily", "params": {"start_date": "2012"}}, "start_date '2012' is not a date"),
        ({"api_name": "daily", "params": {"start_date": "20130101", "end_date": "20120101"}}, "is after end_date"),
        ({"api_name": "daily", "params": {"limit": -1}}, "limit must be a whole number"),
        ({"api_name": "daily", "params": {"limit": 10**9}}, "above the 200000 rows"),
        ({"api_name": "daily", "params": {"ts_code": ","}}, "names no security"),
        ({"api_name": "daily", "params": {"ts_code": 7}}, "must be a text"),
        ({"api_name": "daily", "params": []}, None),
        ({"api_name": "daily", "params": [1]}, "params an object"),
        ({"api_name": "daily", "token": 7}, "must be texts"),
        ({"api_name": "daily", "fields": {"close": 1}}, "fields must be"),
        ({"api_name": ["daily"]}, "must be texts"),
        ({}, "no interface is named"),
        ([], "not a JSON object"),
        ("daily", "not a JSON object"),
    ],
)
def test_what_cannot_be_used_is_code_2001_with_the_way_out(call: Any, asked: Any, text: str | None):
    reply = call.post("/", asked)

    if text is None:
        assert reply.json["code"] == 0
        return
    assert reply.status == 200
    assert reply.json["code"] == -2001
    assert reply.json["data"] is None
    assert text in reply.json["msg"]
    assert reply.json["detail"]["message"] in reply.json["msg"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"null", b"NaN", b"[" * 5000])
def test_a_body_that_is_no_question_is_code_2001(call: Any, body: bytes):
    reply = call("POST", "/", body)

    assert (reply.status, reply.json["code"]) == (200, -2001)


def test_an_oversized_body_is_refused_unread(call: Any):
    reply = call("POST", "/", b" " * (1 << 20) + b"{}")

    assert (reply.status, reply.json["code"], reply.json["detail"]["error"]) == (200, -2001, "TooLarge")


def test_a_foreign_host_or_page_is_refused(call: Any):
    for headers in ({"host": "evil.example"}, {"origin": "http://evil.example"}, {"host": ""}):
        reply = call("POST", "/", b'{"api_name": "daily"}', **headers)

        assert (reply.status, reply.json["detail"]["error"]) == (200, "ForeignHost")


def test_a_wrong_token_is_40101_in_tushares_words(call: Any, tokens: Any):
    tokens.create("desk", ["*"], 0, None)

    reply = call.tushare("daily", token="any")

    assert (reply["code"], reply["msg"]) == (40101, "您的token不对，请确认。")
    assert reply["detail"]["error"] == "BadToken"


def test_an_interface_beyond_the_scopes_is_2002_and_says_which(call: Any, tokens: Any):
    _, text = tokens.create("desk", ["adj_*"], 0, None)

    assert call.tushare("adj_factor", token=text, limit=1)["code"] == 0
    reply = call.tushare("daily", token=text)
    assert reply["code"] == 2002
    assert "没有接口访问权限" in reply["msg"]
    assert reply["detail"]["interface"] == "daily"


def test_a_call_too_many_is_40203_with_the_seconds_to_wait(call: Any, tokens: Any):
    _, text = tokens.create("desk", ["*"], 2, None)
    codes = [call.tushare("daily", token=text, limit=1)["code"] for _ in range(2)]

    reply = call.tushare("daily", token=text, limit=1)

    assert codes == [0, 0]
    assert reply["code"] == 40203
    assert "每分钟最多访问该接口2次" in reply["msg"]
    assert reply["detail"]["retry_after"] == pytest.approx(30)
    call.clock.now += 30
    assert call.tushare("daily", token=text, limit=1)["code"] == 0


def test_an_answer_is_never_cut_without_a_word(call: Any):
    call.service.max_rows = 100

    reply = call.tushare("daily", ts_code="AAPL.US")

    assert reply["code"] == -2001
    assert "3270 rows" in reply["msg"]
    assert len(call.tushare("daily", ts_code="AAPL.US", limit=100)["data"]["items"]) == 100


def test_a_store_that_fails_is_said_without_its_secrets(call: Any, monkeypatch: pytest.MonkeyPatch):
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("password canary")

    def is_down(*_: Any, **__: Any) -> None:
        raise BackendUnavailable("the store is away")

    monkeypatch.setattr(call.service.series, "read", fails)
    failed = call.tushare("daily")
    monkeypatch.setattr(call.service.series, "read", is_down)
    down = call.tushare("daily")

    assert failed["code"] == down["code"] == -2001
    assert "canary" not in str(failed)
    assert "the store is away" in down["msg"]
