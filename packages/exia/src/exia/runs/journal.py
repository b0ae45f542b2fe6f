"""The log that the runs of this process are told to, and the shippers that deliver it."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from exia._house.ids import uuid7
from exia.errors import ExiaError
from exia.log import LogWriter, read_cursor, trim
from exia.runs.backlog import describe, remove_if_done
from exia.runs.entries import Encoder
from exia.runs.places import Place, root
from exia.runs.shipper import Shipper, cursor_path, log

_SEGMENT_BYTES = 16 * 1024 * 1024
_AT_EXIT = 5.0  #: Seconds that the end of the process waits for a place that answers.


class Journal:
    """One log with its shippers; what `commit` has returned from is durable and on its way."""

    def __init__(self, places: list[Place]) -> None:
        self.places = places
        self.folder = root() / uuid7()
        self._shippers: list[Shipper] = []
        self.writer = LogWriter(
            self.folder, encode=Encoder(), segment_bytes=_SEGMENT_BYTES, on_sync=self._wake, on_rotate=self._trim
        )
        #: Queues an item: ``(run, metric, value, step, Unix time)``, or an entry of `exia.runs.entries`.
        self.put: Callable[[Any], None] = self.writer.put
        try:
            describe(self.folder, places)
        except OSError as exc:
            self.writer.close()
            raise _unwritable(self.folder, exc) from exc
        self._shippers = [Shipper(self.folder, place) for place in places]

    def commit(self, timeout: float, patience: float) -> ExiaError | None:
        """Return when everything put so far is durable here.

        Then waits for the store to have it as well, for `patience` seconds at most and only while it answers;
        returns why it has not, None if it has.
        """
        self.writer.flush(timeout)
        shipper = self._shippers[0]
        # Nobody but us can deliver to a place without a name, so a failure is waited out.
        if shipper.settle(self.writer.written, patience, insist=not shipper.place.nameable):
            return None
        return shipper.down

    def close(self, timeout: float = _AT_EXIT) -> None:
        """Write and deliver what is left; what a place does not take stays on the disk."""
        end = time.monotonic() + timeout
        try:
            self.writer.close(timeout)
        finally:
            for shipper in self._shippers:
                shipper.close(max(0.1, end - time.monotonic()))
            remove_if_done(self.folder)

    def _wake(self) -> None:
        for shipper in self._shippers:
            shipper.wake()

    def _trim(self, folder: Path) -> None:
        trim(folder, [read_cursor(cursor_path(folder, place)) for place in self.places])


_journals: dict[tuple[str, ...], Journal] = {}
_lock = threading.Lock()


def journal_for(places: list[Place]) -> Journal:
    """Return this process's log for `places`, opened when first asked for."""
    key = (str(root()), *(p.key for p in places))
    with _lock:
        if key not in _journals:
            _journals[key] = Journal(places)
        return _journals[key]


def close_journals() -> None:
    """Write and deliver what the runs of this process have told, and let go of their logs."""
    with _lock:
        journals = list(_journals.values())
        _journals.clear()
    for journal in journals:
        try:
            journal.close()
        except ExiaError as exc:
            log.warning("%s", exc)


def _unwritable(folder: Path, exc: OSError) -> ExiaError:
    from exia.errors import BackendUnavailable

    return BackendUnavailable(f"the log {folder} cannot be written: {exc.strerror or exc}", hint="is there space?")


def _forget() -> None:
    """Leave the logs to the parent: a child process has none of their threads."""
    global _lock
    _lock = threading.Lock()
    _journals.clear()


# Runs before the writers are closed one by one, since handlers run last in, first out.
atexit.register(close_journals)
os.register_at_fork(after_in_child=_forget)
