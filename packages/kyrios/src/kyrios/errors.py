"""Every error of kyrios; the base and the kinds that decide exit codes are drawn in ``_house/errors.py``."""

from kyrios._house.errors import (
    BackendUnavailable,
    BadInput,
    ConfigError,
    Conflict,
    MissingExtra,
    NotAllowed,
    NotFound,
    UnknownBackend,
)
from kyrios._house.errors import LibraryError as KyriosError

__all__ = [
    "BackendUnavailable",
    "BadInput",
    "ConfigError",
    "Conflict",
    "KyriosError",
    "MissingExtra",
    "NotAllowed",
    "NotFound",
    "UnknownBackend",
]
