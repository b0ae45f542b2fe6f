"""Who may name this service: a browser must not be led to it by another site's page."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit


@lru_cache(256)  # few callers name a service in more than one way
def is_own_host(header: str, names: frozenset[str]) -> bool:
    """Tell whether a ``Host`` header names this service: an address, or one of `names` in lower case.

    A page of another site can make a browser call a service on loopback only under a name of its own.
    """
    try:
        host = urlsplit(f"//{header}").hostname or ""
        return host in names or bool(ip_address(host))
    except ValueError:
        return False


def is_own_origin(origin: str | None, host: str) -> bool:
    """Tell whether a call comes from no page, or from a page of the service that it asks."""
    return origin is None or origin.partition("://")[2] == host
