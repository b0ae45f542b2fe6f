"""The Tushare face: ``POST /`` and ``POST /dataapi/{api}``, as the public clients speak it.

It always answers HTTP 200, for the clients take any other status for an empty result.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

import orjson

from ptolemy._house.ids import uuid7
from ptolemy.bars import PRO_BAR, WORDS
from ptolemy.catalogue import find, interface, interfaces
from ptolemy.errors import BadParam, BadToken, NoPermission, PtolemyError, RateLimited, UnknownInterface
from ptolemy.http.faults import detail, status
from ptolemy.http.service import Service, is_fields, is_small
from ptolemy.http.text import json_items
from ptolemy.http.wire import JSON, Receive, Scope, Send, json_bytes, quoted, read_body, send_bytes

OK, BAD_PARAM, BAD_TOKEN, LIMITED, FORBIDDEN = 0, -2001, 40101, 40203, 2002
PREFIX = "/dataapi"


async def tushare_face(service: Service, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one call."""
    began = perf_counter()
    request, name, code, rows = uuid7(), "", OK, 0
    try:
        service.check_host(scope)
        asked = _read(await read_body(scope, receive, service.max_body), scope["path"])
        name = asked["api_name"]
        address = (scope.get("client") or ("",))[0]
        service.admit(asked["token"], address, name, asked["params"])
        if is_small(asked["params"]):
            rows, body = _answer(service, asked, request)
        else:
            rows, body = await asyncio.to_thread(_answer, service, asked, request)
    except Exception as exc:
        code, text = said(exc)
        if not isinstance(exc, PtolemyError):
            service.failed(exc)
        error = {"request_id": request, "code": code, "msg": text, "message": text, "detail": detail(exc), "data": None}
        body = json_bytes(error)
    await send_bytes(send, 200, [(b"content-type", JSON), (b"x-request-id", request.encode())], body)
    known = name if name == PRO_BAR or find(name) else ""
    service.metrics.count("tushare", known, code, perf_counter() - began, rows, len(body))


def _read(body: bytes, path: str) -> dict[str, Any]:
    try:
        asked = orjson.loads(body)
    except (ValueError, RecursionError):
        raise BadParam("the body is not JSON", hint='{"api_name": "daily", "token": "", "params": {}}') from None
    if not isinstance(asked, dict):
        raise BadParam("the body is not a JSON object", hint='{"api_name": "daily", "token": "", "params": {}}')
    in_path = path.removeprefix(PREFIX).strip("/") if path.startswith(PREFIX) else ""
    name = asked.get("api_name") or in_path
    params, token = asked.get("params") or {}, asked.get("token") or ""
    if not isinstance(name, str) or not isinstance(params, dict) or not isinstance(token, str):
        raise BadParam("api_name and token must be texts, and params an object")
    if in_path and name != in_path:
        raise BadParam(f"the path asks for {in_path}, the body for {name}", hint="name the same in both")
    if not name:
        raise BadParam("no interface is named", hint='"api_name": "daily"')
    fields = asked.get("fields")
    if not is_fields(fields):
        raise BadParam("fields must be a text with commas or a list of texts")
    if name != PRO_BAR and find(name) is None:
        # Tushare's client asks for daily_vip and the like where somebody pays more; here they are the same.
        if find(name.removesuffix("_vip")) is None:
            raise UnknownInterface(name[:100], [*interfaces(), PRO_BAR])
        name = name.removesuffix("_vip")
    return {"api_name": name, "params": params, "token": token, "fields": fields}


def _answer(service: Service, asked: dict[str, Any], request: str) -> tuple[int, bytes]:
    name = asked["api_name"]
    known = WORDS if name == PRO_BAR else interface(name).parameters
    params = {k: v for k, v in asked["params"].items() if k in known}
    found = service.answer(name, asked["fields"], params)
    rows = found.kept.num_rows
    if not params.get("limit") and found.total > rows + int(params.get("offset") or 0):
        # The clients do not look at has_more: what they did not ask to be cut must not be.
        raise BadParam(
            f"this asks for {found.total} rows, and one answer has {service.max_rows}",
            hint="ask in pages, with limit and offset, or for fewer days or securities",
        )
    more = found.total > rows + int(params.get("offset") or 0)
    head = b'{"request_id":"%s","code":0,"msg":"","data":{"fields":%s,"items":' % (
        request.encode(),
        quoted(found.kept.column_names),
    )
    tail = b',"has_more":%s,"count":%d}}' % (b"true" if more else b"false", found.total)
    return rows, json_items(found, head, tail)


def said(exc: Exception) -> tuple[int, str]:
    """Return the code and the Chinese text of an error; what programs read is in ``detail``."""
    hint = f"（{exc.hint}）" if isinstance(exc, PtolemyError) and exc.hint else ""
    if isinstance(exc, BadToken):
        return BAD_TOKEN, "您的token不对，请确认。"
    if isinstance(exc, NoPermission):
        return FORBIDDEN, f"抱歉，您没有接口访问权限：{exc.interface}。"
    if isinstance(exc, RateLimited):
        return LIMITED, f"抱歉，您每分钟最多访问该接口{exc.rate}次，请{exc.retry_after:.1f}秒后重试。"
    if isinstance(exc, UnknownInterface):
        return BAD_PARAM, f"请指定正确的接口名：{exc}{hint}"
    if status(exc) >= 500:
        return BAD_PARAM, f"抱歉，服务出错，请稍后重试：{detail(exc)['message']}"
    return BAD_PARAM, f"参数校验失败：{exc}{hint}"
