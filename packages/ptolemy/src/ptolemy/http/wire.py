"""The little of ASGI that both faces need."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import lru_cache
from typing import Any

from ptolemy.http.faults import TooLarge

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = b"application/json; charset=utf-8"
_PIECE = 1 << 20


def header(scope: Scope, name: bytes) -> str:
    """Return a header, or an empty text; `name` in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).decode("latin-1")
    return ""


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Return the body; raise `TooLarge` before more than `limit` bytes are kept."""
    said = header(scope, b"content-length")
    if said.isdecimal() and int(said) > limit:
        raise TooLarge(limit)
    body: bytes = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > limit:
            raise TooLarge(limit)
        if not message.get("more_body"):
            return body


async def send_bytes(send: Send, status: int, headers: Headers, body: Any) -> None:
    """Send an answer; a large one in pieces, so that the reader can begin with the first."""
    size = len(body)
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-length", str(size).encode()), (b"x-content-type-options", b"nosniff"), *headers],
        }
    )
    if size <= _PIECE:
        await send({"type": "http.response.body", "body": body})
        return
    whole = memoryview(body)  # its pieces are no copies
    for begin in range(0, size, _PIECE):
        piece = whole[begin : begin + _PIECE]
        await send({"type": "http.response.body", "body": piece, "more_body": begin + _PIECE < size})


def json_bytes(value: Any) -> bytes:
    """Return `value` as JSON; a NaN becomes null, for JSON has none."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")
    except ValueError:
        return json_bytes(json.loads(json.dumps(value), parse_constant=lambda _: None))


def quoted(words: Iterable[str]) -> bytes:
    """Return texts as a JSON array."""
    return _quoted(tuple(words))


@lru_cache(1024)  # the columns of an answer are nearly always the same
def _quoted(words: tuple[str, ...]) -> bytes:
    return json_bytes(words)
