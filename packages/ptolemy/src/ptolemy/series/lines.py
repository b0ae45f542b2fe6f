"""Rows as InfluxDB's line protocol, and back from the CSV of its queries; no loop over rows in Python.

The measurement is the data set, the key's columns but the time are tags, numbers are float fields
(an integer field would refuse the first float) and a missing value is left out. A day is 00:00 UTC
of that day, a moment its time in Shanghai; rows whose key has no time lie at the epoch, with all of
the key as tags.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from ptolemy.catalogue import find
from ptolemy.errors import BadInput
from ptolemy.series.merge import positions, ranked

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands

#: What the times of a data set are; also the name of the retention policy that they go to.
Kind = Literal["daily", "minutes", "ticks"]
#: The field of a row in which no other field has a value.
EMPTY = "ptolemy_row"
_FIRST = ["__measurement__", "__tags__", "__time__"]  #: the first columns of every answer
_SHANGHAI = timezone(timedelta(hours=8))
_DAY = re.compile(r"\d{8}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?")


@dataclass(frozen=True)
class Shape:
    """How rows of a data set become points."""

    dataset: str
    key: tuple[str, ...]
    kind: Kind
    timed: bool

    @property
    def tags(self) -> tuple[str, ...]:
        """The columns of the key that are tags."""
        return self.key[:-1] if self.timed else self.key


def shape_of(dataset: str, table: pa.Table, key: Sequence[str]) -> Shape:
    """Return the shape of a data set: as the catalogue says, or else as its first rows are."""
    known = find(dataset)
    if known is not None and known.key == tuple(key):
        of_moments: Kind = "ticks" if known.asking is None else "minutes"
        kind: Kind = of_moments if known.time is not None and known.time.type == "time" else "daily"
        return Shape(dataset, tuple(key), kind, timed=known.time is not None and len(key) > 1)
    times = pc.unique(table[key[-1]]).to_pylist()
    if all(_DAY.fullmatch(time) for time in times):
        return Shape(dataset, tuple(key), "daily", timed=len(key) > 1)
    if all(_MOMENT.fullmatch(time) for time in times):
        kind = "ticks" if any("." in time for time in times) else "minutes"
        return Shape(dataset, tuple(key), kind, timed=len(key) > 1)
    return Shape(dataset, tuple(key), "daily", timed=False)


def nanoseconds(time: str) -> int:
    """Return a day or a moment as nanoseconds since the epoch; raise `BadInput` if it is none."""
    try:
        if _DAY.fullmatch(time):
            return int(datetime.strptime(time, "%Y%m%d").replace(tzinfo=UTC).timestamp()) * 10**9
        whole, _, fraction = time.partition(".")
        moment = datetime.strptime(whole, "%Y-%m-%d %H:%M:%S").replace(tzinfo=_SHANGHAI)
        return int(moment.timestamp()) * 10**9 + int(fraction.ljust(9, "0") or 0)
    except ValueError:
        raise BadInput(f"{time!r} is neither a day nor a moment", hint="20240102, or 2024-01-02 09:31:00") from None


def lines(shape: Shape, table: pa.Table) -> bytes:
    """Return `table` as lines, each row one line."""
    if not table.num_rows:
        return b""
    tags: list[Any] = [_escaped(shape.dataset, ", ")]
    for name in shape.tags:
        tags += [f",{_escaped(name, ', =')}=", _tag(table[name])]
    stamps = _stamps(table[shape.key[-1]]) if shape.timed else "0"
    fields = [name for name in table.column_names if name not in shape.key]
    whole = all(table[name].null_count == 0 for name in fields)
    parts: list[Any] = []
    for name in fields:
        label = f"{_escaped(name, ', =')}="
        field = _field(table[name].combine_chunks())
        # What is null stays so when it is joined, and is left out below.
        parts += [label, field, ","] if whole else [_join([f",{label}", field])]
    if whole and fields:
        return _text(_join([*tags, " ", *parts[:-1], " ", stamps], rows=table.num_rows))
    values: Any = pa.array([""] * table.num_rows, pa.string())
    values = pc.binary_join_element_wise(values, *parts, "", null_handling="replace", null_replacement="")
    values = pc.utf8_ltrim(values, ",")
    values = pc.if_else(pc.equal(values, ""), f"{EMPTY}=true", values)
    return _text(_join([*tags, " ", values, " ", stamps], rows=table.num_rows))


def parsed(data: bytes, shape: Shape, schema: pa.Schema) -> pa.Table:
    """Return the rows of a query's CSV (``epoch=ns``) in the order of the key."""
    if not data.strip():
        return pa.Table.from_batches([], schema)  # `empty_table()` imports pandas
    header = data[: data.index(b"\n")].decode().strip().split(",")
    header[:3] = _FIRST  # a column may be called as the server calls its own
    kinds: dict[str, pa.DataType] = {_FIRST[2]: pa.int64()}
    for field in schema:
        number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        kinds[field.name] = pa.float64() if number else field.type
    read: Any = pyarrow.csv.read_csv  # its stubs do not know that a reader is a file
    table = read(
        pa.BufferReader(data),
        read_options=pyarrow.csv.ReadOptions(column_names=header, skip_rows=1),
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=[name for name in header if name in kinds],
            column_types=kinds,
            strings_can_be_null=True,
            null_values=[""],
            quoted_strings_can_be_null=False,
        ),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
    )
    columns: dict[str, Any] = {}
    for field in schema:
        if shape.timed and field.name == shape.key[-1]:
            columns[field.name] = _times(table[_FIRST[2]], shape.kind)
        elif field.name in table.column_names:
            columns[field.name] = table[field.name].cast(field.type)
        else:
            columns[field.name] = pa.nulls(table.num_rows, field.type)
    table = pa.table(columns, schema=schema)
    order = np.argsort(positions(table, shape.key), kind="stable")
    return table.take(pa.array(order, pa.int64())).combine_chunks()


