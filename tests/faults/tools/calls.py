"""Read the system calls that strace has written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_LINE = re.compile(r"^(\d+)\s+(.*)$", re.DOTALL)
_RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$", re.DOTALL)
_CALL = re.compile(r"^(\w+)\((.*)\)\s+= (-?\d+|\?|0x[0-9a-f]+)", re.DOTALL)
_UNFINISHED = " <unfinished ...>"


@dataclass(frozen=True)
class Call:
    """One system call that has ended: who made it, with what, and what it returned."""

    thread: int
    name: str
    arguments: tuple[str, ...]
    result: int

    def number(self, position: int) -> int:
        """Return an argument that is a number."""
        return int(self.arguments[position], 0)

    def data(self, position: int) -> bytes:
        """Return an argument that is a text or a buffer, or all buffers of a vector."""
        return b"".join(_unescaped(text) for text in re.findall(r'"([^"]*)"', self.arguments[position]))

    def path(self, position: int) -> str:
        """Return an argument that is a path."""
        return self.data(position).decode("utf-8", "surrogateescape")


def read_calls(log: Path) -> Iterator[Call]:
    """Give each call of a log written with ``strace -f -xx``, in the order of their ends; a close when it began."""
    begun: dict[int, str] = {}
    with log.open(encoding="ascii") as lines:
        for line in lines:
            found = _LINE.match(line.rstrip("\n"))
            assert found, line
            thread, text = int(found.group(1)), found.group(2)
            if text.endswith(_UNFINISHED):
                begun[thread] = text.removesuffix(_UNFINISHED)
                if not text.startswith("close("):
                    continue
                # Its number is free, and may be another thread's next file, before the end of it is written down.
                text = f"{begun[thread]}) = 0"
            elif resumed := _RESUMED.match(text):
                text = begun.pop(thread) + resumed.group(2)
                if text.startswith("close("):
                    continue
            if (call := _CALL.match(text)) and call.group(3) != "?":
                yield Call(thread, call.group(1), tuple(_split(call.group(2))), int(call.group(3), 0))


def _split(text: str) -> list[str]:
    # Texts are all \x escapes, so that no bracket or comma in them can mislead.
    if not text.strip():
        return []
    parts, depth, begin = [], 0, 0
    for position in (m.start() for m in re.finditer(r"[][{}(),]", text)):
        mark = text[position]
        if mark in "[{(":
            depth += 1
        elif mark in "]})":
            depth -= 1
        elif depth == 0:
            parts.append(text[begin:position].strip())
            begin = position + 1
    return [*parts, text[begin:].strip()]


def _unescaped(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
