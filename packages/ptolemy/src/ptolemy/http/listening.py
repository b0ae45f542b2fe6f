"""What Tushare's ``ts.subs()`` listens to: a WebSocket ``/listening`` that sends rows as the store gets them.

The first message names a token, topics and codes; each row is a message of its own. Rows are taken from
the store's log, so that it does not matter which process has written them, and none comes before it is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from fnmatch import fnmatchcase
from time import monotonic
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import pyarrow.compute

from ptolemy.catalogue import interface
from ptolemy.errors import BadParam, NothingCollected, PtolemyError, nearest
from ptolemy.http.service import Service
from ptolemy.http.tushare import said
from ptolemy.http.wire import Receive, Scope, Send

if TYPE_CHECKING:
    from ptolemy.series import Series

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands

PATH = "/listening"
TOPICS = {"HQ_STK_TICK": "ticks", "HQ_STK_MIN": "stk_mins"}
_LOOK = 0.1  #: seconds between two looks for new rows
_AGAIN = 0.5  #: seconds between two looks whether the token is valid still
_MOST = 10_000  #: codes of one listener
_REFUSED, _FAILED = 1008, 1011


async def listening_face(service: Service, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one listener until it leaves, or its token ends."""
    code, accepted = _REFUSED, False
    try:
        await receive()  # websocket.connect
        service.check_host(scope)
        await send({"type": "websocket.accept"})
        accepted = True
        first = await receive()
        if first["type"] == "websocket.disconnect":
            return
        token, wanted = _read(first)
        address = (scope.get("client") or ("",))[0]
        for topic in wanted:
            service.admit(token, address, TOPICS[topic], {})
        followed = [_Followed(service.series, topic, codes) for topic, codes in wanted.items()]
        await _say(send, True, "listening")
        await _send_rows(service, token, address, followed, receive, send)
        return
    except Exception as exc:
        if not isinstance(exc, PtolemyError):
            service.failed(exc)
            code = _FAILED
        text = said(exc)[1]
    if accepted:
        await _say(send, False, text)
    await send({"type": "websocket.close", "code": code})


async def _send_rows(
    service: Service, token: str, address: str, followed: list[_Followed], receive: Receive, send: Send
) -> None:
    asked = monotonic()
    heard = asyncio.ensure_future(receive())
    try:
        while True:
            done, _ = await asyncio.wait([heard], timeout=_LOOK)
            if done:
                if heard.result()["type"] == "websocket.disconnect":
                    return
                await _say(send, True, "pong")  # all that a client says later on is that it is there
                heard = asyncio.ensure_future(receive())
            if monotonic() - asked > _AGAIN:
                service.caller(token, address)
                asked = monotonic()
            for each in followed:
                for message in await asyncio.to_thread(each.messages):
                    await send({"type": "websocket.send", "text": message})
    finally:
        heard.cancel()


def _read(message: Any) -> tuple[str, dict[str, list[str]]]:
    """Return the token and the codes of each topic; raise `BadParam` if the message is none that a client sends."""
    hint = '{"action": "listening", "token": "", "data": {"HQ_STK_TICK": ["*.SH"]}}'
    try:
        asked = orjson.loads(message.get("text") or message.get("bytes") or b"")
    except ValueError:
        raise BadParam("the message is not JSON", hint=hint) from None
    if not isinstance(asked, dict) or asked.get("action") != "listening" or not isinstance(asked.get("data"), dict):
        raise BadParam("the first message must ask to listen", hint=hint)
    token = asked.get("token") or ""
    if not isinstance(token, str) or not asked["data"]:
        raise BadParam("token must be a text, and data must name a topic", hint=hint)
    for topic, codes in asked["data"].items():
        if topic not in TOPICS:
            raise BadParam(f"there is no topic {topic[:40]!r}", hint=nearest(topic, TOPICS) or ", ".join(TOPICS))
        if not isinstance(codes, list) or not codes or not all(isinstance(c, str) for c in codes):
            raise BadParam(f"{topic} must have a list of codes", hint=hint)
        if len(codes) > _MOST:
            raise BadParam(f"{topic} has more than {_MOST} codes", hint="use patterns such as *.SH")
    return token, asked["data"]


class _Followed:
    """The rows of one topic that the store gets from now on."""

    def __init__(self, series: Series, topic: str, codes: list[str]) -> None:
        # Behind a server stands a log too, and a row is in it first.
        self._log: Any = getattr(series, "log", series)
        self._topic, self._known = topic, interface(TOPICS[topic])
        self._plain = {code.upper() for code in codes if "*" not in code}
        self._patterns = [code.upper() for code in codes if "*" in code]
        self._version, self._last = self._state()

    def messages(self) -> list[str]:
        """Return what has come since the last call, one text for each row that is listened to."""
        return [text for table in self._news() for text in self._written(table)]

    def _state(self) -> tuple[int, str]:
        try:
            stats = self._log.stats(self._known.name)
        except NothingCollected:
            return 0, ""
        return stats.version, stats.last

    def _news(self) -> list[pa.Table]:
        version, last = self._state()
        if version == self._version:
            return []
        records = self._log.since(self._known.name, self._version)
        if records and records[0].version.id == self._version + 1:
            found = [record.table for record in records if record.table is not None]
            self._version, self._last = records[-1].version.id, records[-1].version.last
            return found
        # The log was compacted meanwhile: what is later than all that was sent is new for certain.
        table = self._log.read(self._known.name, start=self._last or None)
        newer = table.filter(pc.greater(table[self._known.key[-1]], self._last))
        self._version, self._last = version, last
        return [newer]

    def _written(self, table: pa.Table) -> Iterator[str]:
        for row in table.to_pylist():
            code = row["ts_code"]
            if "freq" in row:
                code = f"{row['freq']}:{code}".upper()
            if code in self._plain or any(fnmatchcase(code, pattern) for pattern in self._patterns):
                record = [row.get(name) for name in self._known.shown]
                yield _text(True, "", {"topic": self._topic, "code": code, "record": record})


def _text(status: bool, message: str, data: dict[str, Any]) -> str:
    return orjson.dumps({"status": status, "message": message, "data": data}).decode()


async def _say(send: Send, status: bool, message: str) -> None:
    await send({"type": "websocket.send", "text": _text(status, message, {})})
