"""Where rows come from, opened by URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptolemy._house.backends import open_backend
from ptolemy.sources.port import Batch, Fault, Source, Wanted

if TYPE_CHECKING:
    from ptolemy._house.backends import BackendURL

__all__ = ["Batch", "Fault", "Source", "Wanted", "open_source"]


def open_source(url: str | BackendURL) -> Source:
    """Open a source; use it in a ``with`` block or call its ``close()``.

    Parameters
    ----------
    url
        Such as ``csv:bars.csv``, ``csv:///srv/bars.csv.gz?mapping=/srv/bars.toml`` or
        ``parquet:bars.parquet``, ``tushare://api.tushare.pro``, ``https://host/bars.csv?mapping=bars.toml`` or
        ``python:package.module:function``.

    Raises
    ------
    UnknownBackend
        If no adapter has this scheme.
    """
    source: Source = open_backend("sources", url)
    return source
