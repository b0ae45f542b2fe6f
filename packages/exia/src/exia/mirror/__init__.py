"""Where runs are copied to as well; opened by URL."""

from __future__ import annotations

from typing import cast

from exia._house.backends import open_backend
from exia.mirror.port import Mirror

__all__ = ["Mirror", "open_mirror"]


def open_mirror(url: str) -> Mirror:
    """Open the mirror at `url`, such as ``mlflow://127.0.0.1:5000/research``.

    Raises
    ------
    UnknownBackend
        If no mirror has this URL scheme.
    BackendUnavailable
        If it does not answer.
    """
    return cast(Mirror, open_backend("mirror", url))
