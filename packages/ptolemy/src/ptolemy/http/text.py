"""Tables as JSON text: small ones by orjson, large ones column by column, without an object for each value.

There each value is written into a field of one width, with its comma behind it and filled up with zero bytes. A row
is its fields side by side, and in one walk over all rows what is no text is taken out of them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from ptolemy.answers import Answer

Words = npt.NDArray[np.uint32]  # of four characters
Ints = npt.NDArray[np.int64]

SMALL = 600  #: rows; for so many orjson takes less time
_BATCH = 2048  #: rows whose fields the processor holds in its cache
_DIGITS = 4  #: they are a part of a number, and a word
_PART = 10**_DIGITS
_MISSING = 2 * _PART  # its place in a table of parts
_FLOAT, _TEXT = pa.float64(), pa.string()
_ROW, _MINUS, _NOTHING = np.frombuffer(b"],[\0-\0\0\0\0\0\0\0", np.uint32)


def json_items(answer: Answer, before: bytes = b"", behind: bytes = b"") -> bytes:
    """Return the rows of an answer as a JSON array of arrays; null is null, a float keeps its point.

    Parameters
    ----------
    before, behind
        What stands around the array: to put it there later would copy all of it again.
    """
    table = answer.kept
    if not table.num_rows:
        return b"".join((before, b"[]", behind))
    if table.num_rows <= SMALL:
        return b"".join((before, _by_orjson(table, -1 if answer.backwards else 1), behind))
    batches = table.to_batches(_BATCH)
    lines = [_lines(batch, answer.backwards) for batch in (batches[::-1] if answer.backwards else batches)]
    lines[0] = lines[0][2:]  # there is no row before it
    return b"".join((before, b"[", *lines, b"]]", behind))


def _by_orjson(table: pa.Table, step: int) -> bytes:
    columns: list[Any] = []
    for column in table.columns:
        chunk: Any = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        # A missing float becomes a NaN, which orjson writes as null.
        columns.append(chunk.to_numpy(zero_copy_only=False).tolist() if chunk.type == _FLOAT else chunk.to_pylist())
    return orjson.dumps(list(zip(*columns, strict=True))[::step])


def _lines(batch: pa.RecordBatch, backwards: bool) -> bytes:
    """Return rows as ``],[1,2],[3,4``: each begins with the end of the one before."""
    count, commas = batch.num_rows, [b","] * (batch.num_columns - 1) + [b""]
    columns = [(i, column) for i, column in enumerate(batch.columns)]
    fields = _numbers([(i, c.to_numpy(zero_copy_only=False)) for i, c in columns if c.type == _FLOAT], commas)
    for i, column in columns:
        if i not in fields:
            fields[i] = _text(column, commas[i]) or _each(column, commas[i])
    words = [_ROW, *(word for i, _ in columns for word in fields[i])]
    page = np.empty((count, len(words)), np.uint32)
    for i, word in enumerate(words):
        page[:, i] = word
    return (page[::-1] if backwards else page).tobytes().translate(None, b"\0")


def _numbers(columns: list[tuple[int, Any]], commas: list[bytes]) -> dict[int, list[Words]]:
    """Return the fields of numbers that have four decimals at most, as prices do, and eight digits before them."""
    found: dict[int, list[Words]] = {}
    for places in (2, 4):
        if not columns:
            return found
        values = np.stack([column for _, column in columns])
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = np.rint(values * 10.0**places)
            fits = (scaled / 10.0**places == values) & (np.abs(scaled) < 10.0 ** (places + 2 * _DIGITS))
        gone = None
        whole = fits.all(axis=1)
        if not whole.all() and (missing := np.isnan(values)).any():
            whole = (fits | missing).all(axis=1)
            gone = missing[whole]
            scaled = np.where(missing, 0.0, scaled)  # what stands for it is put in its place in the end
        if whole.any():
            *before, behind = _parts_of(scaled[whole].astype(np.int64), places, gone)
            written = [i for (i, _), right in zip(columns, whole.tolist(), strict=True) if right]
            for place, i in enumerate(written):
                after = (word.take(behind[place], mode="clip") for word in _decimals(places, commas[i]))
                found[i] = [*(word[place] for word in before), *after]
        columns = [column for column, right in zip(columns, whole.tolist(), strict=True) if not right]
    return found


def _parts_of(scaled: Ints, places: int, gone: Any) -> list[Any]:
    """Return the words before the point of numbers times 10 ** `places`, and what is behind it as a number."""
    words: list[Any] = []
    if scaled.min() < 0:
        words.append(np.where(scaled < 0, _MINUS, _NOTHING))
        scaled = np.abs(scaled)
    most = int(scaled.max())
    numbers: Any = scaled.astype(np.uint32) if most < 1 << 32 else scaled  # half as long to divide
    rest = numbers // 10**places
    behind = numbers - rest * 10**places
    first, later = _parts()
    if most >= 10 ** (places + _DIGITS):
        above = rest // _PART
        rest = rest - above * _PART + np.where(above > 0, _PART, 0)
        words.append(later.take(above, mode="clip"))
    if gone is not None:
        rest, behind = np.where(gone, _MISSING, rest), np.where(gone, 10**places, behind)
    return [*words, first.take(rest, mode="clip"), behind]


def _each(column: Any, comma: bytes) -> list[Words]:
    """Return the fields of values that are written one by one."""
    values = column.to_numpy(zero_copy_only=False).tolist() if column.type == _FLOAT else column.to_pylist()
    return _apart(np.array([orjson.dumps(value) + comma for value in values]))


@lru_cache(1)
def _parts() -> tuple[Words, Words]:
    """Return four digits as words by their number: short, then with leading zeros; of the other parts 0 is nothing."""
    short, long = [b"%d" % i for i in range(_PART)], [b"%04d" % i for i in range(_PART)]
    first = np.array([*short, *long, b"null"], "S4").view(np.uint32)
    later = np.array([b"", *short[1:], *long], "S4").view(np.uint32)
    return first, later


@lru_cache(8)
def _decimals(places: int, comma: bytes) -> list[Words]:
    """Return what stands behind the point by its number, and last what stands behind a missing number."""
    texts = [f"{i / 10**places:.{places}f}"[1:].rstrip("0") for i in range(10**places)]
    texts = [".0" if text == "." else text for text in texts]
    return _apart(np.array([*(text.encode() + comma for text in texts), comma]))


def _text(column: Any, comma: bytes) -> list[Words] | None:
    """Return texts of one width that JSON writes as they are; of others those that differ are written once."""
    count = len(column)
    if column.type != _TEXT:
        return None
    if not column.null_count:
        _, ends, data = column.buffers()
        bounds = memoryview(ends).cast("i")[column.offset : column.offset + count + 1]
        width = bounds[1] - bounds[0]
        if width > 0 and bounds.tobytes() == _evenly(bounds[0], width, count):
            texts = memoryview(data)[bounds[0] : bounds[-1]].tobytes()
            if (words := _quoted(texts, width, comma)) is not None:
                return words
    if count < 100:
        return None
    coded = column.dictionary_encode("encode")
    each = np.array([orjson.dumps(text) + comma for text in coded.dictionary.to_pylist()])
    return [word[coded.indices.to_numpy()] for word in _apart(each)]


@lru_cache(64)
def _evenly(begin: int, width: int, count: int) -> bytes:
    """Return where texts of one width begin, and where the last ends."""
    return (np.arange(count + 1, dtype=np.int32) * np.int32(width) + np.int32(begin)).tobytes()


@lru_cache(256)  # the same few days and securities are asked for again and again
def _quoted(texts: bytes, width: int, comma: bytes) -> list[Words] | None:
    """Return texts of one width in quotes; None if JSON writes one of them otherwise than it is."""
    letters = np.frombuffer(texts, np.uint8).reshape(-1, width)
    if ((letters < ord(" ")) | (letters == ord('"')) | (letters == ord("\\"))).any():
        return None
    quoted = np.zeros((len(letters), -(-(width + 3) // 4) * 4), np.uint8)
    quoted[:, 0] = quoted[:, width + 1] = ord('"')
    quoted[:, 1 : width + 1] = letters
    quoted[:, width + 2 : width + 2 + len(comma)] = ord(",")
    return _apart(quoted)


def _apart(texts: Any) -> list[Words]:
    """Return byte strings, or rows of bytes, as words."""
    if texts.dtype != np.uint8:
        width = -(-texts.dtype.itemsize // 4) * 4 or 4
        texts = texts.astype(f"S{width}")
    return [word.copy() for word in texts.view(np.uint32).reshape(len(texts), -1).T]
