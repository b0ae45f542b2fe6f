"""What programs rely on: formats, status codes, pages, tags."""

from __future__ import annotations

import io
import json
from typing import Any

import jsonschema
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

import ptolemy as pt

ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture
def expected(real: str) -> pd.DataFrame:
    return pt.api(series=real).daily(ts_code="AAPL.US", start_date="20120101", end_date="20121231")


TARGET = "/v1/daily?ts_code=AAPL.US&start_date=20120101&end_date=20121231"


@pytest.mark.parametrize("way", ["accept", "format"])
@pytest.mark.parametrize("kind", ["arrow", "parquet", "csv", "json"])
def test_each_format_has_the_same_rows(call: Any, expected: pd.DataFrame, kind: str, way: str):
    types = {"arrow": ARROW, "parquet": "application/vnd.apache.parquet", "csv": "text/csv", "json": "application/json"}
    reply = call.get(f"{TARGET}&format={kind}") if way == "format" else call.get(TARGET, accept=types[kind])

    assert reply.status == 200
    assert reply.headers["content-type"].startswith(types[kind])
    assert (reply.headers["x-rows"], reply.headers["x-total"]) == ("250", "250")
    if kind == "arrow":
        found = pa.ipc.open_stream(reply.body).read_all().to_pandas()
    elif kind == "parquet":
        found = pa.parquet.read_table(io.BytesIO(reply.body)).to_pandas()
    elif kind == "csv":
        found = pd.read_csv(io.BytesIO(reply.body), dtype={"ts_code": str, "trade_date": str})
    else:
        found = pd.DataFrame(reply.json["items"], columns=reply.json["fields"])
    pd.testing.assert_frame_equal(found.astype(dict(expected.dtypes)), expected)


