"""Answers as an Arrow stream, put together from its messages: a writer takes three times as long for a small one."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from ptolemy.answers import Answer

SMALL = 2000  #: rows; more of them are turned around as quickly by Arrow
_END = b"\xff\xff\xff\xff\0\0\0\0"  # what ends a stream


def arrow_stream(answer: Answer) -> bytes:
    """Return the rows of an answer, newest first."""
    kept = answer.kept
    if answer.backwards and 1 < kept.num_rows <= SMALL:
        batches = kept.to_batches()
        if len(batches) == 1 and (message := _backwards(batches[0])) is not None:
            return b"".join((_head(kept.schema), message, _END))
    table = answer.table
    return b"".join((_head(table.schema), *(b.serialize() for b in table.to_batches()), _END))


@lru_cache(1024)
def _head(schema: pa.Schema) -> bytes:
    return schema.serialize().to_pybytes()


def _backwards(batch: pa.RecordBatch) -> Any:
    """Return the message of `batch` with its rows turned around, or None if they are not simple enough.

    Simple are numbers of eight bytes and texts of one width a column, none of them missing. Of these a
    message holds one array after the other, each padded to eight bytes, and turning the bytes around
    takes a quarter of the time that taking the rows one by one does.
    """
    count = batch.num_rows
    body = bytearray(memoryview(batch.serialize()))
    begin: int = 8 + struct.unpack_from("<i", body, 4)[0]
    at, numbers, turned = begin, 0, []
    for kind, column in zip(_kinds(batch.schema), batch.columns, strict=True):
        if not kind or column.null_count:
            return None
        if kind == "number":
            numbers += 1
            at += 8 * count
            continue
        turned.append((at - 8 * count * numbers, numbers))
        numbers = 0
        ends = np.frombuffer(body, np.int32, count + 1, at)
        width = int(ends[1])
        if not width or ends[-1] != width * count or (np.diff(ends) != width).any():
            return None
        at += _padded(4 * (count + 1))
        texts = np.frombuffer(body, f"V{width}", count, at)
        texts[:] = texts[::-1].copy()
        at += _padded(width * count)
    turned.append((at - 8 * count * numbers, numbers))
    if at != len(body):  # it is laid out otherwise than it was known to be
        return None
    for first, many in turned:
        if many:
            values = np.frombuffer(body, np.int64, count * many, first).reshape(many, count)
            values[:] = values[:, ::-1].copy()
    return body


@lru_cache(1024)
def _kinds(schema: pa.Schema) -> tuple[str, ...]:
    found = []
    for field in schema:
        kind = field.type
        is_number = pa.types.is_float64(kind) or pa.types.is_int64(kind)
        found.append("number" if is_number else "text" if pa.types.is_string(kind) else "")
    return tuple(found)


def _padded(size: int) -> int:
    return size + -size % 8
