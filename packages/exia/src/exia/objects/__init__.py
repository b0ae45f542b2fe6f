"""Where the catalogue of models is kept; opened by URL."""

from __future__ import annotations

from typing import cast

from exia._house.backends import open_backend
from exia._house.config import load_config
from exia.objects.port import AliasMove, Family, ModelVersion, ObjectStore, Packed
from exia.settings import SETTINGS

__all__ = ["AliasMove", "Family", "ModelVersion", "ObjectStore", "Packed", "open_objects"]


def open_objects(url: str | None = None) -> ObjectStore:
    """Open the catalogue at `url`, or as configured: ``EXIA_OBJECTS``, ``jiyuan.toml``, ``file://``.

    Raises
    ------
    UnknownBackend
        If no catalogue has this URL scheme.
    MissingExtra
        If its driver is not installed.
    BackendUnavailable
        If it does not answer.
    """
    return cast(ObjectStore, open_backend("objects", load_config(SETTINGS, {"objects": url}).text("objects")))
