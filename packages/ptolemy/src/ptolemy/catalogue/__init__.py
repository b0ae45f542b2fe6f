"""What each interface holds: one data file per interface in this folder drives everything else.

A file has a ``title``, the ``key`` (columns that name a row, the security first and the time last),
``rules`` between columns and a list of ``columns``. Column order, types, validation and ``fields``
all follow from it. A hidden column comes back only when ``fields`` asks for it, so that a new
column breaks nobody.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

from ptolemy.errors import UnknownColumn, UnknownInterface

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Column", "Interface", "Rule", "interface", "interfaces"]


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
        ``str``, ``date`` (text, ``YYYYMMDD``) or ``float``.
    unit
        Unit of the values, empty for text.
    hidden
        Whether it comes back only when ``fields`` names it.
    required
        Whether every row must have a value; elsewhere a missing one is NaN.
    """

    name: str
    type: Literal["str", "date", "float"]
    unit: str = ""
    hidden: bool = False
    required: bool = False
    description: str = ""


@dataclass(frozen=True)
class Interface:
    """One data set: its columns in order, its key and what every row must obey."""

    name: str
    title: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = field(default=())

    @property
    def names(self) -> list[str]:
        """All column names in order, hidden ones too."""
        return [c.name for c in self.columns]

    @property
    def shown(self) -> list[str]:
        """The columns that come back when none are asked for."""
        return [c.name for c in self.columns if not c.hidden]

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
        """Return the Arrow schema of `names`, by default of all columns; text and dates are strings."""
        import pyarrow as pa

        types: dict[str, pa.DataType] = {"str": pa.string(), "date": pa.string(), "float": pa.float64()}
        return pa.schema([(n, types[self.column(n).type]) for n in (self.names if names is None else names)])


@cache
def interfaces() -> dict[str, Interface]:
    """Return every interface of the catalogue by name, sorted."""
    found = sorted((f for f in files(__name__).iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return {f.name[:-5]: _interface(f.name[:-5], tomllib.loads(f.read_text(encoding="utf-8"))) for f in found}


def interface(name: str) -> Interface:
    """Return one interface; raise `UnknownInterface` with the nearest name if there is none."""
    try:
        return interfaces()[name]
    except KeyError:
        raise UnknownInterface(name, interfaces()) from None


def _interface(name: str, document: dict[str, Any]) -> Interface:
    columns: list[Column] = []
    rules: list[Rule] = []
    for entry in document["columns"]:
        rules += [_rule(f"{entry['name']} {text}") for text in entry.pop("rules", [])]
        columns.append(Column(**entry))
    # Those of single columns come first: a negative low is its own fault and not that of the high.
    rules += [_rule(text) for text in document.get("rules", [])]
    return Interface(name, document["title"], tuple(document["key"]), tuple(columns), tuple(rules))


def _rule(text: str) -> Rule:
    left, operator, right = text.split()
    assert operator in ("<", "<=", ">", ">=")
    try:
        return Rule(left, operator, float(right))
    except ValueError:
        return Rule(left, operator, right)
