"""How long rows are kept: the setting ``retention``, such as ``ticks=5m stk_mins=400d``."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from ptolemy._house.config import load_config
from ptolemy.calendars import local_time
from ptolemy.catalogue import Interface, interface
from ptolemy.errors import ConfigError
from ptolemy.settings import SETTINGS

_ENTRY = re.compile(r"([A-Za-z]\w*)=([1-9]\d{0,5})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def retention() -> dict[str, timedelta]:
    """Return what the setting says, by data set.

    Raises
    ------
    ConfigError
        If it cannot be read, or a data set has no time.
    UnknownInterface
        If there is no such data set.
    """
    config = load_config(SETTINGS)
    found = {}
    for entry in config.text("retention").split():
        fits = _ENTRY.fullmatch(entry)
        if fits is None:
            raise ConfigError(
                f"{config.origin('retention')}: retention cannot be {entry!r}",
                hint="ticks=5m stk_mins=400d; s, m, h or d",
            )
        name, count, unit = fits.groups()
        if interface(name).time is None or interface(name).computed:
            raise ConfigError(f"{config.origin('retention')}: rows of {name} have no age", hint=f"leave {name} out")
        found[name] = timedelta(**{_UNITS[unit]: int(count)})
    return found


def behind(known: Interface, newest: str, kept: timedelta, now: datetime | None = None) -> str:
    """Return the time before which rows are too old, in the form of the interface's.

    It is counted from the newest row, and from the present where that row claims to be later: one
    wrong time must not make all others old.

    Parameters
    ----------
    now
        The present in the exchange's zone, without it.
    """
    present = now or local_time(known.calendar)
    if known.time is not None and known.time.type == "date":
        return (min(datetime.strptime(newest, "%Y%m%d"), present) - kept).strftime("%Y%m%d")
    moment = min(datetime.fromisoformat(newest[:26]), present) - kept
    return moment.isoformat(sep=" ", timespec="microseconds")
