"""Arrow tables as bytes that are the same on every machine, and never pickled."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

_TYPES: dict[str, Any] = {
    "bool": pa.bool_(),
    "date32": pa.date32(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "string": pa.string(),
    "timestamp[ns]": pa.timestamp("ns"),
    "timestamp[us]": pa.timestamp("us"),
    "timestamp[us, UTC]": pa.timestamp("us", tz="UTC"),
    "uint8": pa.uint8(),
    "uint32": pa.uint32(),
    "uint64": pa.uint64(),
}


def known_types() -> list[str]:
    """Return the words that name a column's type, sorted."""
    return sorted(_TYPES)


def arrow_type(word: str) -> pa.DataType | None:
    """Return the Arrow type that `word` names, or None."""
    return _TYPES.get(word)


def to_bytes(table: pa.Table) -> bytes:
    """Return `table` as an Arrow IPC file: one batch, no compression, the same bytes for the same values."""
    sink = pa.BufferOutputStream()
    whole = table.combine_chunks()  # how a table was put together must not show in its bytes
    with pa.ipc.new_file(sink, whole.schema, options=pa.ipc.IpcWriteOptions(use_threads=False)) as writer:
        writer.write_table(whole)
    return bytes(sink.getvalue())


def from_bytes(data: Any) -> pa.Table:
    """Return the table in `data`, which is read where it lies and not copied."""
    return pa.ipc.open_file(pa.py_buffer(data)).read_all()
