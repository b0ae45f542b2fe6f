"""Every error of ptolemy; the base and the kinds that decide exit codes are drawn in ``_house/errors.py``.

::

    PtolemyError               1
    ├── DamagedSeries          1   a file of the series store is not what was written
    ├── NotReady               1   a component cannot be started, or is not ready in time
    ├── BadInput               2
    │   ├── BadData                a row of a source breaks the catalogue's rules
    │   ├── BadParam               a parameter of a call cannot be used
    │   │   └── UnknownColumn      the interface has no such column
    │   └── UnknownInterface       the catalogue has no such interface; also AttributeError
    ├── NotFound               3
    │   ├── NothingCollected       the series store holds no row of this data set
    │   └── UnknownComponent       no component or group has this name
    ├── NotAllowed             4
    │   ├── BadToken               the service does not know this token
    │   ├── NoPermission           the token may not read this interface
    │   └── RateLimited            the token's calls of this minute are used up
    └── Conflict               5
        └── SeriesLocked           another writer has the series store
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ptolemy._house.errors import (
    BackendUnavailable,
    BadInput,
    ConfigError,
    Conflict,
    MissingExtra,
    NotAllowed,
    NotFound,
    UnknownBackend,
    nearest,
)
from ptolemy._house.errors import LibraryError as PtolemyError

if TYPE_CHECKING:
    from ptolemy.services.port import State

__all__ = [
    "BackendUnavailable",
    "BadData",
    "BadInput",
    "BadParam",
    "BadToken",
    "ConfigError",
    "Conflict",
    "DamagedSeries",
    "MissingExtra",
    "NoPermission",
    "NotAllowed",
    "NotFound",
    "NotReady",
    "NothingCollected",
    "PtolemyError",
    "RateLimited",
    "SeriesLocked",
    "UnknownBackend",
    "UnknownColumn",
    "UnknownComponent",
    "UnknownInterface",
    "nearest",
]


class BadData(BadInput):
    """A source's row cannot be used; nothing was written.

    Parameters
    ----------
    place
        The file, with its line and column where they are known.
    why
        What is wrong there.
    """

    def __init__(self, place: str, why: str, *, hint: str | None = None) -> None:
        super().__init__(f"{place}: {why}; nothing was written", hint=hint)
        self.place, self.why = place, why


class BadParam(BadInput):
    """A parameter of a call cannot be used."""


class UnknownColumn(BadParam):
    """The interface has no such column."""

    def __init__(self, interface: str, column: str, known: Iterable[str]) -> None:
        known = list(known)
        hint = nearest(column, known) or f"its columns: {', '.join(known)}"
        super().__init__(f"{interface} has no column {column!r}", hint=hint)
        self.interface, self.column = interface, column


# AttributeError too: `hasattr(api, name)`, `copy` and `pickle` ask for names that no interface has.
class UnknownInterface(BadInput, AttributeError):
    """The catalogue has no such interface."""

    def __init__(self, interface: str, known: Iterable[str]) -> None:
        known = list(known)
        hint = nearest(interface, known) or f"known interfaces: {', '.join(known)}"
        super().__init__(f"no interface is called {interface!r}", hint=hint)
        self.interface = interface


class NothingCollected(NotFound):
    """The series store holds no row of this data set."""

    def __init__(self, dataset: str) -> None:
        super().__init__(
            f"nothing of {dataset} has been collected into this series store yet",
            hint=f"ptolemy collect run SOURCE_URL --dataset {dataset}",
        )
        self.dataset = dataset


class DamagedSeries(PtolemyError):
    """A file of the series store is missing or is not what was written."""


class SeriesLocked(Conflict):
    """Another process, or another handle of this one, writes to the series store."""


class BadToken(NotAllowed):
    """The service does not know this token, or its time is over."""

    def __init__(self, why: str = "the service does not know this token, or its time is over") -> None:
        super().__init__(why, hint="ask whoever runs the service for a token: ptolemy token create NAME")


class NoPermission(NotAllowed):
    """The token may not read this interface."""

    def __init__(self, interface: str, scopes: Iterable[str]) -> None:
        super().__init__(
            f"this token may not read {interface}; it may read {', '.join(scopes)}",
            hint=f"ask for a token with that scope: ptolemy token create NAME --scope {interface}",
        )
        self.interface = interface


class RateLimited(NotAllowed):
    """The token's calls of this minute are used up.

    Parameters
    ----------
    rate
        Calls a minute that the token has.
    retry_after
        Seconds until the next call is answered.
    """

    def __init__(self, rate: int, retry_after: float) -> None:
        super().__init__(
            f"this token has {rate} calls a minute, and they are used up", hint=f"try again in {retry_after:.1f} s"
        )
        self.rate, self.retry_after = rate, retry_after


class UnknownComponent(NotFound):
    """No component or group of ``jiyuan.toml`` has this name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        known = list(known)
        super().__init__(
            f"no component or group is called {name!r}",
            hint=nearest(name, known) or f"known: {', '.join(known) or 'none'}",
        )
        self.name = name


class NotReady(PtolemyError):
    """A component cannot be started, or is not ready in time; the others run.

    Parameters
    ----------
    states
        Those that are not ready.
    """

    def __init__(self, states: Sequence[State]) -> None:
        told = "; ".join(f"{s.component} {s.reason or 'is not ready'}{_last(s)}" for s in states)
        super().__init__(told, hint=f"ptolemy logs {states[0].component}" if states else None)
        self.states = tuple(states)


def _last(state: State) -> str:
    return f" ({state.last_lines[-1].strip()[:200]})" if state.last_lines else ""
