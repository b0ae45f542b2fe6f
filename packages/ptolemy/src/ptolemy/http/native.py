"""The native face: ``/v1/{interface}``, GET and POST, in Arrow, Parquet, CSV or JSON, with real status codes."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl

import orjson
import pyarrow as pa

from ptolemy.answers import Answer
from ptolemy.bars import PRO_BAR, check_words
from ptolemy.catalogue import find, interface, interfaces
from ptolemy.errors import BadParam, NotFound, PtolemyError, RateLimited, UnknownInterface
from ptolemy.http.arrow import arrow_stream
from ptolemy.http.faults import NotAcceptable, detail, status
from ptolemy.http.formats import TYPES
from ptolemy.http.limits import Quota
from ptolemy.http.service import Service, is_fields, is_small
from ptolemy.http.text import json_items
from ptolemy.http.wire import JSON, Headers, Receive, Scope, Send, header, json_bytes, quoted, read_body, send_bytes

PREFIX = "/v1"

_Reply = tuple[int, Headers, Any, int]  # status, headers, body, rows


async def native_face(service: Service, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one call."""
    began = perf_counter()
    name = scope["path"].removeprefix(PREFIX).strip("/")
    try:
        service.check_host(scope)
        if scope["method"] == "PUT" and find(name):
            code, headers, body, rows = await _pushed(service, scope, receive, name)
        elif scope["method"] not in ("GET", "HEAD", "POST"):
            headers = [(b"content-type", JSON), (b"allow", b"GET, HEAD, POST")]
            code, body, rows = 405, json_bytes({"error": "BadParam", "message": "ask with GET or POST"}), 0
        else:
            parameters = await _parameters(service, scope, receive)
            if name == PRO_BAR or find(name):
                code, headers, body, rows = await _rows(service, scope, name, parameters)
            else:
                code, headers, body, rows = _about(service, scope, name)
    except Exception as exc:
        if not isinstance(exc, PtolemyError):
            service.failed(exc)
        code, headers, body, rows = _fault(exc)
    if scope["method"] == "HEAD":
        headers = [*headers, (b"x-content-length", str(len(body)).encode())]
        body = b""
    await send_bytes(send, code, headers, body)
    known = name if name == PRO_BAR or find(name) else ""
    service.metrics.count("native", known, code, perf_counter() - began, rows, len(body))


async def _pushed(service: Service, scope: Scope, receive: Receive, name: str) -> _Reply:
    intake = service.admit_push(_bearer(scope), _address(scope), name)
    body = await read_body(scope, receive, intake.max_body)
    kind = header(scope, b"content-type").partition(";")[0].strip().lower()
    found = await asyncio.to_thread(intake.take_bytes, name, body, kind)
    return 200, [(b"content-type", JSON)], json_bytes(found), found["rows"]


async def _parameters(service: Service, scope: Scope, receive: Receive) -> dict[str, Any]:
    if scope["method"] != "POST":
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if twice := sorted({k for k, _ in pairs if [n for n, _ in pairs].count(k) > 1}):
            raise BadParam(f"{', '.join(twice)} is given twice", hint="write several values with commas")
        return dict(pairs)
    body = await read_body(scope, receive, service.max_body)
    try:
        parameters = orjson.loads(body) if body else {}
    except (ValueError, RecursionError):
        parameters = None
    if not isinstance(parameters, dict):
        raise BadParam("the body is not a JSON object", hint='{"ts_code": "AAPL.US", "fields": "trade_date,close"}')
    return parameters


async def _rows(service: Service, scope: Scope, name: str, parameters: dict[str, Any]) -> _Reply:
    kind = _kind(header(scope, b"accept"), parameters.pop("format", None))
    caller = service.admit(_bearer(scope), _address(scope), name, parameters)
    fields = parameters.pop("fields", None)
    if not is_fields(fields):
        raise BadParam("fields must be a text with commas or a list of texts")
    if name == PRO_BAR:
        check_words({k: v for k, v in parameters.items() if k != "cursor"})
    headers: Headers = [
        (b"content-type", TYPES[kind].encode()),
        (b"vary", b"accept, authorization"),
        *_quota(caller.quota),
    ]
    if scope["method"] != "POST":
        tag = _tag(service, name, kind, fields, parameters)
        headers += [(b"etag", tag), (b"cache-control", b"private, no-cache")]
        if tag.decode() in [t.strip() for t in header(scope, b"if-none-match").split(",")]:
            return 304, headers, b"", 0
    if is_small(parameters):
        body, rows, more = _written(service, name, kind, fields, parameters)
    else:
        body, rows, more = await asyncio.to_thread(_written, service, name, kind, fields, parameters)
    return 200, [*headers, *more], body, rows


def _written(
    service: Service, name: str, kind: str, fields: Any, parameters: dict[str, Any]
) -> tuple[Any, int, Headers]:
    cursor = parameters.pop("cursor", None)
    asked = {**parameters, **(_place(cursor) if cursor else {})}
    found = service.answer(name, fields, asked)
    offset = int(asked.get("offset") or 0)
    after = None
    # A caller who gives a limit has his rows; the others get all, page by page.
    if parameters.get("limit") in (None, "") and offset + found.kept.num_rows < found.total:
        if not asked.get("as_of"):
            # All pages must come from one version, and a writer may have been quicker than this call.
            newest = {n: v.id for n, v in service.versions(name, asked).items()}
            asked["as_of"] = newest if name == PRO_BAR else newest[name]
            found = service.answer(name, fields, asked)
        after = _cursor(offset + found.kept.num_rows, asked["as_of"])
    headers: Headers = [(b"x-rows", str(found.kept.num_rows).encode()), (b"x-total", str(found.total).encode())]
    if after:
        headers.append((b"x-next-cursor", after.encode()))
    return _body(found, kind, after), found.kept.num_rows, headers


