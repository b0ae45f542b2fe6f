"""Check rows against the catalogue before they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ptolemy.catalogue import Interface, Rule
from ptolemy.errors import BadData
from ptolemy.sources.port import Batch

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands
_MOMENT = r"^\d{4}-\d\d-\d\d ([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?$"
COMPARE = {"<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal}


def check(interface: Interface, batch: Batch) -> None:
    """Raise `BadData`, with line and column, if a row of `batch` is not as the catalogue says.

    Checked are required values, dates, infinities and the interface's rules.
    """
    if batch.table.schema != interface.schema():
        raise BadData(batch.place, f"its columns are not those of {interface.name}")
    for column in interface.columns:
        values = batch.table[column.name]
        if column.required:
            _refuse(batch, column.name, pc.is_null(values), "there is no value")
        if column.type == "date":
            wrong = wrong_days(values)
            _refuse(batch, column.name, pc.is_in(values, pa.array(wrong, pa.string())), "is not a date, YYYYMMDD")
        if column.type == "time":
            wrong = wrong_moments(values)
            _refuse(batch, column.name, pc.is_in(values, pa.array(wrong, pa.string())),
                    "is not a moment, YYYY-MM-DD HH:MM:SS")  # fmt: skip
        if column.type == "float":
            _refuse(batch, column.name, pc.is_inf(values), "is not a finite number")
    for rule in interface.rules:
        _refuse(batch, rule.left, pc.invert(_holds(rule, batch.table)), f"breaks the rule {rule}", beside=rule.right)


def check_keys(interface: Interface, batches: Sequence[Batch]) -> None:
    """Raise `BadData`, with both lines, if two rows of `batches` have one key."""
    keys = pa.concat_tables(batch.table.select(list(interface.key)) for batch in batches)
    order = pc.sort_indices(keys, [(name, "ascending") for name in interface.key])
    ordered = keys.take(order)
    same = np.ones(max(len(order) - 1, 0), np.bool_)
    for name in interface.key:
        same &= pc.equal(ordered[name].slice(1), ordered[name].slice(0, len(same))).to_numpy()
    twice = np.flatnonzero(same)
    if len(twice):
        # Equal keys keep the order of the source, for the sort is stable: the later line is the one to name.
        first, second = (find_row(batches, order[int(twice[0]) + i].as_py()) for i in (0, 1))
        key = " ".join(str(ordered[name][int(twice[0])].as_py()) for name in interface.key)
        batch, row = second
        column = interface.key[-1]
        earlier = f"{first[0].unit} {first[0].lines[first[1]].as_py()}"
        raise BadData(batch.where(row, column), f"{key} is there already, in {earlier}{_more(len(twice))}")


def _holds(rule: Rule, table: pa.Table) -> Any:
    right = table[rule.right] if isinstance(rule.right, str) else rule.right
    return COMPARE[rule.operator](table[rule.left], right).fill_null(True)


def _refuse(batch: Batch, column: str, wrong: Any, why: str, beside: str | float = "") -> None:
    rows = np.flatnonzero(wrong.to_numpy())
    if not len(rows):
        return
    row = int(rows[0])
    value = batch.table[column][row].as_py()
    shown = "" if value is None else f"{value:g} " if isinstance(value, float) else f"{value} "
    other = f" ({beside} is {batch.table[beside][row].as_py():g})" if isinstance(beside, str) and beside else ""
    raise BadData(batch.where(row, column), f"{shown}{why}{other}{_more(len(rows))}")


def _more(count: int) -> str:
    return f" (and {count - 1} more)" if count > 1 else ""


def find_row(batches: Sequence[Batch], row: int) -> tuple[Batch, int]:
    """Return the batch of a row that is counted over all of them, and its place there."""
    for batch in batches:
        if row < batch.table.num_rows:
            return batch, row
        row -= batch.table.num_rows
    raise IndexError(row)


def wrong_days(values: Any) -> list[str]:
    """Return the texts among `values` that are no day, ``YYYYMMDD``."""
    return [text for text in pc.unique(values).to_pylist() if text is not None and not is_day(text)]


def wrong_moments(values: Any) -> list[str]:
    """Return the texts that are not ``YYYY-MM-DD HH:MM:SS``, with up to six digits behind a point or none."""
    # A million moments are all different, but their days are few.
    fits = pc.match_substring_regex(values, _MOMENT)
    days = pc.replace_substring(pc.utf8_slice_codeunits(values.filter(fits.fill_null(False)), 0, 10), "-", "")
    off = [f"{day[:4]}-{day[4:6]}-{day[6:]}" for day in wrong_days(days)]
    on = pc.is_in(pc.utf8_slice_codeunits(values, 0, 10), pa.array(off, pa.string()))
    broken = values.filter(pc.or_(pc.invert(fits), on).fill_null(False))
    return [text for text in pc.unique(broken).to_pylist() if text is not None]


def is_day(text: str) -> bool:
    """Tell whether `text` is a day, ``YYYYMMDD``."""
    try:
        return datetime.strptime(text, "%Y%m%d").strftime("%Y%m%d") == text
    except ValueError:
        return False
