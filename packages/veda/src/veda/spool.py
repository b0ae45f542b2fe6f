"""Packed chunks on their way into the archive, whose manifest stands before them and is known after them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import IO

MEMORY = 256 << 20  #: Bytes that are kept in memory; what comes after them goes to a temporary file.


class Spool(ExitStack):
    """Chunks in the order in which they were added; closing it removes the temporary file."""

    def __init__(self, memory: int = MEMORY) -> None:
        super().__init__()
        self._left = memory
        self._held: list[bytes] = []
        self._filed: list[int] = []
        self._file: IO[bytes] | None = None

    def add(self, chunk: bytes) -> None:
        """Keep one more chunk."""
        if self._file is None and len(chunk) <= self._left:
            self._held.append(chunk)
            self._left -= len(chunk)
            return
        if self._file is None:
            self._file = self.enter_context(TemporaryFile())  # noqa: SIM115 - closed with this object
        self._file.write(chunk)
        self._filed.append(len(chunk))

    def __iter__(self) -> Iterator[bytes]:
        yield from self._held
        if self._file is not None:
            self._file.seek(0)
            for size in self._filed:
                yield self._file.read(size)
