"""Ctrl-C at a moment of our choice: between two records, never within one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def deferred(wake: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Hold back SIGINT, and give the function that lets through what has come.

    Python raises `KeyboardInterrupt` between any two steps of the main thread, also where states are taken for a
    record and not yet written. The second signal is let through at once: a record may hang. In another thread than
    the main one there is nothing to hold back.

    Parameters
    ----------
    wake
        Called when a signal comes, so that whoever waits looks.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield lambda: None
        return
    seen = 0

    def hold(number: int, frame: object) -> None:
        nonlocal seen
        seen += 1
        if seen > 1:
            before(number, None)
        wake()

    def let_through() -> None:
        if seen:
            before(signal.SIGINT, None)

    signal.signal(signal.SIGINT, hold)
    try:
        yield let_through
    finally:
        signal.signal(signal.SIGINT, before)