def test_get_and_post_answer_alike(call: Any):
    posted = call.post("/v1/daily", {"ts_code": ["AAPL.US", "IBM.US"], "fields": ["close"], "limit": 3}).json

    assert posted == call.get("/v1/daily?ts_code=AAPL.US,IBM.US&fields=close&limit=3").json


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/*", "text/csv"),
        (f"application/json;q=0.5, {ARROW}", ARROW),
        ("text/html, text/csv;q=0.1", "text/csv"),
        ("image/png", None),
        ("application/json;q=0", None),
        (";;,q=", None),
    ],
)
def test_accept_chooses_the_format(call: Any, accept: str, kind: str | None):
    reply = call.get("/v1/daily?limit=1", accept=accept)

    assert reply.status == (200 if kind else 406)
    assert kind is None or reply.headers["content-type"] == kind


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        ("/v1/dayly", 404, "did you mean 'daily'?"),
        ("/v1/daily?ts_cod=AAPL.US", 400, "did you mean 'ts_code'?"),
        ("/v1/daily?fields=clse", 400, "did you mean 'close'?"),
        ("/v1/daily?start_date=31.12.2012", 400, "is not a date"),
        ("/v1/daily?start_date=20130101&end_date=20120101", 400, "is after"),
        ("/v1/daily?limit=300000", 400, "above the 200000 rows"),
        ("/v1/daily?limit=x", 400, "whole number"),
        ("/v1/daily?as_of=7", 404, "no version 7"),
        ("/v1/daily?limit=1&limit=2", 400, "given twice"),
        ("/v1/daily?format=xml", 400, "one of"),
        ("/v1/daily?cursor=nonsense", 400, "none that the service gave"),
        ("/v1/pro_bar", 400, "needs a ts_code"),
        ("/v1/pro_bar?ts_code=AAPL.US&adj=xfq", 400, "adj cannot be 'xfq'"),
        ("/v1/pro_bar?ts_code=AAPL.US&frq=D", 400, "did you mean 'freq'?"),
        ("/v1/pro_bar?ts_code=AAPL.US&freq=2min", 400, "freq cannot be"),
        ("/v1/pro_bar?ts_code=AAPL.US&ma=x", 400, "number of bars"),
        ("/v1/pro_bar?ts_code=AAPL.US&factors=x", 400, "no factor"),
        ("/v1/pro_bar?ts_code=AAPL.US&as_of=1", 400, "names a version"),
        ("/v1/pro_bar?ts_code=AAPL.US&adj=qfq&precision=x", 400, "precision"),
        ("/v1/datasets/dayly/versions", 404, "did you mean 'daily'?"),
        ("/v1/datasets/daily/x", 404, "no 'datasets/daily/x'"),
        ("/nothing", 404, ""),
    ],
)
def test_an_error_has_its_status_and_the_way_out(call: Any, target: str, status: int, text: str):
    reply = call.get(target)

    assert reply.status == status
    if target.startswith("/v1"):
        assert reply.headers["content-type"] == "application/problem+json"
        assert text in f"{reply.json['message']} {reply.json['hint']}"
        assert reply.json["status"] == status


@pytest.mark.parametrize("body", [b"{", b"[]", b"7", b'{"fields": 7}', b'{"ts_code": {"a": 1}}', b'{"limit": 1.5}'])
def test_a_body_that_cannot_be_used_is_400(call: Any, body: bytes):
    assert call("POST", "/v1/daily", body).status == 400


def test_a_large_body_is_413_a_foreign_host_403_another_method_405(call: Any):
    assert call("POST", "/v1/daily", b" " * (1 << 20) + b"{}").status == 413
    assert call.get("/v1/daily", host="evil.example").status == 403
    assert call.get("/docs", host="evil.example:8100").status == 403
    assert call.get("/v1/daily", origin="https://evil.example").status == 403
    assert call("DELETE", "/v1/daily").headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("host", ["127.0.0.1:8100", "localhost:8100", "[::1]:8100", "10.1.2.3", "LOCALHOST"])
def test_an_address_or_a_name_of_its_own_is_no_foreign_host(call: Any, host: str):
    assert call.get("/v1/daily?limit=1", host=host, origin=f"http://{host}").status == 200


def test_a_name_that_was_allowed_is_answered(call: Any):
    call.service.hosts = {"bars.desk"}

    assert call.get("/healthz", host="Bars.Desk:80").status == 200


def test_pages_come_from_one_version_and_make_up_the_whole(call: Any, real: str):
    call.service.max_rows = 1000
    whole = call.post("/v1/daily", {"ts_code": "AAPL.US,IBM.US"})
    items, cursor = [], None
    while True:
        reply = call.post("/v1/daily", {"ts_code": "AAPL.US,IBM.US"} | ({"cursor": cursor} if cursor else {}))
        items += reply.json["items"]
        cursor = reply.json["next"]
        assert reply.headers.get("x-next-cursor") == cursor
        if cursor is None:
            break

    assert whole.json["count"] == len(items) == 6540
    call.service.max_rows = 10_000
    assert items == call.post("/v1/daily", {"ts_code": "AAPL.US,IBM.US"}).json["items"]


def test_a_writer_between_two_pages_changes_no_page(tmp_path: Any, bars: Any, call: Any):
    pt.collect(f"csv:{bars}", "daily", f"arrow:{tmp_path}/s")
    with pt.open_series(f"arrow:{tmp_path}/s") as series:
        call.service.series, call.service.max_rows = series, 2
        first = call.get("/v1/daily").json
        bars.write_text("ts_code,trade_date,open,high,low,close,vol\n600000.SH,20240109,20,21,19,20.5,500\n")
        pt.collect(f"csv:{bars}", "daily", f"arrow:{tmp_path}/s")

        second = call.get(f"/v1/daily?cursor={first['next']}").json

    assert [row[1] for row in first["items"] + second["items"]] == ["20240103", "20240102", "20240102"]
    assert second["next"] is None


def test_bars_come_in_pages_too(call: Any):
    whole = call.get("/v1/pro_bar?ts_code=AAPL.US&adj=qfq").json["items"]
    call.service.max_rows = 2000

    first = call.get("/v1/pro_bar?ts_code=AAPL.US&adj=qfq").json
    second = call.get(f"/v1/pro_bar?ts_code=AAPL.US&adj=qfq&cursor={first['next']}").json

    assert first["items"] + second["items"] == whole
    assert second["next"] is None


def test_what_has_not_changed_is_304(call: Any):
    tag = call.get("/v1/daily?ts_code=AAPL.US").headers["etag"]

    assert call.get("/v1/daily?ts_code=AAPL.US", if_none_match=tag).status == 304
    assert call.get("/v1/daily?ts_code=AAPL.US", if_none_match=f'"x", {tag}').body == b""
    assert call.get("/v1/daily?ts_code=IBM.US", if_none_match=tag).status == 200
    assert call.get("/v1/daily?ts_code=AAPL.US&format=csv", if_none_match=tag).status == 200


def test_a_tag_changes_with_the_data(tmp_path: Any, bars: Any, call: Any):
    pt.collect(f"csv:{bars}", "daily", f"arrow:{tmp_path}/s")
    with pt.open_series(f"arrow:{tmp_path}/s") as series:
        call.service.series = series
        tag = call.get("/v1/daily").headers["etag"]
        assert call.get("/v1/daily", if_none_match=tag).status == 304
        bars.write_text("ts_code,trade_date,open,high,low,close,vol\n600000.SH,20240109,20,21,19,20.5,500\n")
        pt.collect(f"csv:{bars}", "daily", f"arrow:{tmp_path}/s")

        assert call.get("/v1/daily", if_none_match=tag).status == 200


def test_the_quota_is_in_the_headers_and_in_a_call_of_its_own(call: Any, tokens: Any):
    made, text = tokens.create("desk", ["daily"], 3, None)

    seen = [call.get("/v1/daily?limit=1", text) for _ in range(4)]

    assert [r.status for r in seen] == [200, 200, 200, 429]
    assert [r.headers["x-quota-remaining"] for r in seen[:3]] == ["2", "1", "0"]
    assert seen[0].headers["x-quota-limit"] == "3"
    assert (seen[3].headers["retry-after"], seen[3].json["error"]) == ("21", "RateLimited")
    quota = call.get("/v1/quota", text).json
    assert (quota["token"]["id"], quota["limit"], quota["remaining"]) == (made.id, 3, 0)
    call.clock.now += 20
    assert call.get("/v1/quota", text).json["remaining"] == 1


def test_a_token_reads_what_its_scopes_say(call: Any, tokens: Any):
    _, daily = tokens.create("desk", ["daily"], 0, None)
    _, both = tokens.create("desk", ["daily", "adj_factor"], 0, None)
    _, bars = tokens.create("desk", ["pro_bar"], 0, None)

    assert call.get("/v1/adj_factor", daily).status == 403
    assert call.get("/v1/pro_bar?ts_code=AAPL.US&adj=qfq", daily).json["interface"] == "adj_factor"
    assert call.get("/v1/pro_bar?ts_code=AAPL.US", daily).status == 200
    assert call.get("/v1/pro_bar?ts_code=AAPL.US&adj=qfq", both).status == 200
    assert call.get("/v1/pro_bar?ts_code=AAPL.US&adj=qfq", bars).status == 200
    assert call.get("/v1/daily", bars).status == 403
    assert [d["dataset"] for d in call.get("/v1/datasets", daily).json] == ["daily"]
    assert call.get("/v1/datasets/adj_factor/versions", daily).status == 403


def test_without_a_valid_token_nothing_is_told(call: Any, tokens: Any):
    tokens.create("desk", ["*"], 0, None)

    for target in ("/v1/daily", "/v1", "/v1/quota", "/v1/datasets", "/v1/datasets/daily/versions"):
        reply = call.get(target, "wrong")

        assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")


def test_who_guesses_is_slowed_down_and_others_are_not(call: Any, tokens: Any):
    _, text = tokens.create("desk", ["*"], 0, None)

    codes = {call.get("/v1/daily", f"guess{i}").status for i in range(60)}
    late = call.get("/v1/daily", "guess")

    assert (codes, late.status) == ({401}, 429)
    assert call.get("/v1/daily?limit=1", text).status == 200
    call.client = "127.0.0.2"
    assert call.get("/v1/daily", "guess").status == 401


def test_beyond_loopback_a_token_is_always_required(call: Any):
    call.service.loopback = False

    assert call.get("/v1/daily?limit=1").status == 401
    assert call.tushare("daily")["code"] == 40101


def test_the_pages_about_the_service_answer(call: Any):
    call.get("/v1/daily?limit=2")
    call.tushare("daily", limit=3)

    assert call.get("/healthz").json == {"healthy": True}
    assert call.get("/readyz").json == {"ready": True, "datasets": ["adj_factor", "daily"]}
    metrics = call.get("/metrics").body.decode()
    assert 'ptolemy_requests_total{face="native",interface="daily",code="200"} 1\n' in metrics
    assert 'ptolemy_rows_total{face="tushare",interface="daily",code="0"} 3\n' in metrics
    docs = call.get("/docs")
    assert b"<h2 id=daily>" in docs.body
    assert "default-src 'none'" in docs.headers["content-security-policy"]
    assert call.get("/").headers["location"] == "/docs"


def test_a_made_up_interface_makes_no_metric(call: Any):
    for i in range(3):
        call.tushare(f"made_up_{i}")
        call.get(f"/v1/made_up_{i}")

    assert "made_up" not in call.get("/metrics").body.decode()


def test_the_description_is_openapi_and_names_every_interface(call: Any):
    document = call.get("/openapi.json").json

    assert document["openapi"] == "3.1.0"
    assert {f"/v1/{name}" for name in (*call.service.names(),)} <= set(document["paths"])
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                jsonschema.Draft202012Validator.check_schema(parameter["schema"])
    daily = document["paths"]["/v1/daily"]["get"]
    answer = daily["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.validate(call.get("/v1/daily?limit=3").json, answer)
    fault = {**document["components"]["schemas"]["Fault"]}
    jsonschema.validate(call.get("/v1/daily?limit=x").json, fault)
    assert json.dumps(daily).count("ah_vol") >= 1


def test_head_has_the_headers_alone(call: Any):
    reply = call("HEAD", "/v1/daily?limit=3")

    assert (reply.status, reply.body, reply.headers["x-rows"]) == (200, b"", "3")


ROWS = b"ts_code,trade_time,price,vol,amount\nA.SH,2024-01-02 09:30:01,10,100,1000\n"


def test_rows_are_taken_only_where_the_service_and_the_token_allow_it(call, tokens, tmp_path):
    from ptolemy.journal import Journal
    from ptolemy.pushing import Intake

    def put(body: bytes = ROWS, kind: str = "text/csv", token: str = "", name: str = "ticks"):
        words = {"content-type": kind, **({"authorization": f"Bearer {token}"} if token else {})}
        return call("PUT", f"/v1/{name}", body, **words)

    assert put().status == 403
    assert put().json["hint"] == "ptolemy serve --push"
    with pt.open_series(f"arrow://{tmp_path}/pushed") as series, Journal(tmp_path / "j.db") as journal:
        call.service.intake = Intake(series, journal, max_body=1000)

        assert put().json == {"rows": 1, "written": 1, "quarantined": 0}  # open, as nobody has a token yet
        _, reads = tokens.create("reader", ["*"], 0, None)
        _, pushes = tokens.create("feed", ["push:ticks"], 1, None)
        assert put().status == 401
        assert put(token=reads).json["error"] == "NoPermission"
        assert put(token=pushes).status == 200
        assert put(token=pushes).status == 429
        _, more = tokens.create("feed", ["push:*"], 0, None)
        assert call.get("/v1/daily?limit=1", token=more).status == 403
        assert put(b"x" * 2000, token=more).status == 413
        assert put(token=more, kind="text/html").json["message"].startswith("rows cannot be sent as")
        assert put(b'{"fields": ["ts_code"]}', "application/json", more).status == 400
        assert put(b'[{"ts_kode": "A"}]', "application/json", more).json["hint"] == "did you mean 'ts_code'?"
        assert put(b"not arrow", "application/vnd.apache.arrow.stream", more).status == 400
        assert put(token=more, name="nothing").status == 405
        assert put(token=more, name="trade_cal").status == 400
        assert series.read("ticks").num_rows == 1
