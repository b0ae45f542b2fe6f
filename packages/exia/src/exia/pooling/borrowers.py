"""Who borrowed an object: cheap marks taken at a lease, turned into text when somebody asks."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import CodeType, FrameType

_HERE = str(Path(__file__).parent)
_DEPTH = 32

#: ``(uses, thread, code, instruction, code, instruction, ...)``, the borrower first. `uses` tells
#: the lease that it belongs to; thread is 0 where it was not noted.
Mark = tuple[object, ...]


def mark(uses: int, depth: int = _DEPTH) -> Mark:
    """Return the stack of the caller, without frames: those would keep their variables alive."""
    found: list[object] = [uses, threading.get_ident()]
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and len(found) < 2 * depth:
        found += (frame.f_code, frame.f_lasti)
        frame = frame.f_back
    return tuple(found)


def shown(taken: Mark) -> list[str]:
    """Return the stack of `taken` as lines ``file:line in function``, the borrower first."""
    pairs = zip(taken[2::2], taken[3::2], strict=True)
    return [
        f"{code.co_filename}:{_line(code, at)} in {code.co_qualname}"
        for code, at in pairs
        if isinstance(code, CodeType) and isinstance(at, int) and not code.co_filename.startswith(_HERE)
    ]


def thread_of(taken: Mark) -> str | None:
    """Return the name of the thread of `taken`, if it was noted and lives."""
    return next((t.name for t in threading.enumerate() if t.ident == taken[1]), None)


def _line(code: CodeType, at: int) -> int | None:
    found = code.co_firstlineno
    for start, end, line in code.co_lines():
        if start <= at < end and line is not None:
            return line
    return found
