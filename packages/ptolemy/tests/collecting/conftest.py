"""A service that is not ours: it answers as recorded, and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

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
