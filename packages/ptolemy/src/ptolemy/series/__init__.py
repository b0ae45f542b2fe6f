"""Where rows are kept, opened by URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptolemy._house.backends import open_backend
from ptolemy._house.config import load_config
from ptolemy.series.port import Series, Stats, Version
from ptolemy.settings import SETTINGS

if TYPE_CHECKING:
    from ptolemy._house.backends import BackendURL

__all__ = ["Series", "Stats", "Version", "open_series"]


def open_series(url: str | BackendURL | None = None) -> Series:
    """Open a series store; use it in a ``with`` block or call its ``close()``.

    Parameters
    ----------
    url
        Such as ``arrow://`` (the home folder's ``series``) or ``arrow:///srv/series``; None takes
        the setting ``series``.

    Raises
    ------
    UnknownBackend
        If no adapter has this scheme.
    """
    series: Series = open_backend("series", url or load_config(SETTINGS).text("series"))
    return series
