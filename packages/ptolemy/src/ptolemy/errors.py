"""Every error of ptolemy; the base and the kinds that decide exit codes are drawn in ``_house/errors.py``."""

from ptolemy._house.errors import (
    BackendUnavailable,
    BadInput,
    ConfigError,
    Conflict,
    MissingExtra,
    NotAllowed,
    NotFound,
    UnknownBackend,
)
from ptolemy._house.errors import LibraryError as PtolemyError

__all__ = [
    "BackendUnavailable",
    "BadInput",
    "ConfigError",
    "Conflict",
    "MissingExtra",
    "NotAllowed",
    "NotFound",
    "PtolemyError",
    "UnknownBackend",
]
