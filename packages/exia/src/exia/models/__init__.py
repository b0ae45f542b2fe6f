"""Models: saved once, signed, never changed, found by version or alias.

>>> import exia.models
>>> exia.models.save("momentum", {"weights": [0.2, 0.8]}, alias="champion").ref  # doctest: +SKIP
'momentum@1'
>>> exia.models.load("momentum@champion")  # doctest: +SKIP
{'weights': [0.2, 0.8]}

The functions here use the configured stores; `open_models` gives the same verbs on others.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exia._house.config import home, load_config
from exia.models.info import Difference, ModelInfo, Unused
from exia.models.keys import Keys
from exia.models.store import Models, open_models
from exia.objects import AliasMove, Packed
from exia.settings import SETTINGS

__all__ = [
    "AliasMove",
    "Difference",
    "Keys",
    "ModelInfo",
    "Models",
    "Packed",
    "Unused",
    "alias",
    "close",
    "diff",
    "export",
    "gc",
    "history",
    "import_",
    "info",
    "load",
    "names",
    "open_models",
    "pack",
    "remove",
    "rollback",
    "save",
    "versions",
]


def save(
    name: str,
    model: Any,
    *,
    format: str | None = None,
    tags: Mapping[str, str] | None = None,
    schema: Mapping[str, Any] | None = None,
    alias: str | None = None,
    why: str = "",
) -> ModelInfo:
    """Save `model` as the next version of `name`; see `Models.save`."""
    return _configured().save(name, model, format=format, tags=tags, schema=schema, alias=alias, why=why)


def load(ref: str) -> Any:
    """Return the model that `ref` names; see `Models.load`."""
    return _configured().load(ref)


def info(ref: str) -> ModelInfo:
    """Return what is known of the model that `ref` names; see `Models.info`."""
    return _configured().info(ref)


def names() -> list[str]:
    """Return the names of all models, sorted."""
    return _configured().names()


def versions(name: str) -> list[ModelInfo]:
    """Return the versions of a model, oldest first; see `Models.versions`."""
    return _configured().versions(name)


def alias(name: str, alias: str, version: int | str | None, *, why: str = "") -> AliasMove:
    """Let an alias name another version; see `Models.alias`."""
    return _configured().alias(name, alias, version, why=why)


def rollback(name: str, alias: str = "champion", *, why: str = "rollback") -> AliasMove:
    """Let an alias name the version that it named before; see `Models.rollback`."""
    return _configured().rollback(name, alias, why=why)


def history(name: str, alias: str | None = None) -> list[AliasMove]:
    """Return every move of the aliases of a model, newest first."""
    return _configured().history(name, alias)


def diff(one: str, other: str) -> list[Difference]:
    """Return what differs between two models; see `Models.diff`."""
    return _configured().diff(one, other)


def export(ref: str, path: Path | str) -> ModelInfo:
    """Write a model with its signature to one file; see `Models.export`."""
    return _configured().export(ref, path)


def import_(path: Path | str) -> ModelInfo:
    """Take a model from a file that `export` wrote; see `Models.import_`."""
    return _configured().import_(path)


def remove(ref: str) -> ModelInfo:
    """Remove one version; see `Models.remove`."""
    return _configured().remove(ref)


def gc(*, dry_run: bool = True, grace: float = 3600.0) -> Unused:
    """Delete the bytes that no version refers to; see `Models.gc`."""
    return _configured().gc(dry_run=dry_run, grace=grace)


def pack() -> Packed:
    """Give the catalogue's unused space back to the disk; see `Models.pack`."""
    return _configured().pack()


def close() -> None:
    """Let go of the configured stores; the next use opens them again."""
    with _lock:
        _close()


_open: dict[tuple[Any, ...], Models] = {}
_lock = threading.Lock()


def _configured() -> Models:
    """Return the stores that the configuration names, opened once per process."""
    config = load_config(SETTINGS)
    keys = Keys.configured()
    # What a relative path means, and what a fork must not share, belong to the question.
    key = (config.text("objects"), config.text("blobs"), home(), Path.cwd(), keys, os.getpid())
    with _lock:
        if key not in _open:
            opened = open_models()
            _close()
            _open[key] = opened
        return _open[key]


atexit.register(close)


def _close() -> None:
    # A thread that is in the midst of a read opens what it needs again.
    while _open:
        key, models = _open.popitem()
        if key[-1] == os.getpid():
            models.close()
