"""Segment files: a header, then records, each with its length and a checksum over itself and its place.

::

    segment   "EXIALOG1", number of its first record (8 bytes), records
    record    length (4 bytes), CRC-32 (4 bytes), that many bytes

Numbers are little-endian. A segment is called after the number of its first record, which is one more than
the number of the last record of the segment before. The checksum begins with the record's own number, so
that a record in the wrong place is as bad as an altered one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

MAGIC = b"EXIALOG1"
SUFFIX = ".seg"
LARGEST = 64 * 1024 * 1024  #: Bytes of one record at most; a longer length is garbage.

_HEADER = struct.Struct("<8sQ")
_RECORD = struct.Struct("<II")
_NUMBER = struct.Struct("<Q")

HEADER_SIZE = _HEADER.size


class Segment(NamedTuple):
    """One file of a log."""

    first: int  #: Number of its first record.
    path: Path


class Frame(NamedTuple):
    """One record as it was found."""

    data: bytes
    end: int  #: Where the next begins, in bytes from the start of what was read.


def segments(folder: Path) -> list[Segment]:
    """Return the segments of a log in order; none where there is no log."""
    found = (path for path in folder.glob(f"*{SUFFIX}") if path.stem.isdigit())
    return sorted(Segment(int(path.stem), path) for path in found)


def segment_path(folder: Path, first: int) -> Path:
    return folder / f"{first:020d}{SUFFIX}"


def header(first: int) -> bytes:
    return _HEADER.pack(MAGIC, first)


def has_header(data: bytes, first: int) -> bool:
    """Tell whether `data` begins as the segment of record `first` does."""
    return data[:HEADER_SIZE] == header(first)


def framed(first: int, payloads: Sequence[bytes]) -> bytes:
    """Return `payloads` as records, the first of which has the number `first`."""
    parts: list[bytes] = []
    for number, data in enumerate(payloads, first):
        parts += (_RECORD.pack(len(data), _checksum(number, data)), data)
    return b"".join(parts)


def frames(data: bytes, first: int) -> Iterator[Frame]:
    """Give the records of `data` up to the first that is not whole or not what was written."""
    at = 0
    for number in range(first, 2**64):
        if at + _RECORD.size > len(data):
            return
        length, checksum = _RECORD.unpack_from(data, at)
        end = at + _RECORD.size + length
        if length > LARGEST or end > len(data):
            return
        payload = data[at + _RECORD.size : end]
        if _checksum(number, payload) != checksum:
            return
        yield Frame(payload, end)
        at = end


def size_of_next(data: bytes) -> int | None:
    """Return how many bytes the record at the start of `data` takes, None if that cannot be known or true."""
    if len(data) < _RECORD.size:
        return None
    length = int(_RECORD.unpack_from(data)[0])
    return _RECORD.size + length if length <= LARGEST else None


def _checksum(number: int, data: bytes) -> int:
    return crc32(data, crc32(_NUMBER.pack(number)))
