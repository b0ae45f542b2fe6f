"""Whatever is asked by the description, or against it, is answered as the description says: never with a 5xx."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ptolemy.http.openapi import openapi

DOCUMENT = openapi()
PATHS = sorted(DOCUMENT["paths"])
LIKELY = st.sampled_from(
    ["AAPL.US", "AAPL.US,IBM.US", "20120103", "2012-01-03", "20130101", "qfq", "hfq", "D", "W", "1min", "E", "I", "5",
     "5,20", "tor", "latest", "full", "0", "3", "-1", "1e9", "close", "trade_date,close", "csv", "arrow", "parquet",
     "null", "{}", '{"daily": 1}', "WzEsMV0=", "WzEseyJhIjoxfV0=", ",", " ", "\x00", "é", "中"]
)  # fmt: skip
TEXT = LIKELY | st.text(max_size=30)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


def words(path: str) -> list[str]:
    return [p["name"] for p in DOCUMENT["paths"][path]["get"].get("parameters", [])]


def check(path: str, method: str, reply: Any) -> None:
    assert reply.status < 500, reply.body
    described = DOCUMENT["paths"][path][method]["responses"]
    assert str(reply.status) in described, reply.status
    kinds = described[str(reply.status)]["content"]
    assert reply.headers["content-type"].partition(";")[0] in kinds
    if reply.status != 200:
        assert {"error", "message", "hint", "status"} <= set(reply.json)


@pytest.mark.parametrize("path", PATHS)
def test_a_get_is_answered_as_described(call: Any, path: str):
    @settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
    @given(st.dictionaries(st.sampled_from(words(path) or ["x"]), TEXT, max_size=4), TEXT)
    def ask(parameters: dict[str, str], accept: str) -> None:
        query = urlencode(parameters, errors="replace")
        headers = {"accept": accept} if accept.isascii() and accept.isprintable() else {}
        check(path, "get", call.get(f"{path}?{query}", **headers))

    ask()


@pytest.mark.parametrize("path", [p for p in PATHS if "post" in DOCUMENT["paths"][p]])
def test_a_post_is_answered_as_described(call: Any, path: str):
    @settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
    @given(st.dictionaries(st.sampled_from([*words(path), "x"]), ANY, max_size=4))
    def ask(document: dict[str, Any]) -> None:
        check(path, "post", call("POST", path, json.dumps(document).encode()))

    ask()


def test_the_tushare_face_always_answers_200_and_a_code(call: Any):
    face = st.fixed_dictionaries(
        {},
        optional={
            "api_name": st.sampled_from(["daily", "adj_factor", "pro_bar", "daily_vip", "x"]) | ANY,
            "token": ANY,
            "fields": ANY,
            "params": st.dictionaries(st.sampled_from(words("/v1/daily") + words("/v1/pro_bar")), ANY, max_size=4)
            | ANY,
        },
    )

    @settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
    @given(face)
    def ask(document: dict[str, Any]) -> None:
        reply = call("POST", "/", json.dumps(document).encode())

        assert reply.status == 200
        assert reply.json["code"] in (0, -2001)
        assert (reply.json["data"] is None) == (reply.json["code"] != 0)
        assert "its log says why" not in reply.json["msg"], document

    ask()
