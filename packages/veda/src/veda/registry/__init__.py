"""Registries of releases, opened by URL."""

from __future__ import annotations

from pathlib import Path

from veda._house.backends import open_backend
from veda.registry.port import Event, Query, Registry, Release
from veda.settings import registry_url

__all__ = ["Event", "Query", "Registry", "Release", "open_registry"]


def open_registry(url: str | None = None, *, home: Path | str | None = None) -> Registry:
    """Open the registry at `url`, by default the configured one; ``sqlite://`` is a file in `home`."""
    registry: Registry = open_backend("registry", registry_url(url, home))
    return registry
