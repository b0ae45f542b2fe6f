"""Where the tables of runs lie, opened by URL."""

from __future__ import annotations

from typing import cast

from kyrios._house.config import load_config
from kyrios.adapters import open_once_found
from kyrios.data.port import Data
from kyrios.settings import SETTINGS

__all__ = ["Data", "open_data"]


def open_data(url: str | None = None) -> Data:
    """Open where tables lie.

    Parameters
    ----------
    url
        Such as ``"file:///srv/kyrios"`` or ``"memory://"``; None is the setting ``data``.
    """
    return cast(Data, open_once_found("data", load_config(SETTINGS, {"data": url}).text("data")))
