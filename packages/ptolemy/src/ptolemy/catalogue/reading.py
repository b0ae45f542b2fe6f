"""Read the file of an interface, TOML or YAML, and say what is wrong with it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ptolemy.catalogue.interface import Asking, Column, Interface, Parameter, Rule
from ptolemy.errors import BadInput, nearest

_WORDS = (
    "title", "key", "rules", "columns", "parameters", "calendar", "update", "limit", "quality", "computed", "collect",
)  # fmt: skip
_TYPES = ("str", "date", "time", "float", "int")
_CHECKS = ("gaps", "stale", "spikes", "units")
_COUNTS = ("limit", "offset", "as_of", "fields", "start_date", "end_date")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def parse(place: str, text: str) -> dict[str, Any]:
    """Return the document of a file by its ending; raise `BadInput` if it cannot be read."""
    try:
        if place.endswith((".yaml", ".yml")):
            import yaml

            try:
                document = yaml.safe_load(text)
            except yaml.YAMLError as exc:
                raise ValueError(str(exc)) from exc
        else:
            document = tomllib.loads(text)
    except ValueError as exc:
        raise BadInput(f"{place} cannot be read: {exc}", hint=f"mend {place}") from None
    if not isinstance(document, dict):
        raise BadInput(f"{place} holds no keys", hint="title, key and columns at least")
    return document


def build(name: str, document: Mapping[str, Any], place: str, *, own: bool = False) -> Interface:
    """Return the interface that a document describes; raise `BadInput`, with its place, if it describes none."""
    if not _NAME.fullmatch(name):
        raise BadInput(f"{place}: {name!r} cannot be the name of a data set", hint="letters, digits and _")
    known(place, document, _WORDS)
    columns: list[Column] = []
    rules: list[Rule] = []
    for entry in _table_list(place, document, "columns"):
        column, own_rules = _column(place, entry)
        if column.name in {c.name for c in columns}:
            raise BadInput(f"{place}: there are two columns {column.name!r}")
        columns.append(column)
        rules += own_rules
    if not columns:
        raise BadInput(f"{place} names no columns", hint='columns = [{ name = "ts_code", type = "str", ... }]')
    names = [c.name for c in columns]
    # Those of single columns come first: a negative low is its own fault and not that of the high.
    rules += [_rule(place, text) for text in _texts(place, document, "rules")]
    for rule in rules:
        for side in (rule.left, rule.right):
            if isinstance(side, str) and (side not in names or not columns[names.index(side)].is_number):
                raise BadInput(f"{place}: the rule {rule} compares {side!r}, which is no column of numbers")
    key = tuple(_texts(place, document, "key"))
    _check_key(place, key, columns)
    filters = tuple(_filter(place, entry, names) for entry in _table_list(place, document, "parameters"))
    update, title = document.get("update", "16:00"), document.get("title")
    if not isinstance(title, str) or not title:
        raise BadInput(f"{place} has no title")
    if not isinstance(update, str) or not _CLOCK.fullmatch(update):
        raise BadInput(f"{place}: update must be a time such as 16:00, not {update!r}")
    limit = document.get("limit", 0)
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise BadInput(f"{place}: limit must be a whole number, not {limit!r}")
    quality = _texts(place, document, "quality")
    for word in quality:
        if word not in _CHECKS:
            raise BadInput(f"{place}: there is no check {word!r}", hint=nearest(word, _CHECKS) or ", ".join(_CHECKS))
    return Interface(
        name=name, title=title, key=key, columns=tuple(columns), rules=tuple(rules), filters=filters,
        calendar=_calendar(place, document.get("calendar", "XSHG")), update=update, limit=limit,
        quality=tuple(quality),  # type: ignore[arg-type]
        computed=str(document.get("computed", "")), asking=_asking(place, document.get("collect")), own=own,
    )  # fmt: skip


def known(place: str, document: Mapping[str, Any], words: tuple[str, ...]) -> None:
    """Raise `BadInput` with the nearest word if `document` has another key than `words`."""
    for word in document:
        if word not in words:
            raise BadInput(
                f"{place}: {word!r} is not known", hint=nearest(str(word), words) or f"known: {', '.join(words)}"
            )


def _column(place: str, entry: Mapping[str, Any]) -> tuple[Column, list[Rule]]:
    words = tuple(f.name for f in fields(Column))
    known(f"{place}: a column", entry, (*words, "rules"))
    name = entry.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInput(f"{place}: {name!r} cannot be the name of a column", hint="letters, digits and _")
    if entry.get("type") not in _TYPES:
        raise BadInput(f"{place}: {name} must have a type", hint=f"one of {', '.join(_TYPES)}")
    for word, given in entry.items():
        wanted = bool if word in ("hidden", "required") else list if word == "rules" else str
        if not isinstance(given, wanted):
            raise BadInput(f"{place}: {name}: {word} cannot be {given!r}")
    rules = [_rule(place, f"{name} {text}") for text in entry.get("rules", [])]
    return Column(**{k: v for k, v in entry.items() if k != "rules"}), rules


def _check_key(place: str, key: tuple[str, ...], columns: list[Column]) -> None:
    found = {c.name: c for c in columns}
    if not key or len(set(key)) != len(key):
        raise BadInput(f"{place} has no key", hint='key = ["ts_code", "trade_date"]: the security first, the day last')
    for name in key:
        if name not in found:
            raise BadInput(f"{place}: the key names {name!r}, which is no column", hint=nearest(name, found))
        if found[name].is_number or not found[name].required:
            raise BadInput(f"{place}: {name} is in the key and must be text, and required")


def _filter(place: str, entry: Mapping[str, Any], names: list[str]) -> Parameter:
    known(f"{place}: a parameter", entry, ("name", "column", "default", "description"))
    if not all(isinstance(value, str) for value in entry.values()) or not entry.get("name"):
        raise BadInput(f"{place}: a parameter must have a name, and texts for the rest")
    column = entry.get("column", entry["name"])
    if column not in names:
        raise BadInput(f"{place}: the parameter {entry['name']} asks for {column!r}, which is no column",
                       hint=nearest(column, names))  # fmt: skip
    if entry["name"] in _COUNTS:
        raise BadInput(f"{place}: every interface has the parameter {entry['name']} of its own")
    return Parameter(entry["name"], "filter", column, entry.get("default", ""), entry.get("description", ""))


def _rule(place: str, text: Any) -> Rule:
    words = text.split() if isinstance(text, str) else []
    if len(words) != 3 or words[1] not in ("<", "<=", ">", ">="):
        raise BadInput(f"{place}: {text!r} is no rule", hint="such as low <= high, or > 0 in a column")
    left, operator, right = words
    try:
        return Rule(left, operator, float(right))
    except ValueError:
        return Rule(left, operator, right)


def _calendar(place: str, name: Any) -> str:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Z0-9_./]{2,12}", name):
        raise BadInput(f"{place}: calendar must be one of exchange_calendars, not {name!r}", hint="XSHG or XNYS")
    return name


def _asking(place: str, document: Any) -> Asking | None:
    if document is None:
        return None
    if not isinstance(document, dict):
        raise BadInput(f"{place}: collect must be a table", hint='collect = { by = "trade_date" }')
    known(f"{place}: collect", document, ("by", "on", "each"))
    each = document.get("each", {})
    if document.get("on", "day") not in ("day", "week", "month") or not isinstance(each, dict):
        raise BadInput(f"{place}: collect is by one of day, week, month, and each is a table of lists")
    return Asking(
        str(document.get("by", "range")), document.get("on", "day"), {k: tuple(map(str, v)) for k, v in each.items()}
    )


def _texts(place: str, document: Mapping[str, Any], word: str) -> list[str]:
    given = document.get(word, [])
    if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
        raise BadInput(f"{place}: {word} must be a list of texts, not {given!r}")
    return given


def _table_list(place: str, document: Mapping[str, Any], word: str) -> list[dict[str, Any]]:
    given = document.get(word, [])
    if not isinstance(given, list) or not all(isinstance(entry, dict) for entry in given):
        raise BadInput(f"{place}: {word} must be a list of tables")
    return given
