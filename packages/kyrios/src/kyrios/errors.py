"""Every error of kyrios.

::

    KyriosError                the base and the kinds that decide exit codes: ``_house/errors.py``
    ├── BadInput
    │   └── FlowInvalid            a flow or one of its units cannot be used; holds every problem
    ├── ChannelFull                nobody has made room in a channel in time
    ├── Conflict
    │   └── IllegalTransition      a state does not follow from the one before
    ├── NotFound
    │   └── RunNotFound            no run has this id
    └── UnitFailed                 a unit raised, ran out of time or returned the wrong schema
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    "ChannelFull",
    "ConfigError",
    "Conflict",
    "FlowInvalid",
    "IllegalTransition",
    "KyriosError",
    "MissingExtra",
    "NotAllowed",
    "NotFound",
    "Problem",
    "RunNotFound",
    "UnitFailed",
    "UnknownBackend",
]


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a flow's files; `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    message: str
    source: str = ""  #: The line of the file that holds it.
    hint: str | None = None

    @property
    def where(self) -> str:
        """``file:line:column``, as editors understand it."""
        return f"{self.file}:{self.line}:{self.column}"

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" + (f"; {self.hint}" if self.hint else "")
        if not self.source.strip():
            return text
        # A tab keeps its own width, or the caret would point beside the mistake.
        lead = "".join("\t" if c == "\t" else " " for c in self.source[: self.column - 1])
        return f"{text}\n    {self.source}\n    {lead}^"


class FlowInvalid(BadInput):
    """A flow cannot be used; `problems` holds every mistake in it, in the order of the files."""

    def __init__(self, flow: str, problems: Sequence[Problem]) -> None:
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        super().__init__(f"{flow} has {count}", hint=f"kyrios validate {flow}")
        self.flow = flow
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join([f"{self.message}:", *map(str, self.problems)])


class ChannelFull(KyriosError, TimeoutError):
    """As many messages wait in a channel as may, and no reader has dealt with one in time."""

    def __init__(self, channel: str, capacity: int) -> None:
        super().__init__(
            f"{capacity} messages wait in the channel {channel}, and no more may",
            hint="let its readers commit, or a reader that is gone for good leave",
        )
        self.channel, self.capacity = channel, capacity


class IllegalTransition(Conflict):
    """A state does not follow from the one before; somebody else has moved it."""


class RunNotFound(NotFound):
    """No run has this id."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is no run {run_id!r}", hint="kyrios runs list")
        self.run_id = run_id


class UnitFailed(KyriosError):
    """A unit raised, ran out of time or returned what its interface does not promise."""

    def __init__(self, unit: str, reason: str, *, run_id: str = "", log: str = "") -> None:
        super().__init__(
            f"unit {unit} failed: {reason}" + (f"; log: {log}" if log else ""),
            hint=f"kyrios runs logs {run_id} {unit}" if run_id else None,
        )
        self.unit, self.reason, self.run_id, self.log = unit, reason, run_id, log
