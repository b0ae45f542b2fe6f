"""Read what a caller asks for: codes, dates, limits; None, ``""`` and absent are the same, as in Tushare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from ptolemy.catalogue import Interface
from ptolemy.errors import BadParam, nearest

Codes = str | Sequence[str] | None
Day = str | date | None


@dataclass(frozen=True)
class Request:
    """What was asked for, checked; None means that it was not.

    ``filters`` are columns with the values that they may have, and whether a row without a value passes.
    """

    codes: tuple[str, ...] | None = None
    start: str | None = None
    end: str | None = None
    filters: tuple[tuple[str, tuple[str, ...], bool], ...] = ()
    limit: int | None = None
    offset: int = 0
    as_of: int | None = None


def read_request(known: Interface, parameters: Mapping[str, Any]) -> Request:
    """Return the request that `parameters` make; raise `BadParam` with the way out if they make none."""
    words = known.parameters
    found: dict[str, Any] = {}
    day = None
    filters = []
    for name, value in parameters.items():
        parameter = words.get(name)
        if parameter is None:
            hint = nearest(name, words) or f"known: {', '.join(words)}, fields"
            raise BadParam(f"{known.name} has no parameter {name!r}", hint=hint)
        if value is None or (isinstance(value, str) and not value):
            continue
        kind = parameter.kind
        if kind == "count":
            found[name] = read_count(name, value)
        elif kind == "codes":
            found["codes"] = read_codes(value, name)
        elif kind == "filter":
            filters.append((parameter.column, _values(name, value), False))
        elif kind == "day":
            day = read_day(name, value)
        else:
            found[kind] = (_moment if _is_moment(known) else read_day)(name, value)
    for parameter in known.filters:
        if parameter.default and parameters.get(parameter.name) in (None, ""):
            filters.append((parameter.column, (parameter.default,), True))
    if day is not None:
        if "start" in found or "end" in found:
            raise BadParam(f"{known.key[-1]} asks for one day, start_date and end_date for a range",
                           hint="give one of the two")  # fmt: skip
        found["start"] = found["end"] = day
    start, end = found.get("start"), found.get("end")
    if start is not None and end is not None and start > end + ("\uffff" if len(end) == 10 else ""):
        raise BadParam(f"start_date {start} is after end_date {end}", hint="swap them")
    if end is not None and len(end) == 10:  # a whole day of moments
        found["end"] = f"{end} 23:59:59.999999"
    return Request(filters=tuple(filters), **{"offset": 0, **{k: v for k, v in found.items() if v is not None}})


def _is_moment(known: Interface) -> bool:
    return known.time is not None and known.time.type == "time"


def _moment(name: str, value: Any) -> str:
    """Return a moment as ``YYYY-MM-DD HH:MM:SS``, or a day as ``YYYY-MM-DD``."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    text = str(value)
    try:
        if len(text) == 19 and datetime.strptime(text, "%Y-%m-%d %H:%M:%S"):
            return text
    except ValueError:
        pass
    day = read_day(name, value)
    assert day is not None
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"


def _values(name: str, value: Any) -> tuple[str, ...]:
    given = value.split(",") if isinstance(value, str) else value
    words: Any = [given] if isinstance(given, int) and not isinstance(given, bool) else given
    usable = isinstance(words, list | tuple) and all(
        isinstance(w, str | int) and not isinstance(w, bool) and str(w).isprintable() for w in words
    )
    if not usable or not words:
        raise BadParam(f"{name} must be a text or a list of texts, not {str(value)[:100]!r}")
    return tuple(dict.fromkeys(str(word).strip() for word in words))


@lru_cache(4096)  # the same few codes are asked for again and again
def _plain_code(value: str) -> tuple[str, ...]:
    code = value.strip().upper()
    return (code,) if value.isprintable() and "," not in code and code else ()


def read_codes(value: Codes, name: str = "ts_code") -> tuple[str, ...] | None:
    """Return the codes of a comma list or a sequence, in upper case as Tushare does; None if there is none."""
    if value is None or (isinstance(value, str) and not value):
        return None
    if isinstance(value, str) and (plain := _plain_code(value)):
        return plain
    # Anything that gives texts will do, a column of a DataFrame too; a mapping's keys were not meant.
    usable = isinstance(value, Iterable) and not isinstance(value, Mapping | bytes)
    words: list[Any] = value.split(",") if isinstance(value, str) else list(value) if usable else [None]
    if not all(isinstance(word, str) and word.isprintable() for word in words):
        raise BadParam(
            f"{name} must be a text or a list of texts, not {str(value)[:100]!r}", hint=f"{name}='AAPL.US,IBM.US'"
        )
    codes = tuple(dict.fromkeys(word.strip().upper() for word in words if word.strip()))
    if not codes:
        raise BadParam(f"{name} names no security", hint="leave it out to ask for all, or name one")
    return codes


def read_day(name: str, value: Day) -> str | None:
    """Return a day as ``YYYYMMDD``, also from ``YYYY-MM-DD``, with a time of day behind it, or from a `date`."""
    if value is None or value == "":
        return None
    if isinstance(value, date):  # a datetime is a date too
        return value.strftime("%Y%m%d")
    if (found := _day(str(value))) is None:
        raise BadParam(f"{name} {value!r} is not a date", hint="write it as YYYYMMDD, such as 20121231")
    return found


@lru_cache(4096)  # the same few days are asked for again and again, and strptime is slow
def _day(text: str) -> str | None:
    for form in ("%Y%m%d", "%Y-%m-%d", "%Y-%m-%d %H:%M:%S"):
        try:
            found = datetime.strptime(text, form)
        except ValueError:
            continue
        # strptime takes 2012131 for 2012-1-31, or 2012-13-1: whoever writes so meant another day.
        if found.strftime(form) == text:
            return found.strftime("%Y%m%d")
    return None


def read_count(name: str, value: Any) -> int | None:
    """Return a whole number from 0, also from its text; None if there is none."""
    if value is None or (isinstance(value, str) and not value):
        return None
    text = str(value)
    if isinstance(value, bool) or not text.isdecimal() or len(text) > 18:
        raise BadParam(f"{name} must be a whole number from 0, not {text[:40]!r}")
    return int(value)
