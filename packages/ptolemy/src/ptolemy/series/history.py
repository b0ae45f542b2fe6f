"""What rows were before they were replaced or deleted, so that older versions stay readable.

An entry says: until version N the row of this key was so, or did not exist. The state at version V
is the compacted one, with the earliest entry of each key that ends after V put in its place. What
lies behind the last day of V, or before its first, did not exist then and needs no entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ptolemy.series.block import Block, damaged, map_block, write_block
from ptolemy.series.merge import merged, positions, stacked, within
from ptolemy.series.port import Version

if TYPE_CHECKING:
    from ptolemy.series.view import Base

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands
KIND = "history"
UNTIL = "__until__"
GONE = "__gone__"  #: the row did not exist


def entries(held: pa.Table, news: pa.Table | None, key: Sequence[str], last: Version, until: int) -> pa.Table:
    """Return the entries that version `until` makes.

    Parameters
    ----------
    held
        The rows before it, at least those that it replaces.
    news
        The rows that it writes; None if it deletes all of `held`.
    last
        The version before.
    """
    if news is None:
        return _entries(held, until, gone=False)
    keys = news.select(list(key))
    numbers = positions(stacked([held.select(list(key)), keys]), key)
    order = np.argsort(numbers, kind="stable")
    known = np.zeros(len(order), np.bool_)
    known[1:] = np.diff(numbers[order]) == 0
    # A key that is there twice has its old row first: the sort is stable.
    replaced = order[:-1][known[1:]]
    fresh = np.sort(order[(order >= held.num_rows) & ~known]) - held.num_rows
    added = keys.take(pa.array(fresh, pa.int64()))
    times = added[key[-1]]
    added = added.filter(pc.and_(pc.less_equal(times, last.last), pc.greater_equal(times, last.first)))
    return stacked(
        [_entries(held.take(pa.array(replaced, pa.int64())), until, gone=False), _entries(added, until, gone=True)]
    )


def _entries(table: pa.Table, until: int, *, gone: bool) -> pa.Table:
    count = table.num_rows
    return table.append_column(UNTIL, pa.array(np.full(count, until, np.int64))).append_column(
        GONE, pa.array(np.full(count, gone, np.bool_))
    )


def write_history(folder: Path, table: pa.Table) -> Block:
    """Write entries, in the order of their versions, to a file."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    first, last = (str(pc.min_max(table[UNTIL])[name].as_py()) for name in ("min", "max"))
    name, size, sha256 = write_block(folder, f"history-{last.zfill(8)}", KIND, {}, [sink.getvalue()])
    return Block(name, KIND, table.num_rows, size, sha256, first, last)


def read_history(folder: Path, block: Block) -> pa.Table:
    """Return the entries of one file."""
    _, data, start = map_block(folder / block.file, block.bytes)
    try:
        return pa.ipc.open_stream(pa.py_buffer(data[start:])).read_all()
    except (pa.ArrowInvalid, OSError) as exc:
        raise damaged(folder / block.file, f"cannot be read: {exc}") from exc


def before(
    base: Base,
    version: Version,
    table: pa.Table,
    key: Sequence[str],
    codes: Sequence[str] | None,
    start: str | None,
    end: str | None,
) -> pa.Table:
    """Return `table`, rows of the compacted files, as they were at `version`."""
    names = table.column_names
    parts = [table]
    for block in reversed(base.manifest.history):  # the earliest entry of a key has the last word
        if int(block.last) <= version.id:
            continue
        found = read_history(base.folder, block)
        found = found.filter(pc.greater(found[UNTIL], version.id))
        found = within(found, key, codes, start, end)
        if found.num_rows:
            parts.append(_earliest(found, key))
    both = within(merged(parts, key), key, None, version.first, version.last)
    if GONE in both.column_names:
        both = both.filter(pc.invert(pc.fill_null(both[GONE], False)))
    return both.select([name for name in names if name in both.column_names])


def _earliest(found: pa.Table, key: Sequence[str]) -> pa.Table:
    numbers = positions(found, key)
    order = np.argsort(numbers, kind="stable")
    first = np.ones(len(order), np.bool_)
    first[1:] = np.diff(numbers[order]) != 0
    return found.take(pa.array(order[first], pa.int64()))
