"""Tables by key: sort and check one, find what is new in it, put several into one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from ptolemy.errors import BadInput

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def checked(dataset: str, table: pa.Table, key: Sequence[str]) -> pa.Table:
    """Return `table` sorted by `key`, NaN as null; raise `BadInput` if a key is missing, null or there twice."""
    table = cleaned(dataset, table, key)
    if ascending(table, key):
        return table.combine_chunks()
    numbers = positions(table, key)
    order = np.argsort(numbers, kind="stable")
    table = table.take(pa.array(order, pa.int64())).combine_chunks()
    refuse_twice(dataset, table, key, np.flatnonzero(np.diff(numbers[order]) == 0))
    return table


def cleaned(dataset: str, table: pa.Table, key: Sequence[str]) -> pa.Table:
    """Return `table` with NaN as null and plain types; raise `BadInput` if a key is missing or null."""
    for name in key:
        if name not in table.column_names:
            raise BadInput(f"{dataset}: the key column {name!r} is missing")
        if table[name].null_count:
            raise BadInput(f"{dataset}: a row has no {name}")
        kind = table[name].type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
            raise BadInput(f"{dataset}: the key column {name!r} is {kind}, not text")
        if kind != pa.string() or table[name].type != kind:
            table = table.set_column(table.column_names.index(name), name, table[name].cast(pa.string()))
    for i, column in enumerate(table.schema):
        if pa.types.is_dictionary(column.type):
            table = table.set_column(i, column.name, table.column(i).cast(column.type.value_type))
        elif pa.types.is_null(column.type):
            table = table.set_column(i, column.name, table.column(i).cast(pa.float64()))
        elif pa.types.is_floating(column.type):
            values = table.column(i)
            missing = pc.is_null(values, nan_is_null=True)
            if values.null_count or pc.any(missing).as_py():
                # Nulls all hide the same value, so that the same rows are the same bytes.
                whole = pc.if_else(missing, pa.scalar(0.0, column.type), values).combine_chunks().to_numpy()
                flags = missing.combine_chunks().to_numpy(zero_copy_only=False)
                table = table.set_column(i, column.name, pa.array(whole, column.type, mask=flags))
    return table


def refuse_twice(dataset: str, table: pa.Table, key: Sequence[str], twice: Ints) -> None:
    """Raise `BadInput` that names the first of the rows at `twice`, if there is any."""
    if len(twice):
        words = ", ".join(f"{name}={table[name][int(twice[0])].as_py()}" for name in key)
        raise BadInput(f"{dataset}: two rows have the key {words}")


def ascending(table: pa.Table, key: Sequence[str]) -> bool:
    """Tell whether each row's key is greater than the one before."""
    last = max(table.num_rows - 1, 0)
    undecided = np.ones(last, np.bool_)
    for name in key:
        column = table[name].combine_chunks()
        before, here = column.slice(0, last), column.slice(1)
        greater = pc.greater(here, before).to_numpy(zero_copy_only=False)
        undecided &= ~greater
        if not undecided.any():
            return True
        equal = pc.equal(here, before).to_numpy(zero_copy_only=False)
        if (undecided & ~equal).any():
            return False
    return not undecided.any()


def positions(table: pa.Table, key: Sequence[str]) -> Ints:
    """Return a number for each row; they are in the order of the keys, and equal where the keys are."""
    total = np.zeros(table.num_rows, np.int64)
    size = 1
    for name in key:
        ranks, values = ranked(table[name])
        if size * max(len(values), 1) >= 2**62:  # more keys than there are numbers: number those there are
            found, total = np.unique(total, return_inverse=True)
            size = len(found)
        total = total * len(values) + ranks
        size *= max(len(values), 1)
    return total


def ranked(column: Any) -> tuple[Ints, Any]:
    """Return each value's place among the different values, and those in ascending order."""
    encoded: Any = column.combine_chunks().dictionary_encode()
    order = pc.sort_indices(encoded.dictionary)
    rank = np.empty(len(order), np.int64)
    rank[order.to_numpy()] = np.arange(len(order))
    return rank[encoded.indices.to_numpy()], encoded.dictionary.take(order)


def changed(table: pa.Table, held: pa.Table, key: Sequence[str]) -> tuple[pa.Table, int]:
    """Return the rows of `table` that `held` lacks or has otherwise, and how many keys are new."""
    if not held.num_rows:
        return table, table.num_rows
    both = stacked([held, table])
    numbers = positions(both, key)
    order = np.argsort(numbers, kind="stable")  # stable: what is held comes first
    known = np.zeros(len(order), np.bool_)
    known[1:] = np.diff(numbers[order]) == 0
    both = both.take(pa.array(order, pa.int64()))
    same = known & _like_previous(both, [n for n in both.column_names if n not in key])
    fresh = order >= held.num_rows
    news = both.filter(pa.array(fresh & ~same)).select(table.column_names).combine_chunks()
    return news, int(np.count_nonzero(fresh & ~known))


