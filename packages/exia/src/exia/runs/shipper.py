"""Deliver what a log holds to one place: in order, at least once, and again later where the place does not answer."""

from __future__ import annotations

import fcntl
import logging
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exia.errors import BadInput, Damaged, ExiaError, NotFound
from exia.log import Cursor, LogReader, Record, read_cursor, write_cursor
from exia.runs.entries import entry, tell
from exia.runs.places import Place
from exia.runs.port import RunSink

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
_BATCH = 200
_SAVE_EVERY = 1.0  # seconds; what was delivered since is delivered again after a crash

log = logging.getLogger("exia.runs")


class Shipper:
    """A thread that delivers one log to one place for as long as its process lives."""

    def __init__(self, folder: Path, place: Place) -> None:
        self.place = place
        self.down: ExiaError | None = None  #: Why the place does not take anything now.
        self._folder = folder
        self._reader = LogReader(folder, read_cursor(cursor_path(folder, place)))
        self._delivered = self._reader.cursor.number
        self._sink: RunSink | None = None
        self._swept = False
        self._news = threading.Event()
        self._moved = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"exia-ship-{place.port}")
        self._thread.start()

    def wake(self) -> None:
        """Say that the log has more."""
        self._news.set()

    def settle(self, number: int, timeout: float, *, insist: bool = False) -> bool:
        """Return whether the records before `number` were delivered; wait while the place answers, or `insist`."""
        end = time.monotonic() + timeout
        with self._moved:
            while self._delivered < number:
                left = end - time.monotonic()
                if (self.down is not None and not insist) or left <= 0 or not self._thread.is_alive():
                    return False
                self._moved.wait(left)
        return True

    def close(self, timeout: float) -> None:
        """Deliver what is left, if the place answers, and end."""
        self._closing.set()
        self._news.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        pause, saved, saved_at = FIRST_PAUSE, self._reader.cursor, time.monotonic()
        with _alone(self._folder, self.place) as alone:
            while alone:
                self._news.clear()
                more = self._step()
                if self.down is not None:
                    if self._closing.wait(pause * random.uniform(0.5, 1.0)):
                        break
                    pause = min(2 * pause, LONGEST_PAUSE)
                    continue
                pause = FIRST_PAUSE
                now = time.monotonic()
                if self._reader.cursor != saved and (now - saved_at > _SAVE_EVERY or self._closing.is_set()):
                    saved, saved_at = self._save(saved), now
                if more or self._sweep():
                    continue
                if self._closing.is_set():
                    break
                behind = self._reader.cursor != saved
                if not self._news.wait(_SAVE_EVERY if behind else None):
                    saved, saved_at = self._save(saved), now
        self._let_go()

    def _step(self) -> bool:
        """Deliver some records; return whether there were any."""
        before = self._reader.cursor
        down: ExiaError | None = None
        try:
            records = read_on(self._reader, self._folder, _BATCH)
            if records:
                if self._sink is None:
                    self._sink = self.place.open()
                deliver(self._sink, self.place, records)
        except Exception as exc:
            # An adapter that raises what it should not must not end the thread without a word.
            down = exc if isinstance(exc, ExiaError) else ExiaError(f"{self.place.name}: {type(exc).__name__}: {exc}")
            self._reader.cursor, records = before, []
            if self.down is None:
                hint = "what it misses is on this disk and is delivered when it answers: exia runs ship"
                log.warning("%s; %s", down, hint)
            self._let_go()
            self._swept = False
        with self._moved:
            self.down = down
            self._delivered = self._reader.cursor.number
            self._moved.notify_all()
        return bool(records)

    def _sweep(self) -> bool:
        """Deliver some of what dead processes have left for this place; return whether there may be more."""
        from exia.runs.backlog import deliver_backlog  # which delivers as we do

        if self._swept or self._sink is None or not self.place.nameable or self._closing.is_set():
            return False
        try:
            self._swept = deliver_backlog(self.place, self._sink, _SAVE_EVERY) == 0
        except (ExiaError, OSError) as exc:
            log.warning("what dead processes have left is not delivered to %s: %s", self.place.name, exc)
            self._swept = True
        return not self._swept

    def _save(self, saved: Cursor) -> Cursor:
        try:
            write_cursor(cursor_path(self._folder, self.place), self._reader.cursor)
        except OSError as exc:  # a full disk: what was delivered is delivered again, no more
            log.warning("%s: %s", self._folder, exc)
            return saved
        return self._reader.cursor

    def _let_go(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None and self.place.ours:
            try:
                sink.close()
            except ExiaError as exc:
                log.debug("%s", exc)


def deliver(sink: RunSink, place: Place, records: list[Record]) -> None:
    """Deliver `records`; what the place refuses for good is told and passed over.

    Raises
    ------
    ExiaError
        If the place does not take anything now; some of the records may have been delivered.
    """
    for record in records:
        try:
            said = entry(record.data)
            if said.get("only") not in (None, place.port):
                continue
            place.carry(sink, said)
            tell(sink, said)
        except (BadInput, NotFound, Damaged) as exc:
            # A run that somebody has deleted, say. To wait for it would keep back all that follows.
            log.warning("record %d is not delivered to %s: %s", record.number, place.name, exc)


def read_on(reader: LogReader, folder: Path, limit: int) -> list[Record]:
    """Return the next records, passing over what is damaged."""
    while True:
        try:
            return reader.read(limit)
        except Damaged as exc:
            log.error("%s; %d records of %s are passed over", exc, reader.skip(), folder)


def cursor_path(folder: Path, place: Place) -> Path:
    return folder / f"{place.key}.cursor"


@contextmanager
def _alone(folder: Path, place: Place) -> Iterator[bool]:
    """Give whether nobody else delivers this log to this place now."""
    descriptor = os.open(folder / f"{place.key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)
