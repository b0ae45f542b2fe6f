"""The log of a program: written by the program itself, so that it needs nobody to go on.

Positions in a log count all bytes that were ever written to it. Rotation copies the oldest part to ``NAME.log.1``
and frees its blocks; the program appends meanwhile and not a byte is lost or moved.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ptolemy._house.files import replacing
from ptolemy.services.port import LogPart

_SECRET_NAME = re.compile(r"password|passwd|pwd|secret|token|key|credential|signature", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(\w+://[^/\s:@]*:)[^/\s@]+@")
_KEEP_SIZE, _PUNCH_HOLE, _SEEK_DATA = 1, 2, 3


class Log:
    """The log at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self) -> int:
        """Return a descriptor to which a program writes its output."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def size(self) -> int:
        """Return how many bytes were ever written."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def begin(self) -> int:
        """Return the position of the first byte that is still in the log itself."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return 0
        try:
            return os.lseek(descriptor, 0, _SEEK_DATA)
        except OSError:  # nothing but the hole
            return self.size()
        finally:
            os.close(descriptor)

    def read(self, offset: int = -1, size: int = 65536) -> LogPart:
        """Return at most `size` bytes from `offset` on; -1 means the last ones, from the beginning of a line."""
        end, begin = self.size(), self.begin()
        last = offset < 0
        start = max(begin, end - size) if last else max(begin, min(offset, end))
        if start == end:
            return LogPart("", end)
        with self.path.open("rb") as file:
            file.seek(start)
            data = file.read(size)
        if last and start > begin:
            data = data.partition(b"\n")[2] or data
        else:
            # A character is not cut in two: its rest comes with the next part.
            whole = data[: len(data) - _cut(data)]
            data = whole or data
        return LogPart(data.lstrip(b"\0").decode("utf-8", "replace"), end if last else start + len(data))

    def holds(self, text: bytes, since: int) -> bool:
        """Tell whether what was written from the position `since` on holds `text`."""
        if self.size() <= since:
            return False
        with self.path.open("rb") as file:
            file.seek(since)
            return text in file.read(4 << 20)

    def last_lines(self, count: int) -> tuple[str, ...]:
        """Return the last `count` lines."""
        return tuple(self.read(-1, 16384).text.splitlines()[-count:])

    def rotate(self, size: int, files: int) -> bool:
        """Move what is older than the last bytes to ``NAME.log.1`` if the log holds more than `size`; tell whether."""
        begin, end = self.begin(), self.size()
        if end - begin <= size:
            return False
        with self.path.open("rb") as file:
            for number in range(files - 1, 0, -1):
                older = self._old(number)
                if older.exists():
                    older.replace(self._old(number + 1))
            if files:
                with replacing(self._old(1)) as old:
                    os.fchmod(old.fileno(), 0o600)
                    file.seek(begin)
                    left = end - begin
                    while left and (piece := file.read(min(left, 1 << 20))):
                        old.write(piece)
                        left -= len(piece)
        self._free(end)
        return True

    def _free(self, end: int) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor = os.open(self.path, os.O_RDWR)
        try:
            # Only whole blocks are freed; the bytes of a part are made zero, and readers skip them.
            failed = libc.fallocate(descriptor, _KEEP_SIZE | _PUNCH_HOLE, ctypes.c_int64(0), ctypes.c_int64(end))
            if failed:  # the file system cannot; what is written in this moment is lost
                os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def _old(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with each of `secrets`, and each password in a URL, as ``***``."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _URL_PASSWORD.sub(r"\1***@", text)


def secrets_of(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of `env` that must not be shown: those whose name says so, and passwords in URLs."""
    named = {v for k, v in env.items() if _SECRET_NAME.search(k) and len(v) >= 4}
    return tuple(named | {m for v in env.values() for m in re.findall(r"\w+://[^/\s:@]*:([^/\s@]{4,})@", v)})


def _cut(data: bytes) -> int:
    """Return how many bytes at the end begin a character that is not whole."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back if back < length else 0
        if byte < 0x80:
            return 0
    return 0
