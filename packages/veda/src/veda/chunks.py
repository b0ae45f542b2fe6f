"""Chunks: whole files of about 2 MiB together, compressed by zstd, named by the digest of their bytes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import zstandard

from veda._house.progress import Progress, no_progress
from veda.errors import ArchiveRefused, BadInput
from veda.manifest import MAX_FILE, MAX_RATIO, Chunk, FileEntry, Manifest
from veda.parallel import in_order
from veda.workspace import FILE, SourceFile

_R = TypeVar("_R")

TARGET = 2 << 20  #: Bytes of a chunk, on average, before compression: an edit of one file sends one chunk.
_LEAST, _MOST = TARGET // 8, 2 * TARGET
_LEVEL = 2  # of the bench tree, 0.5 % more bytes than level 3 in three quarters of its time
_own = threading.local()  # a compressor for each thread: a new one for each chunk costs a fifth of the time


def plan(files: Sequence[SourceFile]) -> Iterator[list[SourceFile]]:
    """Group `files` into chunks.

    A cut falls where a hash of the path says so, so that a new or changed file moves the cuts
    near it and no others: all other chunks stay as they are and need not travel again.
    """
    group: list[SourceFile] = []
    held = 0
    for file in files:
        if file.path == FILE:
            # It changes with each version, and must not take a chunk of others along.
            yield from [group] if group else []
            yield [file]
            group, held = [], 0
            continue
        if group and held + file.size > _MOST:
            yield group
            group, held = [], 0
        group.append(file)
        held += file.size
        if held >= _LEAST and _cuts(file):
            yield group
            group, held = [], 0
    if group:
        yield group


def _cuts(file: SourceFile) -> bool:
    # The chance is the file's share of a chunk, so that chunks have one average size for small and big files.
    draw = int.from_bytes(hashlib.sha256(file.path.encode()).digest()[:4], "big") / (1 << 32)
    return draw < file.size / TARGET


def pack_chunk(group: Sequence[SourceFile]) -> tuple[Chunk, bytes, list[tuple[str, int]]]:
    """Read and compress one group.

    Returns
    -------
    Chunk
        Its description.
    bytes
        Its bytes as they are stored.
    list of (str, int)
        SHA-256 and offset of each file.
    """
    parts, entries, offset = [], [], 0
    for file in group:
        data = read_source(file)
        parts.append(data)
        entries.append((hashlib.sha256(data).hexdigest(), offset))
        offset += len(data)
    raw = b"".join(parts)
    packed = pack_frame(raw)
    # A chunk that would unpack to more than a reader allows is stored as it is.
    too_dense = len(raw) > 1 << 20 and len(raw) > len(packed) * MAX_RATIO
    encoding, stored = ("raw", raw) if too_dense or len(packed) >= len(raw) * 0.97 else ("zstd", packed)
    return Chunk(hashlib.sha256(stored).hexdigest(), len(stored), len(raw), encoding), stored, entries


def check_stored(chunk: Chunk, stored: bytes) -> None:
    """Refuse bytes that are not those that `chunk` names."""
    if len(stored) != chunk.size or hashlib.sha256(stored).hexdigest() != chunk.sha256:
        raise ArchiveRefused("chunk-damaged", f"the bytes of {chunk.member} are not those of its name")


def unpack_chunk(chunk: Chunk, stored: bytes) -> bytes:
    """Return a chunk's files end to end; refuse what unpacks to anything else than `chunk` says.

    `stored` has passed `check_stored`, or comes from a store, which compares blobs with their names.
    """
    if len(stored) != chunk.size:
        raise ArchiveRefused("chunk-size", f"{chunk.member} has another size than declared")
    if chunk.encoding == "raw":
        return stored
    raw = unpack_frame(stored, chunk.member, chunk.raw_size)
    if len(raw) != chunk.raw_size:
        raise ArchiveRefused("chunk-size", f"{chunk.member} unpacks to another size than declared")
    return raw


def pack_frame(data: bytes) -> bytes:
    """Return `data` as one zstd frame that says its size."""
    if not hasattr(_own, "compressor"):
        _own.compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=False, write_content_size=True)
    packed: bytes = _own.compressor.compress(data)
    return packed


def unpack_frame(stored: bytes, what: str, most: int) -> bytes:
    """Return what one zstd frame holds; refuse `what` if it is anything else, or more than `most` bytes."""
    try:
        # The frame's own size is compared first: it decides how much memory the decoder takes.
        size = zstandard.get_frame_parameters(stored).content_size
        if size > most:
            raise ArchiveRefused("chunk-size", f"{what} unpacks to more than the {most} bytes that it may have")
        return zstandard.ZstdDecompressor(max_window_size=1 << 27).decompress(
            stored, max_output_size=size, allow_extra_data=False
        )
    except zstandard.ZstdError as exc:
        raise ArchiveRefused("chunk-damaged", f"{what} is no zstd frame: {exc}") from None


def split(raw: bytes, files: Sequence[FileEntry]) -> Iterator[tuple[FileEntry, memoryview]]:
    """Give each file of a chunk with its bytes; refuse a file whose digest is another."""
    view = memoryview(raw)
    for file in files:
        data = view[file.offset : file.offset + file.size]
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise ArchiveRefused("file-damaged", f"the bytes of {file.path!r} are not those that the manifest names")
        yield file, data


def each_chunk(
    manifest: Manifest,
    stored: Callable[[Chunk], bytes],
    work: Callable[[list[tuple[FileEntry, memoryview]]], _R],
    progress: Progress = no_progress,
) -> Iterator[_R]:
    """Give ``work(files)`` for the files of each chunk, in order, their bytes beside them and every digest checked.

    `stored` gives the bytes of a chunk as they are stored. One thread does all of a chunk, of which
    several are under way: threads that hand files on wait for one another most of the time.
    """
    groups: dict[str, list[FileEntry]] = {c.sha256: [] for c in manifest.chunks}
    for file in manifest.files:
        groups[manifest.chunks[file.chunk].sha256].append(file)

    def worked(chunk: Chunk) -> _R:
        return work(list(split(unpack_chunk(chunk, stored(chunk)), groups[chunk.sha256])))

    done, total = 0, manifest.size
    for chunk, result in zip(manifest.chunks, in_order(worked, manifest.chunks, lambda c: c.raw_size), strict=True):
        yield result
        done += chunk.raw_size
        progress(done, total)


def read_source(file: SourceFile) -> bytes:
    """Return the bytes of a file of the workspace; raise `BadInput` if it cannot be packed."""
    if file.size > MAX_FILE:
        raise BadInput(f"{file.source} has {file.size} bytes; a file may have {MAX_FILE}", hint="keep big data out")
    try:
        with open(file.place, "rb", buffering=0) as source:  # noqa: PTH123 - a Path for each file costs as much
            data = source.read()
    except OSError as exc:
        raise BadInput(f"{file.source} cannot be read: {exc.strerror}") from None
    if len(data) != file.size:
        raise BadInput(f"{file.source} changed while it was packed", hint="pack again when nothing writes there")
    return data