def merged(parts: Sequence[pa.Table], key: Sequence[str]) -> pa.Table:
    """Put tables, oldest first and each sorted, into one; of several rows with one key the newest stays."""
    filled = [part for part in parts if part.num_rows]
    if len(filled) < 2:
        return filled[0] if filled else parts[-1]
    both = stacked(filled)
    if len(key) == 2 and _follow(filled, key[-1]):
        # Each part is later than those before, so that only the securities need be put together.
        ranks, codes = ranked(both[key[0]])
        small = ranks.astype(np.uint16) if len(codes) < 2**16 else ranks  # sorted by counting
        return both.take(pa.array(np.argsort(small, kind="stable"), pa.int64())).combine_chunks()
    numbers = positions(both, key)
    if (np.diff(numbers) > 0).all():
        return both
    order = np.argsort(numbers, kind="stable")  # quick on what consists of sorted runs
    newest = np.ones(len(order), np.bool_)
    newest[:-1] = np.diff(numbers[order]) != 0
    return both.take(pa.array(order[newest], pa.int64()))


def _follow(parts: Sequence[pa.Table], time: str) -> bool:
    """Tell whether all times of each part are later than all of the part before."""
    ends = [pc.min_max(part[time]).as_py() for part in parts]
    return all(before["max"] < here["min"] for before, here in pairwise(ends))


def stacked(parts: Sequence[pa.Table]) -> pa.Table:
    """Put tables under one another; a column that one lacks is null there."""
    try:
        return pa.concat_tables(parts, promote_options="default").combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowTypeError) as exc:
        raise BadInput(f"the new rows do not fit those that are kept: {exc}") from exc


def rows_of(table: pa.Table, key: Sequence[str], code: str) -> tuple[int, int]:
    """Return the first row of a security in a sorted table of one chunk, and the one behind its last."""
    values = table[key[0]].chunk(0)
    first = _bisect(values, code, 0, len(values), after=False)
    return first, _bisect(values, code, first, len(values), after=True)


def span(table: pa.Table, key: Sequence[str], rows: tuple[int, int], start: str | None, end: str | None) -> pa.Table:
    """Return the rows in a range of times of one security, which has all of `rows` of a sorted table."""
    first, stop = rows
    times = table[key[-1]]
    if len(key) != 2 or times.num_chunks != 1:
        return within(table.slice(first, stop - first), key, None, start, end)
    # Without a column between them the times ascend.
    begin = first if start is None else _bisect(times.chunk(0), start, first, stop, after=False)
    behind = stop if end is None else _bisect(times.chunk(0), end, first, stop, after=True)
    return table.slice(begin, max(behind - begin, 0))


def within(
    table: pa.Table, key: Sequence[str], codes: Sequence[str] | None, start: str | None, end: str | None
) -> pa.Table:
    """Return the rows of a sorted table by values of the key's first column and a range of its last."""
    if codes is not None:
        values = table[key[0]]
        if len(codes) == 1 and values.num_chunks == 1:
            return span(table, key, rows_of(table, key, codes[0]), start, end)
        table = table.filter(pc.is_in(values, pa.array(codes, values.type)))
    if (start is None and end is None) or not table.num_rows:
        return table
    times = table[key[-1]]
    keep: Any = None
    if start is not None:
        keep = pc.greater_equal(times, start)
    if end is not None:
        before = pc.less_equal(times, end)
        keep = before if keep is None else pc.and_(keep, before)
    return table.filter(keep)


def _bisect(values: Any, text: str, low: int, high: int, *, after: bool) -> int:
    """Return the first place from `low` to `high`, sorted texts, not before `text`, or with `after` behind it."""
    _, ends, data = values.buffers()
    if ends is None or data is None or values.type != pa.string():
        part = values.slice(low, high - low)
        return low + int(pc.sum(pc.less_equal(part, text) if after else pc.less(part, text)).as_py() or 0)
    # A scalar of Arrow takes ten times as long to make as a slice of its bytes; their order is that of the texts.
    bounds = memoryview(ends).cast("i")
    whole, wanted, first = memoryview(data), text.encode(), values.offset
    while low < high:
        middle = (low + high) // 2
        found = whole[bounds[first + middle] : bounds[first + middle + 1]].tobytes()
        if found < wanted or (after and found == wanted):
            low = middle + 1
        else:
            high = middle
    return low


def _like_previous(table: pa.Table, names: Sequence[str]) -> Bools:
    """Tell for each row whether it equals the row before in all of `names`; null equals null."""
    same = np.ones(table.num_rows, np.bool_)
    same[:1] = False
    for name in names:
        before, here = table[name].slice(0, max(table.num_rows - 1, 0)), table[name].slice(1)
        alike = pc.or_(pc.fill_null(pc.equal(before, here), False), pc.and_(pc.is_null(before), pc.is_null(here)))
        same[1:] &= alike.to_numpy()
    return same
