"""Every error of jiyuan; the base and the kinds that decide exit codes are drawn in ``_house/errors.py``."""

from jiyuan._house.errors import (
    BackendUnavailable,
    BadInput,
    ConfigError,
    Conflict,
    MissingExtra,
    NotAllowed,
    NotFound,
    UnknownBackend,
)
from jiyuan._house.errors import LibraryError as JiyuanError

__all__ = [
    "BackendUnavailable",
    "BadInput",
    "ConfigError",
    "Conflict",
    "JiyuanError",
    "MissingExtra",
    "NotAllowed",
    "NotFound",
    "UnknownBackend",
]
