"""ptolemy: a Tushare-style data service that you own.

>>> import ptolemy as pt
>>> pt.collect("csv:bars.csv", "daily")  # doctest: +SKIP
>>> pt.api().daily(ts_code="000001.SZ", start_date="20240101")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ptolemy.errors import (
    BadData,
    BadInput,
    BadParam,
    BadToken,
    NoPermission,
    NotFound,
    NothingCollected,
    PtolemyError,
    RateLimited,
    SeriesLocked,
    UnknownColumn,
    UnknownInterface,
)

if TYPE_CHECKING:
    from ptolemy.client import Api, api, pro_api, pro_bar, set_token, versions
    from ptolemy.client_async import AsyncApi, async_api
    from ptolemy.collection import Collected, backfill, collect
    from ptolemy.pushing import push
    from ptolemy.series import Version, open_series

__all__ = [
    "Api",
    "AsyncApi",
    "BadData",
    "BadInput",
    "BadParam",
    "BadToken",
    "Collected",
    "NoPermission",
    "NotFound",
    "NothingCollected",
    "PtolemyError",
    "RateLimited",
    "SeriesLocked",
    "UnknownColumn",
    "UnknownInterface",
    "Version",
    "api",
    "async_api",
    "backfill",
    "collect",
    "open_series",
    "pro_api",
    "pro_bar",
    "push",
    "set_token",
    "versions",
]

# pandas and pyarrow take a second to import: a command that shows its help must not wait for them.
_HOMES = {
    "Api": "client",
    "AsyncApi": "client_async",
    "Collected": "collection",
    "Version": "series",
    "api": "client",
    "async_api": "client_async",
    "backfill": "collection",
    "collect": "collection",
    "open_series": "series",
    "pro_api": "client",
    "pro_bar": "client",
    "push": "pushing",
    "set_token": "client",
    "versions": "client",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ptolemy' has no attribute {name!r}")
    value = getattr(import_module(f"ptolemy.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
