"""Answers as an Arrow stream, put together from its messages: a writer takes three times as long for a small one."""

from __future__ import annotations

import struct
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from ptolemy.answers import Answer

SMALL = 2000  #: rows; more of them are turned around as quickly by Arrow
_INT, _SHORT = struct.Struct("<i"), struct.Struct("<H")
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

    Simple are numbers of eight bytes and texts of one width a column, none of them missing. Turning
    their bytes around takes a quarter of the time that taking the rows one by one does.
    """
    count = batch.num_rows
    kinds = _kinds(batch.schema)
    if "" in kinds or any(column.null_count for column in batch.columns):
        return None
    message = bytearray(memoryview(batch.serialize()))
    places = iter(_places(message))
    numbers = []
    for kind in kinds:
        next(places)  # which are missing: none
        if kind == "number":
            numbers.append(next(places))
            continue
        ends = np.frombuffer(message, np.int32, count + 1, next(places))
        width, at = int(ends[1]), next(places)
        if not width or ends[-1] != width * count or (np.diff(ends) != width).any():
            return None
        _turn(np.frombuffer(message, f"V{width}", count, at))
    apart = {b - a for a, b in pairwise(numbers)}
    if len(apart) == 1:  # all of them at once
        _turn(np.ndarray((len(numbers), count), np.int64, message, numbers[0], (apart.pop(), 8)))
    else:
        for at in numbers:
            _turn(np.frombuffer(message, np.int64, count, at))
    return message


def _turn(values: Any) -> None:
    values[:] = values[..., ::-1].copy()


def _places(message: bytearray) -> list[int]:
    """Return where each array of a record batch begins, as the message's own head (a FlatBuffer) says."""

    def field(table: int, number: int) -> int:
        offsets = table - _INT.unpack_from(message, table)[0]
        return table + int(_SHORT.unpack_from(message, offsets + 4 + 2 * number)[0])

    def behind(place: int) -> int:
        return place + int(_INT.unpack_from(message, place)[0])

    begin = 8 + _INT.unpack_from(message, 4)[0]
    batch = behind(field(behind(8), 2))  # Message.header
    arrays = behind(field(batch, 2))  # RecordBatch.buffers: (place, length) each
    count = _INT.unpack_from(message, arrays)[0]
    found: list[int] = (np.frombuffer(message, np.int64, 2 * count, arrays + 4)[::2] + begin).tolist()
    return found


@lru_cache(1024)
def _kinds(schema: pa.Schema) -> tuple[str, ...]:
    found = []
    for field in schema:
        kind = field.type
        is_number = pa.types.is_float64(kind) or pa.types.is_int64(kind)
        found.append("number" if is_number else "text" if pa.types.is_string(kind) else "")
    return tuple(found)
