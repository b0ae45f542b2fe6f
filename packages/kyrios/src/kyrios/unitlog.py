"""Each unit's own log: what it prints, what it logs, and the traceback of its failure."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

_current: ContextVar[IO[str] | None] = ContextVar("kyrios_unit_log", default=None)


class _Switch:
    """Stands in for stdout or stderr: a unit's words go to its log, all others where they went before."""

    def __init__(self, original: Any) -> None:
        self.original = original

    def write(self, text: str) -> int:
        return int((_current.get() or self.original).write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(_current.get() or self.original, name)


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        log = _current.get()
        if log is not None:
            log.write(self.format(record) + "\n")


_lock = threading.Lock()
_inside = 0
_handler = _Handler()
_handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))


@contextmanager
def capturing() -> Iterator[None]:
    """Let `unit_log` take what units print, so that a command's stdout stays its result."""
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            sys.stdout, sys.stderr = _Switch(sys.stdout), _Switch(sys.stderr)
            logging.getLogger().addHandler(_handler)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                for name in ("stdout", "stderr"):
                    here = getattr(sys, name)
                    # Somebody else may have put their own in our place meanwhile; it is theirs.
                    if isinstance(here, _Switch):
                        setattr(sys, name, here.original)
                logging.getLogger().removeHandler(_handler)


@contextmanager
def unit_log(path: Path) -> Iterator[IO[str]]:
    """Send what the code inside prints and logs to the end of `path`."""
    with _opened(path) as log:
        token = _current.set(log)
        try:
            yield log
        finally:
            _current.reset(token)


def _opened(path: Path) -> IO[str]:
    try:
        return path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
