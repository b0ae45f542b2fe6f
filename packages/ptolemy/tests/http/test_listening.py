"""Rows as they come: the public client's ``ts.subs()``, and whoever else listens."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import pytest
import urllib3
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from ptolemy.http.running import PREFIX
from ptolemy.http.tokens import Tokens

LISTEN = Path(__file__).with_name("listen_tushare.py")
FIELDS = ["ts_code", "trade_time", "freq", "open", "close", "high", "low", "vol", "amount"]


def minute(code: str, time: str, close: float = 10.5) -> list[Any]:
    return [code, f"2024-01-02 {time}", "1min", 10.0, close, 11.0, 9.5, 300, 3150.0]


@pytest.fixture
def running(serve: Callable[..., Any], tmp_path: Path) -> Any:
    return serve(f"arrow://{tmp_path}/series", "--push")


def push(running: Any, dataset: str, fields: list[str], *rows: list[Any], token: str = "any") -> None:
    body = json.dumps({"fields": fields, "items": rows})
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    answer = urllib3.request("PUT", f"{running.url}/v1/{dataset}", body=body, headers=headers)
    assert json.loads(answer.data)["written"] == len(rows), answer.data


def address(running: Any) -> str:
    return f"{running.url.replace('http', 'ws', 1)}/listening"


def asking(topics: Any, token: str = "any") -> str:
    return json.dumps({"action": "listening", "token": token, "data": topics})


def told(listener: Any) -> Any:
    return json.loads(listener.recv(timeout=30))


@pytest.fixture
def client(running: Any, public_client: Callable[[str], Path], tmp_path: Path) -> Iterator[Any]:
    """Give what the public client prints, once it listens."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    command = [str(public_client("1.4.29")), "-u", str(LISTEN), address(running)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as it:
        assert it.stdout is not None
        said = list(takewhile(lambda line: '"message":"listening"' not in line, it.stdout))
        assert it.poll() is None, said
        yield it.stdout
        it.kill()


def test_the_public_client_gets_the_rows_that_it_registered_for(client: Any, running: Any) -> None:
    push(running, "stk_mins", FIELDS, minute("000001.SZ", "09:31:00"), minute("600000.SH", "09:31:00"))
    ticks = ["ts_code", "trade_time", "price", "vol"]
    push(running, "ticks", ticks, ["000002.SZ", "2024-01-02 09:30:01.000", 9.0, 100])
    push(running, "ticks", ticks, ["000001.SZ", "2024-01-02 09:30:01.000", 9.0, 100])
    push(running, "stk_mins", FIELDS, minute("600000.SH", "09:32:00", 10.75))

    found = [json.loads(line.split(" ", 1)[1]) for line in islice(records(client), 3)]

    kinds = sorted(kind for kind, _ in found)
    assert kinds == ["minutes", "minutes", "ticks"]
    minutes = [record for kind, record in found if kind == "minutes"]
    minutes.sort(key=lambda record: record[1])  # the client gives each record to a thread of its own
    assert minutes[0] == ["600000.SH", "2024-01-02 09:31:00", 10.0, 10.5, 11.0, 9.5, 300, 3150.0]
    assert [m[3] for m in minutes] == [10.5, 10.75]
    assert next(record for kind, record in found if kind == "ticks")[0] == "000001.SZ"


def records(lines: Any) -> Iterator[str]:
    return (line for line in lines if line.startswith("RECORD "))


def test_what_was_there_before_is_not_sent_and_a_ping_is_answered(running: Any) -> None:
    push(running, "stk_mins", FIELDS, minute("600000.SH", "09:31:00"))
    with connect(address(running)) as listener:
        listener.send(asking({"HQ_STK_MIN": ["1MIN:600000.SH"]}))
        assert told(listener)["status"] is True
        listener.send('{"action": "ping"}')
        assert told(listener)["message"] == "pong"
        push(running, "stk_mins", FIELDS, minute("600000.SH", "09:32:00"))

        row = told(listener)

    assert row["data"]["code"] == "1MIN:600000.SH"
    assert row["data"]["record"][1] == "2024-01-02 09:32:00"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("no JSON", "not JSON"),
        ("[]", "must ask to listen"),
        (asking({}), "name a topic"),
        (asking({"HQ_STK_TICKS": ["*"]}), "HQ_STK_TICK"),
        (asking({"HQ_STK_TICK": []}), "list of codes"),
        (asking({"HQ_STK_TICK": "*.SH"}), "list of codes"),
        (asking({"HQ_STK_TICK": ["*"] * 10_001}), "more than 10000"),
    ],
)
def test_a_message_that_cannot_be_meant_is_told_and_the_connection_closed(
    running: Any, message: str, text: str
) -> None:
    with connect(address(running)) as listener:
        listener.send(message)

        answer = told(listener)
        with pytest.raises(ConnectionClosedError, match="1008"):
            listener.recv(timeout=30)

    assert answer["status"] is False
    assert text in answer["message"]


def test_another_site_s_page_may_not_listen(running: Any) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        connect(address(running), origin=Origin("http://evil.example"))


def test_a_token_needs_the_scope_and_its_end_ends_the_listening(running: Any) -> None:
    tokens = Tokens(running.home / "tokens.json", PREFIX)
    _, narrow = tokens.create("narrow", ("daily",), 0, None)
    kept, wide = tokens.create("wide", ("ticks",), 0, None)

    for token, text in (("wrong", "token不对"), (narrow, "没有接口访问权限")):
        with connect(address(running)) as listener:
            listener.send(asking({"HQ_STK_TICK": ["*"]}, token))
            assert text in told(listener)["message"]
    with connect(address(running)) as listener:
        listener.send(asking({"HQ_STK_TICK": ["*"]}, wide))
        assert told(listener)["status"] is True
        tokens.revoke(kept.id)
        assert "token不对" in told(listener)["message"]
