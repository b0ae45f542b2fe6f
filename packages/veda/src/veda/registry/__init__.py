"""Registries of releases, opened by URL."""

from __future__ import annotations

from pathlib import Path

from veda._house.backends import open_backend
from veda.registry.port import Event, Query, Registry, Release
from veda.settings import registry_url

__all__ = ["Event", "Query", "Registry", "Release", "open_registry"]


def open_registry(url: str | None = None, *, home: Path | str | None = None) -> Registry:
    """Open the registry at `url`, by default the configured one; ``sqlite://`` is a file in `home`."""
    address = registry_url(url, home)
    if address.scheme == "sqlite":
        # Without a look at all that is installed, which takes as long as a search.
        from veda.registry.sqlite import SqliteRegistry

        return SqliteRegistry(address)
    registry: Registry = open_backend("registry", address)
    return registry
