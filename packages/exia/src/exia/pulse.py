"""A thread that lets every open run of this process give a sign of life."""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import Protocol


class Beating(Protocol):
    """What gives signs of life."""

    heartbeat: float

    def beat(self) -> None:
        """Give one; must not raise."""


class _Pulse:
    def __init__(self) -> None:
        self._open: weakref.WeakSet[Beating] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, run: Beating) -> None:
        with self._lock:
            self._open.add(run)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="exia-pulse")
                self._thread.start()
        self._changed.set()

    def remove(self, run: Beating) -> None:
        with self._lock:
            self._open.discard(run)

    def members(self) -> list[Beating]:
        with self._lock:
            return list(self._open)

    def _run(self) -> None:
        last: weakref.WeakKeyDictionary[Beating, float] = weakref.WeakKeyDictionary()
        while True:
            runs, now = self.members(), time.monotonic()
            # The first is due a while after the start, which is a sign of life itself.
            due = {run: last.setdefault(run, now) + run.heartbeat for run in runs}
            for run in [run for run, at in due.items() if at <= now]:
                last[run] = now
                due[run] = now + run.heartbeat
                run.beat()
            wait = min(due.values()) - time.monotonic() if due else None
            del runs, due  # or a run that nobody holds any more would never go
            self._changed.wait(wait)
            self._changed.clear()


_pulse = _Pulse()


def add(run: Beating) -> None:
    """Let `run` give signs of life, every ``run.heartbeat`` seconds."""
    _pulse.add(run)


def remove(run: Beating) -> None:
    """Let `run` give no more."""
    _pulse.remove(run)


def members() -> list[Beating]:
    """Return the runs that give signs of life."""
    return _pulse.members()


def _forget() -> None:
    """Leave the runs to the parent: a child process has none of its threads."""
    global _pulse
    _pulse = _Pulse()


os.register_at_fork(after_in_child=_forget)
