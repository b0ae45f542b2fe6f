"""Spans of time as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from exia.errors import BadInput

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def moment(text: str) -> datetime:
    """Return the moment that `text` names: ``15m`` (ago), ``2d``, or ISO 8601, in UTC unless it says otherwise.

    Raises
    ------
    BadInput
        If it names none.
    """
    if ago := _AGO.fullmatch(text.strip()):
        try:
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: float(ago[1])})
        except OverflowError:
            raise BadInput(f"{text!r} is too long ago", hint="write 15m, 2h, 7d or 2026-01-31T09:30") from None
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadInput(f"{text!r} is no time", hint="write 15m, 2h, 7d or 2026-01-31T09:30") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
