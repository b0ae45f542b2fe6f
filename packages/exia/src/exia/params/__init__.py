"""Parameters: typed, versioned, and live in every pooled object at its next lease.

>>> import exia.params
>>> exia.params.define("momentum", {"type": "object", "properties": {"window": {"type": "integer", "minimum": 1}}})
... # doctest: +SKIP
>>> exia.params.set("momentum", {"window": 20}, why="slower")  # doctest: +SKIP

The functions here use the configured store; `open_params` gives the same verbs on another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exia.params.live import Live, Rejected, Snapshot, TakesParams, follow
from exia.params.port import Head, ParamStore
from exia.params.schema import Schema
from exia.params.store import Params, open_params
from exia.params.version import Change, ParamsVersion

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
    with open_params() as params:
        return params.define(name, schema, values, why=why)


def set(name: str, values: Mapping[str, Any], *, why: str = "", expect: int | None = None) -> ParamsVersion:
    """Set several parameters of `name`, all or none; see `Params.set`."""
    with open_params() as params:
        return params.set(name, values, why=why, expect=expect)


def get(name: str, version: int | None = None) -> ParamsVersion:
    """Return the version in force, or the one of this number; see `Params.get`."""
    with open_params() as params:
        return params.get(name, version)


def history(name: str, limit: int | None = None) -> list[ParamsVersion]:
    """Return the versions of `name`, newest first."""
    with open_params() as params:
        return params.history(name, limit)


def diff(name: str, one: int | None = None, other: int | None = None) -> list[Change]:
    """Return the keys in which two versions differ; see `Params.diff`."""
    with open_params() as params:
        return params.diff(name, one, other)


def rollback(name: str, version: int | None = None, *, why: str = "") -> ParamsVersion:
    """Put an old version in force again, as a new version; see `Params.rollback`."""
    with open_params() as params:
        return params.rollback(name, version, why=why)


def names() -> list[str]:
    """Return the names that are defined, sorted."""
    with open_params() as params:
        return params.names()
