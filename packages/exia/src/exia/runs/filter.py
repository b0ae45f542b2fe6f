"""The small language that picks runs: ``metrics.ic > 0.03 and tags.desk = 'alpha'``.

::

    filter      term {"or" term}
    term        part {"and" part}
    part        "not" part | "(" filter ")" | key rule
    rule        ("=" | "==" | "!=" | "<" | "<=" | ">" | ">=") value | ["not"] ("like" | "ilike") text
                | ["not"] "in" "(" value {"," value} ")" | "is" ["not"] "null"
    key         kind "." name | attribute; a name with blanks stands in backquotes or double quotes
    value       number | 'text' | true | false

    order       key ["asc" | "desc"] {"," key ["asc" | "desc"]}

Words are as in MLflow, which has neither ``or`` nor ``not`` nor brackets. A run without the key fits no rule but
``is null``. A number is compared with numbers, a text with texts.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from exia._house.errors import nearest
from exia.errors import BadInput
from exia.runs.port import RunRecord

_KINDS = {
    "metric": "metrics", "metrics": "metrics", "param": "params", "params": "params", "parameter": "params",
    "parameters": "params", "tag": "tags", "tags": "tags", "fact": "facts", "facts": "facts",
    "attribute": "attributes", "attributes": "attributes", "attr": "attributes", "run": "attributes",
}  # fmt: skip
_ATTRIBUTES = {
    "id": "id", "run_id": "id", "name": "name", "run_name": "name", "status": "status", "started": "started",
    "start_time": "started", "ended": "ended", "end_time": "ended", "host": "host", "commit": "commit",
    "error": "error", "heartbeat": "heartbeat", "duration": "duration",
}  # fmt: skip
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge,
}  # fmt: skip
_TOKEN = re.compile(
    r"""(?P<blank>\s+)
    |(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    |(?P<text>'(?:[^'\\]|\\.)*')
    |(?P<quoted>"[^"]*"|`[^`]*`)
    |(?P<sign>==|!=|<=|>=|=|<|>|\(|\)|,)
    |(?P<word>[^\W\d][^\s=!<>()'"`,]*[.]?)""",
    re.VERBOSE,
)
_END = "the end"
_EXAMPLE = "metrics.ic > 0.03 and tags.desk = 'alpha'"

Picks = Callable[[RunRecord], bool]


@dataclass(frozen=True)
class Filter:
    """A filter that was understood; call it with a run to ask whether that fits."""

    text: str
    picks: Picks
    exactly: Mapping[str, str]  #: What an attribute must be, as far as that is all there is to it.

    def __call__(self, record: RunRecord) -> bool:
        """Return whether `record` fits."""
        return self.picks(record)


def parse_filter(text: str) -> Filter:
    """Return the filter that `text` says.

    Raises
    ------
    BadInput
        With the column, from 1, at which it cannot be understood.
    """
    parser = _Parser(text)
    picks = parser.filter()
    parser.expect_end()
    return Filter(text, picks, {} if parser.split else parser.exactly)


def parse_order(text: str) -> Callable[[RunRecord], Any]:
    """Return the key to sort runs by that `text` says, such as ``metrics.ic desc, started``.

    Runs without a value come last; numbers come before texts.

    Raises
    ------
    BadInput
        With the column, from 1, at which it cannot be understood.
    """
    try:
        parser = _Parser(text)
        keys = [parser.order_key()]
        while parser.more():
            keys.append(parser.order_key())
        parser.expect_end("',', 'asc', 'desc' or the end")
    except BadInput as exc:
        hint = "metrics.ic desc, started" if exc.hint == _EXAMPLE else exc.hint
        raise BadInput(str(exc).replace("filter", "order", 1), hint=hint) from None
    return lambda record: [(*_rank(get(record)), _Down(get(record)) if down else get(record)) for get, down in keys]


@dataclass(frozen=True)
class _Down:
    """A value that is sorted from the largest to the smallest."""

    value: Any

    def __lt__(self, other: _Down) -> bool:
        return bool(other.value < self.value)


def _rank(found: Any) -> tuple[bool, str]:
    """Return what parts values that cannot be compared, those that are not there last."""
    return found is None, "" if isinstance(found, int | float) else type(found).__name__


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    column: int

    @property
    def lower(self) -> str:
        return self.text.lower() if self.kind == "word" else self.text


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0
        self.split = False  # whether a term stands under "or" or "not"
        self.exactly: dict[str, str] = {}

    def filter(self) -> Picks:
        terms = [self._term()]
        while self._accept("or"):
            self.split = True
            terms.append(self._term())
        return terms[0] if len(terms) == 1 else lambda record: any(term(record) for term in terms)

    def order_key(self) -> tuple[Callable[[RunRecord], Any], bool]:
        """Return what to sort by, and whether from the largest to the smallest."""
        _, _, get = self._key()
        down = self._accept("desc")
        if not down:
            self._accept("asc")
        return get, down

    def more(self) -> bool:
        return self._accept(",")

    def expect_end(self, wanted: str = "'and', 'or' or the end") -> None:
        if self._now.kind != _END:
            raise self._unexpected(wanted)

    def _term(self) -> Picks:
        parts = [self._part()]
        while self._accept("and"):
            parts.append(self._part())
        return parts[0] if len(parts) == 1 else lambda record: all(part(record) for part in parts)

    def _part(self) -> Picks:
        if self._accept("not"):
            self.split = True
            part = self._part()
            return lambda record: not part(record)
        if self._accept("("):
            inner = self.filter()
            self._need(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Picks:
        kind, name, get = self._key()
        if self._now.kind == "sign" and self._now.text in _COMPARE:
            sign = self._take().text
            value = self._value()
            if kind == "attributes" and sign in ("=", "==") and isinstance(value, str):
                self.exactly[name] = value
            compare = _COMPARE[sign]
            return lambda record: _fits(compare, get(record), value)
        if self._accept("is"):
            wanted = not self._accept("not")
            self._need("null")
            return lambda record: (get(record) is None) is wanted
        negated = self._accept("not")
        if self._now.lower in ("like", "ilike"):
            pattern = self._pattern()
            return lambda record: _matches(pattern, get(record), negated=negated)
        if self._accept("in"):
            values = self._list()
            return lambda record: _is_one_of(values, get(record), negated=negated)
        raise self._unexpected("one of = != < <= > >= like ilike in is")

    def _key(self) -> tuple[str, str, Callable[[RunRecord], Any]]:
        token = self._now
        if token.kind != "word":
            raise self._unexpected("a key such as metrics.ic, tags.desk or status")
        head, dot, name = token.text.partition(".")
        kind = _KINDS.get(head.lower())
        if not dot:
            if kind is not None and kind != "attributes":
                raise _error(token.column, f"{token.text} what?", f"{head}.NAME, such as metrics.ic")
            self._take()
            return self._attribute(token, head)
        if kind is None:
            known = ", ".join(sorted(set(_KINDS.values())))
            hint = nearest(head, _KINDS) or f"begin with one of {known}"
            raise _error(token.column, f"a run has no {head!r}", hint)
        self._take()
        if not name:
            quoted = self._now
            if quoted.kind != "quoted" or quoted.column != token.column + len(token.text):
                raise self._unexpected(f"a name right behind {token.text!r}")
            name = self._take().text[1:-1]
        if kind == "attributes":
            return self._attribute(token, name)
        return kind, name, lambda record: _given(getattr(record, kind), name)

    def _attribute(self, token: _Token, name: str) -> tuple[str, str, Callable[[RunRecord], Any]]:
        attribute = _ATTRIBUTES.get(name.lower())
        if attribute is None:
            hint = nearest(name, _ATTRIBUTES) or f"known: {', '.join(sorted(set(_ATTRIBUTES.values())))}"
            raise _error(token.column, f"a run has no attribute {name!r}", hint)
        if attribute == "duration":
            return "attributes", attribute, _duration
        return "attributes", attribute, lambda record: getattr(record, attribute)

    def _value(self) -> Any:
        token = self._now
        if token.kind == "number":
            return float(self._take().text)
        if token.kind == "text":
            return _unescaped(self._take().text)
        if token.lower in ("true", "false"):
            return self._take().lower == "true"
        if token.kind in ("word", "quoted"):
            bare = token.text.strip("`\"'")
            raise _error(token.column, f"{token.text} is no value", f"a text stands in single quotes: '{bare}'")
        raise self._unexpected("a number or a 'text'")

    def _pattern(self) -> re.Pattern[str]:
        word = self._take().lower
        if self._now.kind != "text":
            raise self._unexpected(f"a 'text' behind {word}")
        parts = re.split(r"([%_])", _unescaped(self._take().text))
        regex = "".join({"%": ".*", "_": "."}.get(part, re.escape(part)) for part in parts)
        return re.compile(regex, re.DOTALL | (re.IGNORECASE if word == "ilike" else re.NOFLAG))

    def _list(self) -> list[Any]:
        self._need("(")
        values = [self._value()]
        while self._accept(","):
            values.append(self._value())
        self._need(")")
        return values

    @property
    def _now(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._now
        self._at += 1
        return token

    def _accept(self, text: str) -> bool:
        if self._now.kind in ("word", "sign") and self._now.lower == text:
            self._at += 1
            return True
        return False

    def _need(self, text: str) -> None:
        if not self._accept(text):
            raise self._unexpected(f"{text!r}")

    def _unexpected(self, wanted: str) -> BadInput:
        found = self._now.text if self._now.kind == _END else repr(self._now.text)
        return _error(self._now.column, f"expected {wanted}, found {found}", _EXAMPLE)


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            if text[at] in "'\"`":
                raise _error(at + 1, f"the text that begins here has no closing {text[at]}", f"add {text[at]}")
            raise _error(at + 1, f"{text[at : at + 12]!r} cannot be understood", _EXAMPLE)
        if match.lastgroup != "blank":
            found.append(_Token(str(match.lastgroup), match.group(), at + 1))
        at = match.end()
    return [*found, _Token(_END, _END, len(text) + 1)]


def _error(column: int, what: str, hint: str) -> BadInput:
    return BadInput(f"filter, column {column}: {what}", hint=hint)


def _given(values: Mapping[str, Any], name: str) -> Any:
    """Return the value under `name`; where there is none, dots lead into nested values."""
    found: Any = values.get(name)
    if found is None and "." in name:
        head, _, rest = name.partition(".")
        inner = values.get(head)
        return _given(inner, rest) if isinstance(inner, Mapping) else None
    return found


def _duration(record: RunRecord) -> float:
    end = datetime.fromisoformat(record.ended) if record.ended else datetime.now(UTC)
    return (end - datetime.fromisoformat(record.started)).total_seconds()


def _fits(compare: Callable[[Any, Any], bool], found: Any, value: Any) -> bool:
    if found is None:
        return False
    if isinstance(value, str) and not isinstance(found, str):
        # In MLflow every parameter is a text, and people write params.window = '20'.
        return compare in (operator.eq, operator.ne) and compare(str(found), value)
    if isinstance(found, str) is not isinstance(value, str) or isinstance(found, bool) is not isinstance(value, bool):
        return compare is operator.ne
    try:
        return bool(compare(found, value))
    except TypeError:  # a list is neither less nor more than a number
        return False


def _matches(pattern: re.Pattern[str], found: Any, *, negated: bool) -> bool:
    return found is not None and (pattern.fullmatch(str(found)) is None) is negated


def _is_one_of(values: list[Any], found: Any, *, negated: bool) -> bool:
    return found is not None and any(_fits(operator.eq, found, value) for value in values) is not negated


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])
