"""Where the record of runs lies, opened by URL."""

from __future__ import annotations

from typing import cast

from kyrios._house.config import load_config
from kyrios.adapters import open_once_found
from kyrios.history.port import Head, History
from kyrios.settings import SETTINGS

__all__ = ["Head", "History", "open_history"]


def open_history(url: str | None = None) -> History:
    """Open the record of runs.

    Parameters
    ----------
    url
        Such as ``"sqlite:///srv/history.db"``; None is the setting ``history``.
    """
    return cast(History, open_once_found("history", load_config(SETTINGS, {"history": url}).text("history")))