def _body(found: Answer, kind: str, after: str | None) -> Any:
    if kind == "json":
        head = b'{"fields":%s,"items":' % quoted(found.kept.column_names)
        return json_items(found, head, b',"count":%d,"next":%s}' % (found.total, json_bytes(after)))
    if kind == "arrow":
        return arrow_stream(found)
    table = found.table
    sink = pa.BufferOutputStream()
    if kind == "parquet":
        import pyarrow.parquet  # 30 ms to import, and few ask for it

        pyarrow.parquet.write_table(table, sink, compression="zstd")
    else:
        import pyarrow.csv

        pyarrow.csv.write_csv(table, sink, pyarrow.csv.WriteOptions(quoting_style="needed"))
    return sink.getvalue().to_pybytes()


def _about(service: Service, scope: Scope, name: str) -> _Reply:
    """Answer what is not rows: the list of interfaces, what is kept, the quota."""
    words = name.split("/")
    if words[0] not in ("", "quota", "datasets"):
        raise UnknownInterface(name[:100], [*interfaces(), PRO_BAR, "datasets", "quota"])
    caller = service.caller(_bearer(scope), _address(scope))
    found: Any
    if name == "":
        found = [
            {"interface": i.name, "title": i.title, "fields": i.shown, "parameters": list(i.parameters)}
            for i in interfaces().values()
        ]
    elif name == "quota":
        token = caller.token
        found = {
            "token": token and {"id": token.id, "name": token.name, "scopes": token.scopes, "expires": token.expires},
            **asdict(caller.quota),
        }
    elif name == "datasets":
        kept = [d for d in service.series.datasets() if caller.token is None or caller.token.may(d)]
        found = [asdict(service.series.versions(d)[-1]) for d in kept]
    elif len(words) == 3 and words[2] == "versions":
        service.admit(_bearer(scope), _address(scope), interface(words[1]).name, {})
        found = [asdict(v) for v in service.series.versions(words[1])]
    else:
        raise NotFound(f"there is no {name[:100]!r}", hint="/v1/datasets/daily/versions")
    return 200, [(b"content-type", JSON), *_quota(caller.quota)], json_bytes(found), 0


def _fault(exc: Exception) -> _Reply:
    headers: Headers = [(b"content-type", b"application/problem+json")]
    if isinstance(exc, RateLimited):
        # Whole seconds are all that the header knows; rounded down, the next call would fail again.
        headers.append((b"retry-after", str(int(exc.retry_after) + 1).encode()))
    if status(exc) == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return status(exc), headers, json_bytes({"status": status(exc), **detail(exc)}), 0


def _kind(accept: str, said: Any) -> str:
    if said not in (None, ""):
        if not isinstance(said, str) or said not in TYPES:
            raise BadParam(f"format cannot be {str(said)[:40]!r}", hint=f"one of {', '.join(TYPES)}")
        return said
    return _accepted(accept) if accept else "json"


@lru_cache(256)  # each client always asks for the same
def _accepted(accept: str) -> str:
    wanted = []
    for place, part in enumerate(accept.split(",")):
        word, *more = (w.strip() for w in part.split(";"))
        quality = next((w[2:] for w in more if w.startswith("q=")), "1")
        try:
            wanted.append((-float(quality), place, word.lower()))
        except ValueError:
            continue
    for weight, _, word in sorted(wanted):
        for kind, name in TYPES.items():
            if weight and (word == name or word in ("*/*", f"{name.partition('/')[0]}/*")):
                return kind
    raise NotAcceptable(f"no answer is written as {accept[:100]}", hint=f"Accept: {', '.join(TYPES.values())}")


def _bearer(scope: Scope) -> str:
    kind, _, text = header(scope, b"authorization").partition(" ")
    return text.strip() if kind.lower() == "bearer" else ""


def _address(scope: Scope) -> str:
    return str((scope.get("client") or ("",))[0])


def _quota(quota: Quota) -> Headers:
    if not quota.limit:
        return []
    return [
        (b"x-quota-limit", str(quota.limit).encode()),
        (b"x-quota-remaining", str(quota.remaining).encode()),
        (b"x-quota-reset", f"{quota.reset:.0f}".encode()),
    ]


def _tag(service: Service, name: str, kind: str, fields: Any, parameters: Mapping[str, Any]) -> bytes:
    """Return what changes when the answer does: the versions that it is made of, and the question."""
    digests = {n: v.digest for n, v in service.versions(name, parameters).items()}
    if (known := find(name)) and known.computed:
        digests[name] = datetime.now(UTC).strftime("%Y%m%d")  # a calendar reaches a day further each day
    question = json.dumps([name, kind, fields, sorted(parameters.items()), digests], default=str)
    return f'"{sha256(question.encode()).hexdigest()[:32]}"'.encode()


def _cursor(offset: int, as_of: Any) -> str:
    return base64.urlsafe_b64encode(json_bytes([offset, as_of])).decode()


def _place(cursor: Any) -> dict[str, Any]:
    try:
        offset, as_of = json.loads(base64.urlsafe_b64decode(str(cursor)))
        if isinstance(offset, int) and offset >= 0 and isinstance(as_of, int | dict | str):
            return {"offset": offset, "as_of": as_of}
    except (ValueError, TypeError):
        pass
    raise BadParam("this cursor is none that the service gave", hint="take it from the answer before")
