"""Mapping files: which column of a source gives which column of the catalogue.

A mapping file is TOML with one section per interface. Each key is a column of the catalogue, each
value says where it comes from: the name of a source column, or a table of these words.

========== ==========================================================================================
column     the source column
over       divide by this source column, as in ``{ column = "Adj Close", over = "Close" }``
multiply   multiply by this number
divide     divide by this number, as in ``{ column = "Volume", divide = 100 }`` for lots of 100 shares
format     how a date is written (``strftime``), by default ``%Y%m%d``
prefix     put before a text
suffix     put after a text, as in ``{ column = "Ticker", suffix = ".US" }``
decimals   round to so many decimals
value      no column: this text in every row, as in ``{ value = "1min" }``
derive     compute it instead: ``pre_close``, ``change`` or ``pct_chg``
factor     with ``derive = "pre_close"``: the adjustment factor, a table of ``column`` and ``over``
========== ==========================================================================================

A column of the catalogue that a section does not name stays missing: it is never invented.
Without a mapping file the source's columns bear the catalogue's names.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ptolemy.catalogue import Interface, find, interfaces
from ptolemy.errors import BadInput, NotFound, UnknownInterface, nearest

DERIVED = ("pre_close", "change", "pct_chg")


@dataclass(frozen=True)
class Field:
    """Where one catalogue column comes from; the words are explained at the head of this module."""

    column: str = ""
    over: str = ""
    multiply: float = 1
    divide: float = 1
    format: str = "%Y%m%d"
    prefix: str = ""
    suffix: str = ""
    decimals: int | None = None
    value: str = ""
    derive: str = ""
    factor: Field | None = None

    @property
    def sources(self) -> list[str]:
        """The source columns that this one needs."""
        return [c for c in (self.column, self.over, *(self.factor.sources if self.factor else ())) if c]


Fields = Mapping[str, Field]


def plain(interface: Interface, header: list[str]) -> dict[str, Field]:
    """Return the mapping of a source whose columns bear the catalogue's names already.

    What the interface requires is asked for even if it is not in `header`, so that its absence is told.
    """
    return {c.name: Field(c.name) for c in interface.columns if c.name in header or c.required}


def mapping_of(named: str | None) -> dict[str, dict[str, Field]] | None:
    """Return what the mapping file of a URL's option says; None if none is named."""
    return read_mapping(Path(named).expanduser()) if named else None


def read_mapping(path: Path) -> dict[str, dict[str, Field]]:
    """Return the fields of each interface that the mapping file names.

    Raises
    ------
    NotFound
        If there is no such file.
    BadInput
        If it cannot be read, or names what neither the catalogue nor a mapping file knows.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound(f"there is no mapping file {path}", hint="name it as csv:FILE?mapping=FILE.toml") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise BadInput(f"the mapping file {path} cannot be read: {exc}", hint=f"mend {path}") from None
    sections = {}
    for name, section in document.items():
        target = find(name)
        if target is None:
            unknown = UnknownInterface(name, interfaces())
            raise BadInput(f"{path}: {unknown}", hint=unknown.hint)
        if not isinstance(section, dict):
            raise BadInput(f"{path}: {name} must be a section", hint=f"write it as [{name}]")
        known = target.names
        for column in section:
            if column not in known:
                hint = nearest(column, known) or f"its columns: {', '.join(known)}"
                raise BadInput(f"{path}: [{name}] names {column!r}, which {name} does not have", hint=hint)
        sections[name] = {column: _field(f"{path}: [{name}] {column}", value) for column, value in section.items()}
    return sections


def _field(where: str, value: Any) -> Field:
    if isinstance(value, str):
        return Field(column=value)
    if not isinstance(value, dict):
        raise BadInput(f"{where} must name a source column", hint='write it as "Open" or { column = "Open" }')
    known = {f.name: f.type for f in fields(Field)}
    for word, given in value.items():
        if word not in known:
            raise BadInput(f"{where}: {word!r} is not known", hint=nearest(word, known) or f"known: {', '.join(known)}")
        wanted = _KINDS[str(known[word])]
        if isinstance(given, bool) or not isinstance(given, wanted):
            raise BadInput(f"{where}: {word} cannot be {given!r}")
    factor = value.get("factor")
    field = Field(**{**value, "factor": _field(f"{where}.factor", factor) if factor else None})
    if [bool(field.column), bool(field.derive), bool(field.value)].count(True) != 1 or field.divide == 0:
        raise BadInput(f"{where} needs either a column, a value or derive, and no division by 0")
    if field.derive and field.derive not in DERIVED:
        raise BadInput(f"{where}: {field.derive!r} cannot be derived", hint=f"what can: {', '.join(DERIVED)}")
    return field


_KINDS: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "float": (int, float),
    "int | None": int,
    "Field | None": dict,
}
