"""Every error of veda; the base and the kinds that decide exit codes are drawn in ``_house/errors.py``.

::

    VedaError                  1
    ├── ArchiveRefused             a .vedapkg breaks a rule of the format; also ValueError
    ├── Damaged                    stored bytes are not what their digest says
    ├── BadInput               2
    │   └── MissingRequirement     a package needs a distribution that is not installed; also ImportError
    ├── NotAllowed             4
    │   └── Untrusted              nobody whom you trust has signed it
    └── Conflict               5
        ├── ReleaseExists          the name and version belong to other content
        └── Unsatisfiable          no set of versions fits all that is asked for
"""

from __future__ import annotations

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
    "ArchiveRefused",
    "BackendUnavailable",
    "BadInput",
    "ConfigError",
    "Conflict",
    "Damaged",
    "MissingExtra",
    "MissingRequirement",
    "NotAllowed",
    "NotFound",
    "ReleaseExists",
    "UnknownBackend",
    "Unsatisfiable",
    "Untrusted",
    "VedaError",
]


class ArchiveRefused(VedaError, ValueError):
    """An archive or manifest breaks a rule of the format; nothing of it was written.

    Parameters
    ----------
    reason
        The rule, one stable word such as ``"path-escapes"``.
    detail
        What was found, in one line.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"refused ({reason}): {detail}", hint="do not use it; get it again from whoever made it")
        self.reason = reason


class Damaged(VedaError):
    """Stored bytes are not what their digest says."""


class MissingRequirement(BadInput, ImportError):
    """A package needs a Python distribution that is not installed here."""


class ReleaseExists(Conflict):
    """The name and version belong to other content; releases never change."""

    def __init__(self, name: str, version: str, digest: str) -> None:
        super().__init__(
            f"{name}@{version} exists already with other content ({digest[:19]}...); releases never change",
            hint="raise the version in veda.toml and pack again",
        )
        self.name, self.version, self.digest = name, version, digest


class Untrusted(NotAllowed):
    """Nobody whom you trust has signed it, or what was signed is not what came."""


class Unsatisfiable(Conflict):
    """No set of versions fits all that is asked for; the message names both paths of the clash."""
