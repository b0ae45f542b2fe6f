"""The append-only log of a data set: one record for each version, durable before it is acknowledged.

A record is a head (magic, lengths), a JSON header (the version, and the range that it deleted), an
Arrow IPC stream with the rows that the version wrote, and a SHA-256 over all of it; each part begins
at a multiple of 64 bytes. A record that the end of the file cuts short was never acknowledged.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ptolemy._house.files import sync_folder
from ptolemy.series.port import Version

_MAGIC = b"PTOLEMY2"
_HEAD = struct.Struct("<8sQQ")  # magic, bytes of the header, bytes of the rows
_CRC = struct.Struct("<I")  # of the head: a length that was changed must not pass for a record cut short
_ALIGN = 64


@dataclass(frozen=True)
class Range:
    """Rows by value of the key's first column and of its last, both ends included; None is open."""

    codes: tuple[str, ...] | None = None
    start: str | None = None
    end: str | None = None


@dataclass(frozen=True)
class Record:
    """What one version did: the rows that it wrote, or the range that it deleted."""

    version: Version
    key: tuple[str, ...]
    table: pa.Table | None
    deleted: Range | None = None


@dataclass(frozen=True)
class Found:
    """What a log holds from some byte on: whole records, where they end and what is wrong there.

    Parameters
    ----------
    wrong
        Empty, or why the record at `end` cannot be read although it was written whole.
    torn
        Bytes behind `end` of a record that was never finished.
    """

    records: list[Record]
    end: int
    wrong: str = ""
    torn: int = 0


def serialised(table: pa.Table) -> pa.Buffer:
    """Return `table` as an Arrow IPC stream; the same rows give the same bytes."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema.remove_metadata()) as writer:
        writer.write_table(table)
    return sink.getvalue()


def chained(before: str, sha256: str) -> str:
    """Return the digest of a version from that of the one before and from what it wrote."""
    return "sha256:" + hashlib.sha256(f"{before}\n{sha256}".encode()).hexdigest()


class LogWriter:
    """The end of a log, open for appending; only the holder of the store's lock has one."""

    def __init__(self, path: Path, end: int) -> None:
        there = path.exists()
        self.path = path
        self.end = end
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if os.fstat(self._file).st_size > end:  # the torn record of a writer that died
            os.ftruncate(self._file, end)
        if not there:
            sync_folder(path.parent)

    def append(self, record: Record, body: pa.Buffer | None, sha256: str) -> None:
        """Write one record; it is durable on return, and the log is as it was on an error."""
        header = json.dumps(
            {
                "version": vars(record.version),
                "key": record.key,
                "deleted": vars(record.deleted) if record.deleted else None,
            },
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode()
        size = body.size if body is not None else 0
        head = _HEAD.pack(_MAGIC, len(header), size)
        front = _padded(head + _CRC.pack(zlib.crc32(head)) + header)
        rest = _rest(front, size, sha256)
        pieces: list[Any] = [front, memoryview(body) if body is not None else b"", rest]
        total = len(front) + size + len(rest)
        try:
            os.lseek(self._file, self.end, os.SEEK_SET)
            if os.writev(self._file, pieces) != total:
                self._write_rest(b"".join(pieces))
            os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, self.end)
            raise
        self.end += total

    def _write_rest(self, data: bytes) -> None:
        # A full disk takes a part; the next write says why.
        written = 0
        while written < len(data):
            written += os.pwrite(self._file, data[written:], self.end + written)

    def close(self) -> None:
        os.close(self._file)


def scan(descriptor: int, offset: int, size: int) -> Found:
    """Read the records of a log from `offset` to `size`; each is checked against its digest."""
    records: list[Record] = []
    while offset < size:
        head = os.pread(descriptor, _HEAD.size + _CRC.size, offset)
        if len(head) < _HEAD.size + _CRC.size or not any(head):  # a crash may leave zeros
            return Found(records, offset, torn=size - offset)
        magic, header, body = _HEAD.unpack_from(head)
        if magic != _MAGIC or _CRC.unpack_from(head, _HEAD.size)[0] != zlib.crc32(head[: _HEAD.size]):
            return Found(records, offset, wrong=f"has a damaged record at byte {offset}")
        front = _HEAD.size + _CRC.size + header
        front += -front % _ALIGN
        total = front + body + -body % _ALIGN + _ALIGN
        data = os.pread(descriptor, total, offset) if offset + total <= size else b""
        if len(data) < total:
            return Found(records, offset, torn=size - offset)
        rows = memoryview(data)[front : front + body]
        sha256 = hashlib.sha256(rows).hexdigest()
        if data[front + body :] != _rest(data[:front], body, sha256):
            return Found(records, offset, wrong=f"has a wrong checksum in the record at byte {offset}")
        records.append(_record(data[:front], pa.py_buffer(rows) if body else None))
        offset += total
    return Found(records, offset)


def _record(front: bytes, rows: pa.Buffer | None) -> Record:
    _, length, _ = _HEAD.unpack_from(front)
    start = _HEAD.size + _CRC.size
    header = json.loads(front[start : start + length])
    deleted = header["deleted"]
    if deleted is not None:
        codes = deleted["codes"]
        deleted = Range(None if codes is None else tuple(codes), deleted["start"], deleted["end"])
    table = None if rows is None else pa.ipc.open_stream(rows).read_all()
    return Record(Version(**header["version"]), tuple(header["key"]), table, deleted)


def _rest(front: bytes, size: int, sha256: str) -> bytes:
    """Return what stands behind the rows: the checksum, at its place."""
    return bytes(-size % _ALIGN) + _padded(hashlib.sha256(front + sha256.encode()).digest())


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGN)
