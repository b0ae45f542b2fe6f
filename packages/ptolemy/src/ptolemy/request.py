"""Read what a caller asks for: codes, dates, limits; None, ``""`` and absent are the same, as in Tushare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from ptolemy.errors import BadParam, nearest

Codes = str | Sequence[str] | None
Day = str | date | None

PARAMETERS = ("ts_code", "trade_date", "start_date", "end_date", "limit", "offset", "as_of")


@dataclass(frozen=True)
class Request:
    """What was asked for, checked; None means that it was not."""

    codes: tuple[str, ...] | None = None
    start: str | None = None
    end: str | None = None
    limit: int | None = None
    offset: int = 0
    as_of: int | None = None


def read_request(parameters: Mapping[str, Any]) -> Request:
    """Return the request that `parameters` make; raise `BadParam` with the way out if they make none."""
    for name in parameters:
        if name not in PARAMETERS:
            hint = nearest(name, PARAMETERS) or f"known: {', '.join(PARAMETERS)}, fields"
            raise BadParam(f"no parameter is called {name!r}", hint=hint)
    day = read_day("trade_date", parameters.get("trade_date"))
    start, end = (read_day(name, parameters.get(name)) for name in ("start_date", "end_date"))
    if day and (start or end):
        raise BadParam("trade_date asks for one day, start_date and end_date for a range", hint="give one of the two")
    if start and end and start > end:
        raise BadParam(f"start_date {start} is after end_date {end}", hint="swap them")
    return Request(
        codes=read_codes(parameters.get("ts_code")),
        start=day or start,
        end=day or end,
        limit=read_count("limit", parameters.get("limit")),
        offset=read_count("offset", parameters.get("offset")) or 0,
        as_of=read_count("as_of", parameters.get("as_of")),
    )


def read_codes(value: Codes) -> tuple[str, ...] | None:
    """Return the codes of a comma list or a sequence, in upper case as Tushare does; None if there is none."""
    if value is None or (isinstance(value, str) and not value):
        return None
    # Anything that gives texts will do, a column of a DataFrame too; a mapping's keys were not meant.
    usable = isinstance(value, Iterable) and not isinstance(value, Mapping | bytes)
    words: list[Any] = value.split(",") if isinstance(value, str) else list(value) if usable else [None]
    if not all(isinstance(word, str) and word.isprintable() for word in words):
        raise BadParam(
            f"ts_code must be a text or a list of texts, not {str(value)[:100]!r}", hint="ts_code='AAPL.US,IBM.US'"
        )
    codes = tuple(dict.fromkeys(word.strip().upper() for word in words if word.strip()))
    if not codes:
        raise BadParam("ts_code names no security", hint="leave it out to ask for all, or name one")
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
