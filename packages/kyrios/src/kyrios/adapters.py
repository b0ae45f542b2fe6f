"""The adapters of this process, each looked for once: to read every installed distribution takes longer than a unit."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from kyrios._house.backends import BackendURL, load_backend


def open_once_found(port: str, url: str) -> Any:
    """Open the adapter of `port` that `url` names; errors as in `open_backend`."""
    address = BackendURL.parse(url)
    return adapter(port, address.scheme)(address)


@cache
def adapter(port: str, scheme: str) -> Callable[[BackendURL], Any]:
    """Return the adapter of `port` for `scheme`."""
    return load_backend(port, scheme)
