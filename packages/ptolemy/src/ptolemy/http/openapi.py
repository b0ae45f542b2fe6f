"""The native face as OpenAPI 3.1, and the page that shows it; both come from the catalogue."""

from __future__ import annotations

from html import escape
from importlib.metadata import version
from typing import Any

from ptolemy.bars import WORDS
from ptolemy.catalogue import Column, Interface, interfaces
from ptolemy.http.formats import TYPES

_TEXT = {
    "ts_code": "Security code, or several with commas.",
    "start_date": "First day, included, YYYYMMDD.",
    "end_date": "Last day, included, YYYYMMDD.",
    "limit": "At most so many rows, the newest.",
    "offset": "Leave out so many of the newest rows.",
    "as_of": "Id of the version to read.",
    "adj": "qfq, hfq, or nothing for bars as they were traded.",
    "freq": "D, W, M, 1min, 5min, 15min, 30min or 60min.",
    "asset": "E (shares), I (indices), FD (funds), FT (futures), O (options) or CB (convertible bonds).",
    "ma": "Windows of moving averages, with commas.",
    "factors": "tor, vr, pe or pe_ttm, with commas.",
    "anchor": "What qfq is adjusted to: end (of the range) or latest.",
    "precision": "Decimals of adjusted prices; full does not round.",
    "fields": "Columns, with commas, in the order wanted.",
    "cursor": "Where the next page begins: X-Next-Cursor of the page before.",
    "format": "arrow, parquet, csv or json; else Accept says it.",
}
_ERRORS = {
    "400": "A parameter cannot be used.",
    "401": "No valid token.",
    "403": "The token may not read this, or the Host is a stranger's.",
    "404": "No such version, or nothing of it was collected.",
    "406": "Accept names no format that there is.",
    "413": "The request is too large.",
    "429": "The calls of this minute are used up; Retry-After says when to come back.",
    "503": "The store does not answer.",
}


def openapi() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the native face."""
    paths: dict[str, Any] = {}
    for name, known in interfaces().items():
        paths[f"/v1/{name}"] = _path(name, known.title, [*known.parameters, "fields", "cursor", "format"], known)
    bars = interfaces().get("daily")
    if bars:
        paths["/v1/pro_bar"] = _path(
            "pro_bar", "Bars, adjusted or not", [*WORDS, "fields", "format"], bars, needed=["ts_code"]
        )
    pages = {"": "What can be asked for.", "/quota": "What is left to this token.", "/datasets": "What is kept."}
    for path, text in pages.items():
        content: dict[str, Any] = {"application/json": {"schema": {}}}
        paths[f"/v1{path}"] = {
            "get": {"summary": text, "responses": {"200": {"description": text, "content": content}, **_faults("401")}}
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Ptolemy", "version": version("jiyuan-ptolemy"), "description": "Rows come newest first."},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Fault": _FAULT},
        },
    }


def page() -> str:
    """Return a page that shows every interface with its columns, for people."""
    parts = [_HEAD]
    for known in interfaces().values():
        asked = ", ".join(known.parameters)
        parts.append(
            f"<h2 id={known.name}>{known.name}</h2><p>{escape(known.title)}. <code>GET /v1/{known.name}</code>"
            f"<p>Parameters: {escape(asked)}, fields."
        )
        parts.append("<table><tr><th>column<th>type<th>unit<th>shown<th>meaning")
        parts += [
            f"<tr><td>{c.name}<td>{c.type}<td>{escape(c.unit)}<td>{'-' if c.hidden else 'yes'}<td>"
            f"{escape(c.description)}"
            for c in known.columns
        ]
        parts.append("</table>")
    return "\n".join(parts)


def _path(name: str, title: str, words: list[str], known: Interface, needed: list[str] | None = None) -> dict[str, Any]:
    number = {"limit", "offset"} | ({"as_of"} if name != "pro_bar" else set())
    schemas: dict[str, dict[str, Any]] = {
        w: {"type": "integer", "minimum": 0} if w in number else {"type": "string"} for w in words
    }
    if "format" in schemas:
        schemas["format"]["enum"] = list(TYPES)
    own = {} if name == "pro_bar" else known.parameters
    for word, parameter in own.items():
        if parameter.default:
            schemas[word]["default"] = parameter.default
    parameters = [
        {
            "name": w, "in": "query", "required": w in (needed or []), "schema": schemas[w],
            "description": own[w].description if w in own else _TEXT.get(w, ""),
        }
        for w in words
    ]  # fmt: skip
    body = {"type": "object", "properties": schemas, "required": needed or [], "additionalProperties": False}
    rows = {
        "type": "object",
        "properties": {
            "fields": {"type": "array", "items": {"enum": known.names}},
            "items": {"type": "array", "items": {"type": "array"}},
            "count": {"type": "integer"},
            "next": {"type": ["string", "null"]},
        },
    }
    if name == "pro_bar":
        rows["properties"]["fields"] = {"type": "array", "items": {"type": "string"}}  # type: ignore[index]
    content: dict[str, Any] = {kind: {} for kind in TYPES.values()} | {"application/json": {"schema": rows}}
    answers = {"200": {"description": "Rows, newest first.", "content": content}, **_faults(*_ERRORS)}
    columns = "\n".join(_line(c) for c in known.columns)
    about = {"summary": f"{title}.", "description": f"Columns:\n\n{columns}", "responses": answers}
    return {
        "get": {"operationId": name, "parameters": parameters, **about},
        "post": {
            "operationId": f"{name}_post", **about,
            "requestBody": {"required": False, "content": {"application/json": {"schema": body}}},
        },
    }  # fmt: skip


def _line(column: Column) -> str:
    unit = f", {column.unit}" if column.unit else ""
    return f"- `{column.name}` ({column.type}{unit}{', hidden' if column.hidden else ''}): {column.description}"


def _faults(*codes: str) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Fault"}}}
    return {code: {"description": _ERRORS[code], "content": content} for code in codes}


_FAULT = {
    "type": "object",
    "required": ["error", "message"],
    "properties": {
        "status": {"type": "integer"},
        "error": {"type": "string"},
        "message": {"type": "string"},
        "hint": {"type": ["string", "null"]},
        "retry_after": {"type": "number"},
    },
}
_HEAD = """<!doctype html><html lang=en><meta charset=utf-8><title>Ptolemy</title>
<style>:root{color-scheme:light dark}body{font:15px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}td,th{padding:.15rem .6rem;text-align:left;border-bottom:1px solid #8884}</style>
<h1>Ptolemy</h1><p>The description for programs is <a href=/openapi.json>/openapi.json</a> (OpenAPI 3.1). Ask with
<code>Authorization: Bearer TOKEN</code>; <code>Accept</code> or <code>?format=</code> chooses Arrow, Parquet, CSV or
JSON. The clients of Tushare ask at <code>POST /dataapi/{interface}</code> and <code>POST /</code>."""
