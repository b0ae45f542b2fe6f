"""Immutable files of the compacted store: a header, then bytes that are used where they are mapped."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptolemy.errors import DamagedSeries

_MAGIC = b"PTOLEMYB"
_HEAD = struct.Struct("<8sQ")  # magic, bytes of the header
_PAGE = 4096  #: the payload begins at a page
_PIECE = 8 << 20


@dataclass(frozen=True)
class Block:
    """One immutable file of the rows of one period, as the manifest names it."""

    file: str
    period: str
    rows: int
    bytes: int
    sha256: str
    first: str
    last: str


def write_block(
    folder: Path, stem: str, kind: str, header: dict[str, Any], payload: Iterable[Any]
) -> tuple[str, int, str]:
    """Write a file, durable but for its name; return the name, which tells what it holds, its bytes and its SHA-256."""
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    front = _HEAD.pack(_MAGIC, len(text)) + text
    front += bytes(-len(front) % _PAGE)
    digest = hashlib.sha256(front)
    size = len(front)
    new = folder / f".{stem}.{os.getpid()}-{os.urandom(4).hex()}.tmp"
    try:
        with new.open("xb", buffering=0) as file:
            file.write(front)
            for part in payload:
                view = memoryview(part).cast("B")
                size += len(view)
                for at in range(0, len(view), _PIECE):
                    piece = view[at : at + _PIECE]
                    digest.update(piece)
                    written = 0
                    while written < len(piece):  # a full disk takes a part, then says why
                        written += file.write(piece[written:])
            os.fsync(file.fileno())
        name = f"{stem}-{digest.hexdigest()[:16]}.{kind}"
        new.replace(folder / name)
    finally:
        new.unlink(missing_ok=True)
    return name, size, digest.hexdigest()


def map_block(path: Path, size: int) -> tuple[dict[str, Any], memoryview, int]:
    """Map a file of `size` bytes; return its header, its bytes and where the payload begins.

    Raises
    ------
    DamagedSeries
        If it is not what was written.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Reading past the end of a mapped file ends the process, so the length comes first.
        found = os.fstat(descriptor).st_size
        if found != size:
            raise damaged(path, f"has {found} bytes, not {size}")
        data = memoryview(mmap.mmap(descriptor, size, prot=mmap.PROT_READ))
    finally:
        os.close(descriptor)
    magic, length = _HEAD.unpack_from(data)
    if magic != _MAGIC or _HEAD.size + length > size:
        raise damaged(path, "does not begin as a block does")
    try:
        header: dict[str, Any] = json.loads(bytes(data[_HEAD.size : _HEAD.size + length]))
    except ValueError as exc:
        raise damaged(path, f"has a header that cannot be read: {exc}") from exc
    front = _HEAD.size + length
    return header, data, front + -front % _PAGE


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def damaged(path: Path, what: str) -> DamagedSeries:
    """Return the error for a file that is not what was written."""
    return DamagedSeries(f"{path} {what}", hint=f"restore {path.parent} from a backup, or remove it and collect again")
