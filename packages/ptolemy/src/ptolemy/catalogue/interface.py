"""What one interface is: its columns, key, parameters, limits, time of update and rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from ptolemy.errors import UnknownColumn

if TYPE_CHECKING:
    import pyarrow as pa

Type = Literal["str", "date", "time", "float", "int"]
Check = Literal["gaps", "stale", "spikes", "units"]


@dataclass(frozen=True)
class Rule:
    """What must hold in every row, such as ``low <= high`` or ``close > 0``; a missing value breaks no rule."""

    left: str
    operator: str  # one of < <= > >=
    right: str | float

    def __str__(self) -> str:
        right = self.right if isinstance(self.right, str) else f"{self.right:g}"
        return f"{self.left} {self.operator} {right}"


@dataclass(frozen=True)
class Column:
    """One column of an interface.

    Parameters
    ----------
    name
        Its name in Tushare's vocabulary.
    type
        ``str``, ``date`` (text, ``YYYYMMDD``), ``time`` (text, ``YYYY-MM-DD HH:MM:SS``), ``float`` or ``int``.
    unit
        Unit of the values, empty for text.
    hidden
        Whether it comes back only when ``fields`` names it.
    required
        Whether every row must have a value; elsewhere a missing one is NaN.
    """

    name: str
    type: Type
    unit: str = ""
    hidden: bool = False
    required: bool = False
    description: str = ""

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return self.type in ("float", "int")


@dataclass(frozen=True)
class Parameter:
    """What a call may ask by.

    Parameters
    ----------
    name
        Its name in a call.
    kind
        ``codes`` (of the key's first column), ``day`` (of its last), ``start`` and ``end`` of a range of it,
        ``filter`` (of any other column) or ``count``.
    column
        The column that it is compared with; empty for a count.
    default
        What is taken where it is not given; rows without a value of the column pass it.
    """

    name: str
    kind: Literal["codes", "day", "start", "end", "filter", "count"]
    column: str = ""
    default: str = ""
    description: str = ""


@dataclass(frozen=True)
class Asking:
    """How a source that answers questions is asked for all of an interface.

    Parameters
    ----------
    by
        ``whole`` (one question), ``range`` (one with both ends), or the parameter of which each question
        has one value: a day, or a code.
    on
        With a day: ``day`` for every session, ``week`` or ``month`` for the last session of each.
    each
        Parameters that must be given, with their values: one question for each.
    """

    by: str = "range"
    on: Literal["day", "week", "month"] = "day"
    each: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Interface:
    """One data set.

    Parameters
    ----------
    calendar
        Calendar of exchange_calendars whose sessions its rows follow.
    update
        Time of the session's day, in the calendar's zone, at which the rows of a session are there (``HH:MM``).
    limit
        Rows in one answer of Tushare; 0 where that is not known.
    quality
        What is looked for besides the rules.
    computed
        What computes it, where nothing is kept; empty elsewhere.
    asking
        How it is collected; None if it is not.
    own
        Whether a user has added it.
    """

    name: str
    title: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()
    filters: tuple[Parameter, ...] = ()
    calendar: str = "XSHG"
    update: str = "16:00"
    limit: int = 0
    quality: tuple[Check, ...] = ()
    computed: str = ""
    asking: Asking | None = None
    own: bool = False

    @property
    def names(self) -> list[str]:
        """All column names in order, hidden ones too."""
        return [c.name for c in self.columns]

    @property
    def shown(self) -> list[str]:
        """The columns that come back when none are asked for."""
        return [c.name for c in self.columns if not c.hidden]

    @cached_property
    def time(self) -> Column | None:
        """The column of the day or the moment, the key's last; None if the rows have no time."""
        last = self.column(self.key[-1])
        return last if last.type in ("date", "time") else None

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """Every parameter of a call by its name, in the order of Tushare's pages."""
        found = []
        first = self.key[0]
        if self.time is None or len(self.key) > 1:
            found.append(Parameter(first, "codes", first, "", "One, or several with commas."))
        if self.time is not None:
            if self.time.type == "date" and self.time.name not in ("start_date", "end_date"):
                found.append(Parameter(self.time.name, "day", self.time.name, "", "One day, YYYYMMDD."))
            form = "YYYYMMDD" if self.time.type == "date" else "YYYY-MM-DD HH:MM:SS or YYYYMMDD"
            found.append(Parameter("start_date", "start", self.time.name, "", f"First {form}, included."))
            found.append(Parameter("end_date", "end", self.time.name, "", f"Last {form}, included."))
        found += self.filters
        found.append(Parameter("limit", "count", "", "", "At most so many rows, the newest."))
        found.append(Parameter("offset", "count", "", "", "Leave out so many of the newest rows."))
        if not self.computed:
            found.append(Parameter("as_of", "count", "", "", "Id of the version to read."))
        return {p.name: p for p in found}

    def column(self, name: str) -> Column:
        """Return one column; raise `UnknownColumn` with the nearest name if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise UnknownColumn(self.name, name, self.names)

    def select(self, fields: str | Sequence[str] | None = None) -> list[str]:
        """Return the columns that `fields` names, in its order; the shown ones where it is empty.

        Raises
        ------
        UnknownColumn
            If the interface has no such column.
        """
        words = fields.split(",") if isinstance(fields, str) else list(fields or [])
        wanted = [word.strip() for word in words if word.strip()]
        # Tushare answers a column that is asked for twice once.
        return [self.column(name).name for name in dict.fromkeys(wanted)] or self.shown

    def schema(self, names: Sequence[str] | None = None) -> pa.Schema:
        """Return the Arrow schema of `names`, by default of all columns; text, dates and times are strings."""
        import pyarrow as pa

        types: dict[str, pa.DataType] = {"float": pa.float64(), "int": pa.int64()}
        chosen = self.names if names is None else names
        return pa.schema([(n, types.get(self.column(n).type, pa.string())) for n in chosen])
