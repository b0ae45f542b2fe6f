"""Parameters: typed, versioned, and live in every pooled object at its next lease.

>>> import exia.params
>>> exia.params.define("momentum", {"type": "object", "properties": {"window": {"type": "integer", "minimum": 1}}})
... # doctest: +SKIP
>>> exia.params.set("momentum", {"window": 20}, why="slower")  # doctest: +SKIP

The functions here use the configured store; `open_params` gives the same verbs on another.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exia._house.config import home, load_config
from exia.params.live import Live, Rejected, Snapshot, TakesParams, follow
from exia.params.port import Head, ParamStore
from exia.params.schema import Schema
from exia.params.store import Params, open_params
from exia.params.version import Change, ParamsVersion
from exia.settings import SETTINGS

__all__ = [
    "Change",
    "Head",
    "Live",
    "ParamStore",
    "Params",
    "ParamsVersion",
    "Rejected",
    "Schema",
    "Snapshot",
    "TakesParams",
    "define",
    "diff",
    "follow",
    "get",
    "history",
    "names",
    "open_params",
    "rollback",
    "set",
]


def define(name: str, schema: Any, values: Mapping[str, Any] | None = None, *, why: str = "") -> ParamsVersion:
    """Say what the parameters of `name` may be; see `Params.define`."""
    return _configured().define(name, schema, values, why=why)


def set(name: str, values: Mapping[str, Any], *, why: str = "", expect: int | None = None) -> ParamsVersion:
    """Set several parameters of `name`, all or none; see `Params.set`."""
    return _configured().set(name, values, why=why, expect=expect)


def get(name: str, version: int | None = None) -> ParamsVersion:
    """Return the version in force, or the one of this number; see `Params.get`."""
    return _configured().get(name, version)


def history(name: str, limit: int | None = None) -> list[ParamsVersion]:
    """Return the versions of `name`, newest first."""
    return _configured().history(name, limit)


def diff(name: str, one: int | None = None, other: int | None = None) -> list[Change]:
    """Return the keys in which two versions differ; see `Params.diff`."""
    return _configured().diff(name, one, other)


def rollback(name: str, version: int | None = None, *, why: str = "") -> ParamsVersion:
    """Put an old version in force again, as a new version; see `Params.rollback`."""
    return _configured().rollback(name, version, why=why)


def names() -> list[str]:
    """Return the names that are defined, sorted."""
    return _configured().names()


_open: dict[tuple[Any, ...], Params] = {}
_lock = threading.Lock()


def _configured() -> Params:
    """Return the store that the configuration names, opened once per process: to find its adapter takes 10 ms."""
    # What a relative path means, and what a fork must not share, belong to the question.
    key = (load_config(SETTINGS).text("params"), home(), Path.cwd(), os.getpid())
    with _lock:
        if key not in _open:
            opened = open_params()
            for (*_, owner), params in _open.items():
                if owner == os.getpid():
                    params.close()
            _open.clear()
            _open[key] = opened
        return _open[key]
