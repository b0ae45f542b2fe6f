"""The port of a source: where rows come from, in the catalogue's columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

from ptolemy._house.progress import Progress, no_progress

if TYPE_CHECKING:
    import pyarrow as pa

    from ptolemy.catalogue import Asking, Interface


@dataclass(frozen=True)
class Fault:
    """What is wrong with one row.

    Parameters
    ----------
    row
        Its place in the table, from 0.
    kind
        ``value``, ``missing``, ``date``, ``rule``, ``duplicate``, ``session``, ``stale``, ``spike`` or ``unit``.
    why
        One sentence for people.
    """

    row: int
    kind: str
    why: str


@dataclass(frozen=True)
class Batch:
    """Rows of one interface, not checked yet, and where each came from.

    Parameters
    ----------
    table
        All columns of the interface, in its order; a missing value is null.
    place
        What to call the source in a message, such as ``bars.csv``.
    lines
        For each row where it is in the source, counted from 1.
    unit
        What `lines` counts: ``line`` or ``row``.
    origins
        What the source calls a column, where that differs from the catalogue.
    faults
        Rows with a value that cannot be read, which is null in `table`; a source that is read as a whole
        refuses such a row instead.
    """

    table: pa.Table
    place: str
    lines: pa.Int64Array
    unit: str = "line"
    origins: Mapping[str, str] = field(default_factory=dict)
    faults: Sequence[Fault] = ()

    def where(self, row: int, column: str) -> str:
        """Return the place of one value, such as ``bars.csv line 17, column Low``."""
        return f"{self.place} {self.unit} {self.lines[row].as_py()}, column {self.origins.get(column, column)}"


@dataclass(frozen=True)
class Wanted:
    """What of an interface is wanted; a source may give more, never less.

    Parameters
    ----------
    start, end
        First and last day, both included, ``YYYYMMDD``; None leaves that end open.
    codes
        Securities; None means all.
    by
        How it is asked for, as in `ptolemy.catalogue.Asking`.
    each
        Parameters that go with the question.
    """

    start: str | None = None
    end: str | None = None
    codes: tuple[str, ...] | None = None
    by: str = "range"
    each: tuple[tuple[str, str], ...] = ()


EVERYTHING = Wanted()


class Source(Protocol):
    """Gives rows of one or more interfaces; never changes what it reads."""

    def datasets(self) -> list[str]:
        """Return the names of the interfaces that the source says it can give, sorted."""

    def asking(self, interface: Interface) -> Asking | None:
        """Return how it is asked for `interface` question by question; None if it is read as a whole, as a file is."""

    def read(
        self, interface: Interface, *, wanted: Wanted = EVERYTHING, progress: Progress = no_progress
    ) -> Iterator[Batch]:
        """Give the rows of `interface`, batch after batch; `progress` counts bytes or rows.

        Raises
        ------
        BadData
            If the source lacks a column or holds a value of another type.
        NotFound
            If there is no such file.
        """

    def close(self) -> None:
        """Let go of the source."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
