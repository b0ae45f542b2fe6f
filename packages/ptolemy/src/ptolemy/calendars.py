"""Trading calendars: sessions of an exchange, computed by exchange_calendars and never collected."""

from __future__ import annotations

import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from ptolemy.catalogue import interface
from ptolemy.errors import BadParam, nearest

if TYPE_CHECKING:
    from ptolemy.catalogue import Interface

#: Tushare's names of exchanges, and whose calendar they keep.
EXCHANGES = {
    "SSE": "XSHG", "SZSE": "XSHG", "BSE": "XSHG", "CFFEX": "XSHG", "SHFE": "XSHG", "CZCE": "XSHG", "DCE": "XSHG",
    "INE": "XSHG", "GFEX": "XSHG", "HKEX": "XHKG", "NYSE": "XNYS", "NASDAQ": "XNYS",
}  # fmt: skip
#: What the suffix of a code says of its calendar.
_SUFFIXES = {"US": "XNYS", "HK": "XHKG", "N": "XNYS", "O": "XNYS"}
_EARLIEST = "1990-12-19"  #: the first day of the exchange in Shanghai


def calendar_of(code: str, interface: Interface) -> str:
    """Return the calendar that a security keeps: that of its suffix, else the interface's."""
    return _SUFFIXES.get(code.rpartition(".")[2], interface.calendar) if "." in code else interface.calendar


def sessions(calendar: str, start: str | None = None, end: str | None = None) -> list[str]:
    """Return the trading days of `calendar` from `start` to `end`, both included, as ``YYYYMMDD``.

    Raises
    ------
    BadParam
        If exchange_calendars has no such calendar.
    """
    days, _, _ = _days(calendar)
    first = 0 if start is None else bisect_left(days, start)
    return list(days[first : len(days) if end is None else bisect_right(days, end)])


def finished(calendar: str, update: str, now: datetime | None = None) -> str | None:
    """Return the newest session whose rows are there at `now` (by default the present), or None.

    Parameters
    ----------
    update
        Time of day in the calendar's zone from which they are (``HH:MM``).
    """
    _, _, zone = _days(calendar)
    here = (now or datetime.now(UTC)).astimezone(zone)
    today = here.strftime("%Y%m%d")
    days = sessions(calendar, end=today)
    if days and days[-1] == today and here.strftime("%H:%M") < update:
        days.pop()
    return days[-1] if days else None


def local_time(calendar: str) -> datetime:
    """Return the present in the calendar's zone, without the zone: what the times of its rows are written in."""
    _, _, zone = _days(calendar)
    return datetime.now(zone).replace(tzinfo=None)


def due(calendar: str, update: str, after: datetime) -> datetime | None:
    """Return when the rows of the first session after `after` are there: UTC; None behind the calendar's end."""
    _, _, zone = _days(calendar)
    here = after.astimezone(zone)
    for day in sessions(calendar, start=here.strftime("%Y%m%d"))[:2]:
        at = datetime.strptime(f"{day} {update}", "%Y%m%d %H:%M").replace(tzinfo=zone)
        if at > after:
            return at.astimezone(UTC)
    return None


def last_of(days: Sequence[str], on: str) -> list[str]:
    """Return the last of `days` in each ``week`` or ``month``; all of them for ``day``."""
    if on == "day":
        return list(days)

    def period(day: str) -> str:
        return day[:6] if on == "month" else datetime.strptime(day, "%Y%m%d").strftime("%G%V")

    return [
        day for day, after in zip(days, [*days[1:], None], strict=True) if not after or period(day) != period(after)
    ]


def trade_cal(exchanges: Sequence[str] | None, start: str | None, end: str | None, columns: Sequence[str]) -> pa.Table:
    """Return every day of `exchanges` (by default SSE), ascending: whether it is a trading day, and the one before."""
    parts = []
    for exchange in exchanges or ("SSE",):
        days, limits, _ = _days(_named(exchange))
        first = max(start or limits[0], limits[0])
        last = min(end or limits[1], limits[1])
        if first > last:
            continue
        begin, stop = (np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}") for d in (first, last))
        every = np.arange(begin, stop + 1).astype(str)
        texts = [text.replace("-", "") for text in every.tolist()]
        known = np.array(days)
        at = np.searchsorted(known, np.array(texts))
        is_open = np.zeros(len(texts), np.int64)
        inside = at < len(known)
        is_open[inside] = known[at[inside]] == np.array(texts)[inside]
        before: list[str | None] = [days[i - 1] if i else None for i in at.tolist()]
        parts.append(
            pa.table(
                {
                    "exchange": pa.array([exchange] * len(texts), pa.string()),
                    "cal_date": pa.array(texts, pa.string()),
                    "is_open": pa.array(is_open), "pretrade_date": pa.array(before, pa.string()),
                }
            )
        )  # fmt: skip
    schema = interface("trade_cal").schema()
    return (pa.concat_tables(parts) if parts else schema.empty_table()).select(list(columns)).combine_chunks()


def _named(exchange: str) -> str:
    import exchange_calendars

    name = EXCHANGES.get(exchange, exchange)
    known = [*EXCHANGES, *exchange_calendars.get_calendar_names(include_aliases=False)]
    if name not in known:
        raise BadParam(f"there is no calendar of {exchange!r}", hint=nearest(exchange, known) or ", ".join(EXCHANGES))
    return name


@lru_cache(32)
def _made(calendar: str, today: str) -> tuple[tuple[str, ...], tuple[str, str], ZoneInfo]:
    import exchange_calendars

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it calls what pandas 3 is going to change
            try:
                made: Any = exchange_calendars.get_calendar(calendar, start=_EARLIEST)
            except ValueError:  # its rules are not known that far back
                made = exchange_calendars.get_calendar(calendar)
    except exchange_calendars.errors.InvalidCalendarName:
        raise BadParam(f"exchange_calendars has no calendar {calendar!r}", hint="XSHG, XHKG or XNYS") from None
    days = tuple(made.sessions.strftime("%Y%m%d").tolist())
    limits = (max(days[0], _EARLIEST.replace("-", "")), days[-1])
    return days, limits, ZoneInfo(str(made.tz))


def _days(calendar: str) -> tuple[tuple[str, ...], tuple[str, str], ZoneInfo]:
    # A calendar ends a year from the day on which it was made.
    return _made(calendar, (datetime.now(UTC) - timedelta(hours=12)).strftime("%Y%m%d"))
