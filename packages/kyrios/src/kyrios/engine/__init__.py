"""What runs flows, opened by URL."""

from __future__ import annotations

from typing import cast

from kyrios._house.backends import open_backend
from kyrios._house.config import load_config
from kyrios.engine.port import Engine, Job, Runner, Target
from kyrios.settings import SETTINGS

__all__ = ["Engine", "Job", "Runner", "Target", "open_engine"]


def open_engine(url: str | None = None) -> Engine:
    """Open an engine.

    Parameters
    ----------
    url
        Such as ``"local"``, ``"local:?workers=4"`` or ``"airflow"``; None is the setting ``engine``.
    """
    return cast(Engine, open_backend("engine", load_config(SETTINGS, {"engine": url}).text("engine")))
