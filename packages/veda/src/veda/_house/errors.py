"""The base of a library's errors, and the kinds that decide its exit codes.

::

    LibraryError               1   (``VedaError`` in veda, ``ExiaError`` in exia, ...)
    ├── BadInput               2   also ValueError
    │   ├── ConfigError            a setting or its file cannot be used
    │   ├── UnknownBackend         no adapter has this URL scheme
    │   └── MissingExtra           the adapter's driver is not installed; also ImportError
    ├── NotFound               3   also LookupError
    ├── NotAllowed             4   also PermissionError
    ├── Conflict               5   also ValueError
    └── BackendUnavailable     6   also ConnectionError
"""

from __future__ import annotations

from collections.abc import Iterable

#: Import name of the library that this copy was laid into.
LIBRARY = __name__.partition(".")[0]
#: Its distribution; the plain names belong to strangers on PyPI.
DISTRIBUTION = LIBRARY if LIBRARY == "jiyuan" else f"jiyuan-{LIBRARY}"


class LibraryError(Exception):
    """Base of every error that this library raises on purpose.

    Parameters
    ----------
    message
        What happened and why, in one line.
    hint
        The next step, best a command.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


# Users meet the base under their library's name, in tracebacks too.
LibraryError.__name__ = LibraryError.__qualname__ = f"{LIBRARY.capitalize()}Error"
LibraryError.__module__ = f"{LIBRARY}.errors"


class BadInput(LibraryError, ValueError):
    """The caller gave something that cannot be used; nothing was changed."""

    exit_code = 2


class ConfigError(BadInput):
    """A configuration file or a setting in it cannot be used."""


class UnknownBackend(BadInput):
    """No adapter answers to this URL scheme."""


class MissingExtra(BadInput, ImportError):
    """The adapter is known, but the driver that it needs is not installed."""


class NotFound(LibraryError, LookupError):
    """What was asked for does not exist."""

    exit_code = 3


class NotAllowed(LibraryError, PermissionError):
    """The caller may not do this."""

    exit_code = 4


class Conflict(LibraryError, ValueError):
    """It exists already, or somebody else changed it first."""

    exit_code = 5


class BackendUnavailable(LibraryError, ConnectionError):
    """A backend did not answer, or not in time."""

    exit_code = 6


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the hint ``did you mean '...'?`` for a mistyped `word`, or None if nothing is near."""
    from difflib import get_close_matches  # 5 ms to import, and only mistakes need it

    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else None
