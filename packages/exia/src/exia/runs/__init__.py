"""Where the records of runs are kept; opened by URL."""

from __future__ import annotations

from typing import cast

from exia._house.backends import open_backend
from exia._house.config import load_config
from exia.runs.port import STATUSES, Point, RunRecord, RunStore, Status
from exia.settings import SETTINGS

__all__ = ["STATUSES", "Point", "RunRecord", "RunStore", "Status", "open_runs"]


def open_runs(url: str | None = None) -> RunStore:
    """Open the store of runs at `url`, or the configured one: ``EXIA_RUNS``, ``jiyuan.toml``, ``sqlite://``.

    Raises
    ------
    UnknownBackend
        If no store has this URL scheme.
    MissingExtra
        If its driver is not installed.
    BackendUnavailable
        If it does not answer.
    """
    return cast(RunStore, open_backend("runs", load_config(SETTINGS, {"runs": url}).text("runs")))
