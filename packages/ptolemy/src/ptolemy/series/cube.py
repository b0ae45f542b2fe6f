"""Dense cubes: the numbers of a regular panel as one array [security, column, day] in a mapped file.

A cell of a row that does not exist holds a NaN of its own (`ABSENT`); a missing number is the
ordinary NaN. One layout serves a security's history, a day's cross-section and anything between.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ptolemy.series.block import Block, damaged, map_block, write_block

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

KIND = "cube"
_buffer: Any = pa.py_buffer  # its stubs do not know that an array is a buffer
#: A quiet NaN with a payload that no arithmetic makes.
ABSENT = np.int64(0x7FF8_0000_0000_0AB5)
_ABSENT = np.array([ABSENT]).view(np.float64)[0]


class Cube:
    """One mapped cube."""

    def __init__(self, folder: Path, block: Block) -> None:
        path = folder / block.file
        header, data, start = map_block(path, block.bytes)
        self.codes: list[str] = header["codes"]
        self.times: list[str] = header["times"]
        self.columns: list[str] = header["columns"]
        self.nulls = frozenset(header["nulls"])  #: columns in which a row that exists has no number
        self.full: bool = header["full"]  #: whether every security has a row on every day
        shape = (len(self.codes), len(self.columns), len(self.times))
        if block.bytes - start != 8 * shape[0] * shape[1] * shape[2]:
            raise damaged(path, "has a header that does not fit its bytes")
        self.values: Floats = np.frombuffer(data, np.float64, offset=start).reshape(shape)
        self.at = {name: i for i, name in enumerate(self.columns)}

    @cached_property
    def rows(self) -> dict[str, int]:
        """Where each code is."""
        return {code: i for i, code in enumerate(self.codes)}

    @cached_property
    def names(self) -> Any:
        """The codes as Arrow strings."""
        return pa.array(self.codes, pa.string())

    @cached_property
    def name_bytes(self) -> npt.NDArray[np.bytes_] | None:
        """The codes as bytes if all are of one width."""
        return _even(self.codes)

    @cached_property
    def days(self) -> npt.NDArray[np.bytes_]:
        """The times as bytes, all of one width."""
        return np.array([time.encode() for time in self.times])

    def window(self, start: str | None, end: str | None) -> tuple[int, int]:
        """Return the first time at or after `start`, and the one behind `end`."""
        first = 0 if start is None else bisect_left(self.times, start)
        return first, len(self.times) if end is None else bisect_right(self.times, end)


def write_cube(
    folder: Path,
    period: str,
    codes: Sequence[str],
    times: Sequence[str],
    columns: Mapping[str, Floats],
    code_at: Ints,
    time_at: Ints,
) -> Block:
    """Write rows as a cube: row i is security ``code_at[i]`` at ``time_at[i]``; a missing number is NaN.

    A column without any number is left out: the file depends on nothing but what it holds.
    """
    kept = sorted(name for name, values in columns.items() if not np.isnan(values).all())
    kept = kept or sorted(columns)[:1]
    shape = (len(codes), len(kept), len(times))
    full = len(code_at) == shape[0] * shape[2]
    flat = np.empty(shape[0] * shape[1] * shape[2]) if full else np.full(shape[0] * shape[1] * shape[2], _ABSENT)
    base = code_at * (shape[1] * shape[2]) + time_at
    nulls = []
    for i, name in enumerate(kept):
        values = columns[name]
        missing = np.isnan(values)
        if missing.any():
            nulls.append(name)
            values = np.where(missing, np.nan, values)  # one NaN for all
        flat[base + i * shape[2]] = values
    header = {"codes": codes, "times": times, "columns": kept, "nulls": nulls, "full": full}
    name, size, sha256 = write_block(folder, period, KIND, header, [flat])
    return Block(name, period, len(code_at), size, sha256, times[0], times[-1])


def read_cubes(
    cubes: Sequence[Cube],
    schema: pa.Schema,
    key: Sequence[str],
    codes: Sequence[str] | None,
    start: str | None,
    end: str | None,
) -> pa.Table:
    """Return the rows of cubes that follow one another in time, in the order of the key."""
    found = [(cube, *cube.window(start, end)) for cube in cubes]
    windows = [(cube, a, b) for cube, a, b in found if b > a]
    wanted = _wanted([cube for cube, _, _ in windows], codes)
    days = sum(b - a for _, a, b in windows)
    if not wanted or not days:
        return schema.empty_table()
    names = [name for name in schema.names if name not in key] or windows[0][0].columns[:1]
    values = np.empty((len(names), len(wanted), days))
    whole = _fill(values, windows, names, wanted)
    keep: Ints | None = None
    flat = values.reshape(len(names), -1)
    if not whole:
        there = flat[0].view(np.int64) != ABSENT
        if not there.all():
            keep = np.flatnonzero(there)
            flat = flat.take(keep, axis=1)
    arrays = _numbers(flat, names, windows) | _keys(key, wanted, windows, days, keep)
    return pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)


def _wanted(cubes: Sequence[Cube], codes: Sequence[str] | None) -> list[str]:
    if codes is not None:
        return [code for code in sorted(set(codes)) if any(code in cube.rows for cube in cubes)]
    if all(cube.codes == cubes[0].codes for cube in cubes[1:]):
        return cubes[0].codes if cubes else []
    return sorted({code for cube in cubes for code in cube.codes})


def _fill(
    values: Floats, windows: Sequence[tuple[Cube, int, int]], names: Sequence[str], wanted: Sequence[str]
) -> bool:
    """Copy the windows into `values` [column, security, day]; tell whether every row exists."""
    whole = True
    offset = 0
    for cube, a, b in windows:
        target = values[:, :, offset : offset + b - a]
        offset += b - a
        whole = whole and cube.full
        columns = [cube.at.get(name, -1) for name in names]
        if wanted is cube.codes or wanted == cube.codes:
            there: Any = slice(None)
            source = cube.values[:, :, a:b]
        else:
            rows = [cube.rows.get(code, -1) for code in wanted]
            if -1 in rows:
                whole = False
                target[:] = _ABSENT
                there = np.flatnonzero(np.array(rows) >= 0)
                rows = [row for row in rows if row >= 0]
            else:
                there = slice(None)
            # A single row is a view, and a view costs nothing.
            source = cube.values[rows[0] : rows[0] + 1, :, a:b] if len(rows) == 1 else cube.values[rows, :, a:b]
        if b - a == 1 and len(source) == len(cube.codes):
            # Cells lie far apart: one walk along all of them, and the small result is turned around.
            cells = np.ascontiguousarray(cube.values.reshape(-1)[a :: len(cube.times)])
            source = cells.reshape(len(cube.codes), len(cube.columns), 1)
        for i, column in enumerate(columns):
            if column >= 0:
                target[i, there] = source[:, column]
            else:
                known = (
                    source[:, 0].view(np.int64)
                    if source[:, 0].flags.c_contiguous
                    else source[:, 0].copy().view(np.int64)
                )
                target[i, there] = np.where(known == ABSENT, _ABSENT, np.nan)
    return whole


def _numbers(flat: Floats, names: Sequence[str], windows: Sequence[tuple[Cube, int, int]]) -> dict[str, Any]:
    count = flat.shape[1]
    whole: Any = _buffer(np.ascontiguousarray(flat))
    arrays = {}
    for i, name in enumerate(names):
        bitmap = None
        if any(name in cube.nulls or name not in cube.at for cube, _, _ in windows):
            valid = ~np.isnan(flat[i])
            if not valid.all():
                bitmap = _buffer(np.packbits(valid, bitorder="little"))
        arrays[name] = pa.Array.from_buffers(pa.float64(), count, [bitmap, whole.slice(8 * count * i, 8 * count)])
    return arrays


def _keys(
    key: Sequence[str], wanted: Sequence[str], windows: Sequence[tuple[Cube, int, int]], days: int, keep: Ints | None
) -> dict[str, Any]:
    times = windows[0][0].days[windows[0][1] : windows[0][2]]
    if len(windows) > 1:
        times = np.concatenate([cube.days[a:b] for cube, a, b in windows])
    if keep is not None:
        return {key[0]: _chosen(wanted, keep // days, windows), key[1]: _text(times[keep % days])}
    if len(wanted) == 1:
        return {key[0]: _text(np.full(days, wanted[0].encode())), key[1]: _text(times)}
    if days == 1 and wanted is windows[0][0].codes:
        return {key[0]: windows[0][0].names, key[1]: _text(np.repeat(times, len(wanted)))}
    code_at = np.repeat(np.arange(len(wanted)), days)
    return {key[0]: _chosen(wanted, code_at, windows), key[1]: _text(np.tile(times, len(wanted)))}


def _chosen(wanted: Sequence[str], at: Ints, windows: Sequence[tuple[Cube, int, int]]) -> Any:
    # What is known of all codes of a cube is not found out again for each question.
    known = windows[0][0] if wanted is windows[0][0].codes else None
    even = known.name_bytes if known else _even(wanted)
    if even is not None:
        return _text(even[at])
    names = known.names if known else pa.array(wanted, pa.string())
    return names.take(pa.array(at, pa.int64()))


def _even(texts: Sequence[str]) -> npt.NDArray[np.bytes_] | None:
    found = [text.encode() for text in texts]
    return np.array(found) if len({len(text) for text in found}) == 1 else None


def _text(fixed: npt.NDArray[np.bytes_]) -> Any:
    """Return byte strings of one width as Arrow strings, without looking at each."""
    count, width = len(fixed), fixed.dtype.itemsize
    data = _buffer(np.ascontiguousarray(fixed))
    return pa.Array.from_buffers(pa.string(), count, [None, _offsets(count, width), data])


@lru_cache(maxsize=16)
def _offsets(count: int, width: int) -> Any:
    return _buffer(np.arange(0, (count + 1) * width, width, dtype=np.int32)[: count + 1])