def _join(parts: Sequence[Any], rows: int | None = None) -> Any:
    """Join texts element by element; neighbours that are the same for all rows are joined once."""
    merged: list[Any] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    if rows is not None:
        merged.append("\n" if not isinstance(merged[-1], str) else merged.pop() + "\n")
    return pc.binary_join_element_wise(*(_plain(part) for part in merged), "")


def _plain(part: Any) -> Any:
    return pa.scalar(part) if isinstance(part, str) else part


def _text(joined: Any) -> bytes:
    """Return all texts one behind the other: they lie so in memory already."""
    pieces = []
    for chunk in joined.chunks if isinstance(joined, pa.ChunkedArray) else [joined]:
        buffers: list[Any] = chunk.buffers()
        _, offsets, data = buffers
        ends = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
        pieces.append(bytes(memoryview(data)[int(ends[0]) : int(ends[-1])]))
    return b"".join(pieces)


def _field(column: Any) -> Any:
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return pc.cast(pc.cast(column, pa.float64()), pa.string())
    if pa.types.is_boolean(column.type):
        return pc.if_else(column, "true", "false")
    text = pc.cast(column, pa.string())
    if pc.any(pc.match_substring_regex(text, r'["\\]')).as_py():
        text = pc.replace_substring_regex(text, r'(["\\])', r"\\\1")
    return _join(['"', text, '"'])


def _tag(column: Any) -> Any:
    text = column.combine_chunks()
    # Each security is looked at once, not once a row.
    if pc.any(pc.match_substring_regex(text.dictionary_encode().dictionary, "[, =]")).as_py():
        text = pc.replace_substring_regex(text, "([, =])", r"\\\1")
    return text


def _stamps(column: Any) -> Any:
    ranks, times = ranked(column)
    texts = pa.array([str(nanoseconds(time)) for time in times.to_pylist()], pa.string())
    return texts.take(pa.array(ranks, pa.int64()))


def _times(stamps: Any, kind: Kind) -> Any:
    numbers: npt.NDArray[np.int64] = stamps.combine_chunks().to_numpy()
    found, at = np.unique(numbers, return_inverse=True)
    return pa.array([_time(int(n), kind) for n in found], pa.string()).take(pa.array(at, pa.int64()))


def _time(stamp: int, kind: Kind) -> str:
    seconds, rest = divmod(stamp, 10**9)
    if kind == "daily":
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%d")
    text = datetime.fromtimestamp(seconds, _SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
    return text + f".{rest:09d}".rstrip("0") if rest else text


def _escaped(text: str, what: str) -> str:
    return "".join("\\" + c if c in what else c for c in text)
