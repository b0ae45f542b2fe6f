"""Tables as JSON text: small ones by orjson, large ones by Arrow's CSV writer, which holds no interpreter's lock."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv

from ptolemy.answers import Answer

SMALL = 2000  #: rows; for so many the writer's start costs more than what it saves
_FLOAT = pa.float64()
_BATCH = 4096  #: rows
_SPECIAL = re.compile(rb'["\\\x00-\x1f]')  # what JSON writes otherwise than CSV


def json_items(answer: Answer, before: bytes = b"", behind: bytes = b"") -> bytes:
    """Return the rows of an answer as a JSON array of arrays; null is null, a float keeps its point.

    Parameters
    ----------
    before, behind
        What stands around the array: to put it there later would copy all of it again.
    """
    if answer.kept.num_rows <= SMALL:
        return b"".join((before, _by_orjson(answer.kept, -1 if answer.backwards else 1), behind))
    table = answer.table.combine_chunks()
    columns, nulls = [], 0
    for name in table.column_names:
        column: Any = table[name].chunk(0)
        if pa.types.is_floating(column.type):
            column, lacking = _number(column)
            nulls += lacking
        elif column.null_count or _has_special(column):
            return b"".join((before, _by_orjson(table), behind))
        columns.append(column)
    sink: Any = _Lines()  # its stubs know no writer but files
    options = pyarrow.csv.WriteOptions(include_header=False, batch_size=_BATCH)
    pyarrow.csv.write_csv(pa.table(columns, names=table.column_names), sink, options)
    if sink.missing != nulls:
        return b"".join((before, _by_orjson(table), behind))
    sink.pieces[-1] = sink.pieces[-1][:-3]  # the last line has an end too
    return b"".join((before, b"[[", *sink.pieces, b"]]", behind))


class _Lines(io.RawIOBase):
    """Takes lines of CSV, so many at once as the processor holds in its cache, and keeps them as JSON."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.missing = 0  #: numbers, if no text holds ``,nan`` and no row begins with it

    def writable(self) -> bool:
        return True

    def write(self, lines: Any) -> int:
        piece = bytes(lines)
        if missing := piece.count(b",nan"):
            self.missing += missing
            piece = piece.replace(b",nan", b",null")
        self.pieces.append(piece.replace(b"\n", b"],["))
        return len(lines)


def _number(column: pa.Array[Any]) -> tuple[pa.Array[Any], int]:
    missing = column.null_count
    if missing:
        return column.fill_null(float("nan")), missing
    values = column.to_numpy()
    # Prices have two decimals: as such they are written in two thirds of the time, and whole numbers keep a point.
    with np.errstate(invalid="ignore", over="ignore"):
        cents = np.rint(values * 100)
        if not (np.abs(cents) < 1e15).all() or not np.array_equal(cents / 100, values):
            return column, 0
    words: Any = np.empty((len(cents), 2), np.int64)
    words[:, 0] = cents
    words[:, 1] = words[:, 0] >> 63
    buffers: list[Any] = [None, pa.py_buffer(words)]
    return pa.Array.from_buffers(pa.decimal128(18, 2), len(cents), buffers), 0


def _has_special(column: pa.Array[Any]) -> bool:
    if not pa.types.is_string(column.type):
        return False
    if len(column) > 2000:  # of so many rows most texts are there more than once
        column = column.dictionary_encode().dictionary
    _, ends, data = column.buffers()
    if data is None or ends is None:
        return False
    # A slice keeps the whole buffer: only its own part is looked at.
    bounds = np.frombuffer(memoryview(ends), np.int32)[column.offset : column.offset + len(column) + 1]
    return _SPECIAL.search(memoryview(data)[bounds[0] : bounds[-1]]) is not None


def _by_orjson(table: pa.Table, step: int = 1) -> bytes:
    columns: list[Any] = []
    for column in table.columns:
        chunk: Any = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        # A missing float becomes a NaN, which orjson writes as null.
        columns.append(chunk.to_numpy(zero_copy_only=False).tolist() if chunk.type == _FLOAT else chunk.to_pylist())
    return orjson.dumps(list(zip(*columns, strict=True))[::step])
