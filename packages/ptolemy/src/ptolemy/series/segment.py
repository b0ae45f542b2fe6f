"""Sorted segments: rows of any shape, mapped as Arrow, with an index of where each security begins."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ptolemy.series.block import Block, damaged, map_block, write_block
from ptolemy.series.log import serialised
from ptolemy.series.merge import ranked, within

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands

KIND = "rows"


class Segment:
    """One mapped segment."""

    def __init__(self, folder: Path, block: Block) -> None:
        path = folder / block.file
        header, data, start = map_block(path, block.bytes)
        self.codes: list[str] = header["codes"]
        self.starts: list[int] = header["starts"]
        try:
            self.table: pa.Table = pa.ipc.open_stream(pa.py_buffer(data[start:])).read_all()
        except pa.ArrowInvalid as exc:
            raise damaged(path, f"cannot be read: {exc}") from exc
        if self.table.num_rows != block.rows:
            raise damaged(path, f"has {self.table.num_rows} rows, not {block.rows}")

    @cached_property
    def at(self) -> dict[str, int]:
        """Where each code is in the index."""
        return {code: i for i, code in enumerate(self.codes)}

    def read(
        self,
        key: Sequence[str],
        codes: Sequence[str] | None,
        start: str | None,
        end: str | None,
        columns: Sequence[str] | None,
    ) -> pa.Table:
        """Return rows in the order of the key."""
        table = self.table
        if columns is not None:
            table = table.select([name for name in table.column_names if name in columns or name in key])
        if codes is not None:
            pieces = []
            for code in sorted(set(codes)):
                i = self.at.get(code)
                if i is not None:
                    stop = self.starts[i + 1] if i + 1 < len(self.starts) else self.table.num_rows
                    pieces.append(table.slice(self.starts[i], stop - self.starts[i]))
            table = pa.concat_tables(pieces) if pieces else table.slice(0, 0)
        return within(table, key, None, start, end)


def write_segment(folder: Path, period: str, table: pa.Table, key: Sequence[str]) -> Block:
    """Write a table that is sorted by `key`; columns are laid down by name and empty ones left out."""
    names = sorted(n for n in table.column_names if n in key or table[n].null_count < table.num_rows)
    table = table.select(names)
    ranks, values = ranked(table[key[0]].cast(pa.string()))
    starts = np.searchsorted(ranks, np.arange(len(values)))
    header = {"codes": values.to_pylist(), "starts": starts.tolist()}
    file, size, sha256 = write_block(folder, period, KIND, header, [serialised(table)])
    ends = pc.min_max(table[key[-1]]).as_py()
    return Block(file, period, table.num_rows, size, sha256, ends["min"], ends["max"])
