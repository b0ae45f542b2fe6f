"""Tables by key: sort and check one, find what is new in it, put several into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from ptolemy.errors import BadInput

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands
_AGE = "__age__"  # which part a row came from while several are put into one


def checked(dataset: str, table: pa.Table, key: Sequence[str]) -> pa.Table:
    """Return `table` sorted by `key`, NaN as null; raise `BadInput` if a key is missing, null or there twice."""
    for name in key:
        if name not in table.column_names:
            raise BadInput(f"{dataset}: the key column {name!r} is missing")
        if table[name].null_count:
            raise BadInput(f"{dataset}: a row has no {name}")
    for i, column in enumerate(table.schema):
        if pa.types.is_floating(column.type):
            values = table.column(i)
            table = table.set_column(i, column, pc.if_else(pc.is_nan(values), pa.scalar(None, column.type), values))
    table = table.sort_by([(name, "ascending") for name in key]).combine_chunks()
    twice = np.flatnonzero(_like_previous(table, key))
    if len(twice):
        words = ", ".join(f"{name}={table[name][int(twice[0])].as_py()}" for name in key)
        raise BadInput(f"{dataset}: two rows have the key {words}")
    return table


def changed(table: pa.Table, held: pa.Table | None, key: Sequence[str]) -> tuple[pa.Table, int]:
    """Return the rows of `table` that `held` lacks or has otherwise, and how many keys are new."""
    if held is None or not held.num_rows:
        return table, table.num_rows
    both, age = _stacked([held, table], key, newest_first=False)
    fresh = age == 1
    known = _like_previous(both, key)
    same = known & _like_previous(both, [n for n in both.column_names if n not in key])
    news = both.filter(pa.array(fresh & ~same)).select(table.column_names).combine_chunks()
    return news, int(np.count_nonzero(fresh & ~known))


def merged(parts: Sequence[pa.Table], key: Sequence[str]) -> pa.Table:
    """Put tables, oldest first, into one; of several rows with one key the newest stays."""
    filled = [part for part in parts if part.num_rows]
    if len(filled) < 2:
        return filled[0] if filled else parts[-1]
    both, _ = _stacked(filled, key, newest_first=True)
    return both.filter(pa.array(~_like_previous(both, key)))


def _stacked(
    parts: Sequence[pa.Table], key: Sequence[str], *, newest_first: bool
) -> tuple[pa.Table, npt.NDArray[np.int32]]:
    aged = [part.append_column(_AGE, pa.array(np.full(len(part), i, np.int32))) for i, part in enumerate(parts)]
    try:
        table = pa.concat_tables(aged, promote_options="default")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as exc:
        raise BadInput(f"the new rows do not fit those that are kept: {exc}") from exc
    order: list[tuple[str, Any]] = [(name, "ascending") for name in key]
    table = table.sort_by([*order, (_AGE, "descending" if newest_first else "ascending")]).combine_chunks()
    return table.drop_columns([_AGE]), table[_AGE].to_numpy()


def _like_previous(table: pa.Table, names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Tell for each row whether it equals the row before in all of `names`; null equals null."""
    same = np.ones(table.num_rows, np.bool_)
    same[:1] = False
    for name in names:
        before, here = table[name].slice(0, max(table.num_rows - 1, 0)), table[name].slice(1)
        alike = pc.or_(pc.fill_null(pc.equal(before, here), False), pc.and_(pc.is_null(before), pc.is_null(here)))
        same[1:] &= alike.to_numpy()
    return same
