"""Every error of veda; the base and the kinds that decide exit codes are drawn in ``_house/errors.py``."""

from veda._house.errors import (
    BackendUnavailable,
    BadInput,
    ConfigError,
    Conflict,
    MissingExtra,
    NotAllowed,
    NotFound,
    UnknownBackend,
)
from veda._house.errors import LibraryError as VedaError

__all__ = [
    "BackendUnavailable",
    "BadInput",
    "ConfigError",
    "Conflict",
    "MissingExtra",
    "NotAllowed",
    "NotFound",
    "UnknownBackend",
    "VedaError",
]
