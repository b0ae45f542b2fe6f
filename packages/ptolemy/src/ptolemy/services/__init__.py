"""Keep the programs of a centre running, opened by URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptolemy._house.backends import open_backend
from ptolemy.services.definition import find_definition, read_components
from ptolemy.services.port import WORDS, Component, Fresh, LogPart, Ready, Services, State

if TYPE_CHECKING:
    from ptolemy._house.backends import BackendURL

__all__ = [
    "WORDS",
    "Component",
    "Fresh",
    "LogPart",
    "Ready",
    "Services",
    "State",
    "find_definition",
    "open_services",
    "read_components",
]


def open_services(url: str | BackendURL | None = None) -> Services:
    """Open what keeps components running; use it in a ``with`` block or call its ``close()``.

    Parameters
    ----------
    url
        Such as ``process:///srv/centre`` or ``supervisor:///srv/centre``; None takes the setting ``services``.

    Raises
    ------
    UnknownBackend
        If no adapter has this scheme.
    """
    if url is None:
        from ptolemy._house.config import load_config
        from ptolemy.settings import SETTINGS

        url = load_config(SETTINGS).text("services")
    services: Services = open_backend("services", url)
    return services
