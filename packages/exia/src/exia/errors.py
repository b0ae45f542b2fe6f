"""Every error of exia; the base and the kinds that decide exit codes are drawn in ``_house/errors.py``."""

from exia._house.errors import (
    BackendUnavailable,
    BadInput,
    ConfigError,
    Conflict,
    MissingExtra,
    NotAllowed,
    NotFound,
    UnknownBackend,
)
from exia._house.errors import LibraryError as ExiaError

__all__ = [
    "BackendUnavailable",
    "BadInput",
    "ConfigError",
    "Conflict",
    "ExiaError",
    "MissingExtra",
    "NotAllowed",
    "NotFound",
    "UnknownBackend",
]
