"""Write a log: callers put items into a bounded queue, one thread makes records of them and keeps them durably."""

from __future__ import annotations

import atexit
import fcntl
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from exia._house.files import make_folder, sync_folder
from exia.errors import BackendUnavailable, Conflict, ExiaError
from exia.log.segment import HEADER_SIZE, framed, frames, has_header, header, segment_path, segments

BOUND = 100_000
PERIOD = 0.2
SEGMENT_BYTES = 64 * 1024 * 1024

_BATCH = 10_000  # items encoded and synced together
_STAY_AWAKE = 50  # empty periods before the thread sleeps until it is woken
_LONGEST_PAUSE = 5.0
_PATIENCE = 30.0  # seconds that a put waits for a writer that fails
_LOCK = "lock"

_log = logging.getLogger("exia.log")


class LogWriter:
    """The one writer of a log.

    Items that were put are durable when `flush` or `close` returns, and else soon. A log whose writer has
    died is gone on with: what was torn at its end is cut off.

    Parameters
    ----------
    folder
        Of the log; made if it is not there. One process at a time may write to it.
    encode
        Makes records of a batch of items, in order; called in the writer's thread, once for each item.
    bound
        How many items may wait to be written.
    when_full
        Whether one more waits until there is room, or is dropped and counted in `dropped`.
    lost
        Makes an item that says how many were dropped; it is written as soon as there is room.
    period
        Seconds between two writes.
    segment_bytes
        Size at which a new segment is begun.
    on_rotate
        Called with the folder when a new segment was begun, the place for `trim` or `retain`.
    on_sync
        Called in the writer's thread when more is durable, to wake a consumer.

    Raises
    ------
    Conflict
        If another process or object writes to this log.
    BackendUnavailable
        If the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        encode: Callable[[Sequence[Any]], Iterable[bytes]],
        bound: int = BOUND,
        when_full: Literal["wait", "drop"] = "wait",
        lost: Callable[[int], Any] | None = None,
        period: float = PERIOD,
        segment_bytes: int = SEGMENT_BYTES,
        on_rotate: Callable[[Path], object] | None = None,
        on_sync: Callable[[], object] | None = None,
    ) -> None:
        self.folder = folder
        self.dropped = 0  #: Items turned away by a full queue, ever.
        self.refused = 0  #: Items that `encode` could make no record of, ever.
        self._encode = encode
        self._full, self._bound = when_full, bound
        self._room_for = bound  # what `put` compares with: -1 when closed, so that it asks one question
        self._lost = lost
        self._on_sync = on_sync
        self._period = period
        self._file = _File(folder, segment_bytes, on_rotate)
        self._queue: deque[Any] = deque()
        self._kick = threading.Event()
        self._asleep = False
        self._room = threading.Condition()
        self._closing: float | None = None  # until when the thread may go on
        self._closed_by = "is closed"
        self._error: ExiaError | None = None
        self._told = 0  # of `dropped`, how many the log knows of
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"exia-log-{folder.name}")
        self._thread.start()
        _open.add(self)

    def put(self, item: Any) -> None:
        """Queue one item.

        Raises
        ------
        Conflict
            If the log is closed, or was opened before this process was forked off.
        BackendUnavailable
            If the queue is full and has not been written for 30 s, say because the disk is full.
        """
        if len(self._queue) >= self._room_for and not self._find_room():
            return
        self._queue.append(item)
        if self._asleep:
            self._kick.set()

    def flush(self, timeout: float = 10.0) -> None:
        """Return when everything put so far is durable.

        Raises
        ------
        BackendUnavailable
            If it could not be written, or not within `timeout` seconds; it stays queued.
        """
        self._check_open()
        mark = _Mark()
        self._queue.append(mark)
        self._kick.set()
        if not mark.done.wait(timeout):
            raise self._error or BackendUnavailable(
                f"{self.folder} did not take {len(self._queue)} records within {timeout:g} s", hint="is the disk busy?"
            )
        if mark.error is not None:
            raise mark.error

    def close(self, timeout: float = 10.0) -> None:
        """Write what waits and let go of the log; closing twice changes nothing.

        Raises
        ------
        BackendUnavailable
            If what waits could not be written within `timeout` seconds; it is lost then.
        """
        if self._room_for < 0:
            return
        self._shut("is closed")
        self._closing = time.monotonic() + timeout
        self._kick.set()
        self._thread.join(timeout + 1)
        _open.discard(self)
        left = len(self._queue)
        self._file.close()
        if left and self._error is not None:
            raise self._error

    @property
    def written(self) -> int:
        """How many records are durable: the number of the next."""
        return self._file.next

    @property
    def error(self) -> ExiaError | None:
        """What the last write failed with; None if it did not."""
        return self._error

    def _find_room(self) -> bool:
        """Return whether the item may be put after all."""
        self._check_open()
        if self._full == "drop":
            self.dropped += 1
            self._kick.set()
            return False
        end = time.monotonic() + _PATIENCE
        while len(self._queue) >= self._room_for:
            self._check_open()
            with self._room:
                self._kick.set()
                self._room.wait(0.5)
            if self._error is not None and time.monotonic() > end:
                raise self._error
        return True

    def _check_open(self) -> None:
        if self._room_for < 0:
            raise Conflict(f"the log {self.folder} {self._closed_by}", hint="open it again")

    def _shut(self, why: str) -> None:
        self._closed_by = why
        self._room_for = -1

    def _run(self) -> None:
        empty = 0
        while True:
            items = self._take()
            if items:
                empty = 0
                if not self._keep(items):
                    return
            elif self._closing is not None:
                return
            else:
                empty += 1
            if len(self._queue) < _BATCH and self._closing is None:
                self._pause(asleep=empty >= _STAY_AWAKE)

    def _pause(self, *, asleep: bool) -> None:
        if not asleep:
            self._kick.wait(self._period)
        else:
            self._asleep = True
            # Looked at again behind the sign: who put before it stood does not wake us.
            if not self._queue:
                self._kick.wait()
            self._asleep = False
        self._kick.clear()

    def _take(self) -> list[Any]:
        queue = self._queue
        return [queue.popleft() for _ in range(min(_BATCH, len(queue)))]

    def _keep(self, items: list[Any]) -> bool:
        """Write `items` durably, however long it takes; return False if the log was closed meanwhile."""
        marks = [i for i in items if type(i) is _Mark]
        payloads = self._encoded([i for i in items if type(i) is not _Mark] if marks else items)
        pause = self._period
        while True:
            try:
                self._file.append(payloads)
            except OSError as exc:
                self._error = _described(exc, self.folder)
            else:
                self._error = None
            if self._error is not None:  # whoever flushes while nothing can be written is told so at once
                marks += [i for i in list(self._queue) if type(i) is _Mark]
            for mark in marks:
                mark.tell(self._error)
            marks = []
            if self._error is None and payloads and self._on_sync is not None:
                self._on_sync()
            with self._room:
                self._room.notify_all()
            if self._error is None:
                return True
            if self._closing is not None and time.monotonic() > self._closing:
                self._queue.extendleft(reversed(items))  # counted as what is left
                return False
            self._kick.wait(pause)
            self._kick.clear()
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _encoded(self, items: list[Any]) -> list[bytes]:
        if self._lost is not None and self.dropped > self._told:
            missing, self._told = self.dropped - self._told, self.dropped
            items = [*items, self._lost(missing)]
        try:
            return list(self._encode(items))
        except Exception as exc:
            if len(items) == 1:
                self.refused += 1
                _log.warning("%s: an item cannot be recorded: %s: %s", self.folder, type(exc).__name__, exc)
                return []
        # One bad item must not take the others with it.
        return [data for item in items for data in self._encoded([item])]


class _Mark:
    """Stands in the queue for a flush that waits."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.error: ExiaError | None = None

    def tell(self, error: ExiaError | None) -> None:
        """Let the flush go on; the first answer counts."""
        if not self.done.is_set():
            self.error = error
            self.done.set()


class _File:
    """The segment that is written to, durable after each `append`."""

    def __init__(self, folder: Path, segment_bytes: int, on_rotate: Callable[[Path], object] | None) -> None:
        self._folder, self._limit, self._on_rotate = folder, segment_bytes, on_rotate
        self._descriptor = -1
        self._lock = -1
        try:
            make_folder(folder)
            self._lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.next, self._size = self._recover()
        except BlockingIOError:
            self.close()
            raise Conflict(f"another writes to the log {folder}", hint="each process needs a log of its own") from None
        except OSError as exc:
            self.close()
            raise _described(exc, folder) from exc

    def append(self, payloads: list[bytes]) -> None:
        """Write records and sync; on an error the file ends where it did before."""
        if not payloads:
            return
        if self._descriptor < 0 or self._size >= self._limit:
            self._rotate()
        data = memoryview(framed(self.next, payloads))
        try:
            done = 0
            while done < len(data):
                done += os.pwrite(self._descriptor, data[done:], self._size + done)
            os.fdatasync(self._descriptor)
        except OSError:
            self._cut()
            raise
        self._size += len(data)
        self.next += len(payloads)

    def close(self) -> None:
        for descriptor in (self._descriptor, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._lock = -1

    def _recover(self) -> tuple[int, int]:
        """Return the next record's number and where it goes, after cutting off what was torn."""
        there = segments(self._folder)
        if not there:
            return 0, 0
        first, path = there[-1]
        data = path.read_bytes()
        if not has_header(data, first):  # torn while it was begun: it holds nothing
            path.unlink()
            return self._recover()
        number, end = first, HEADER_SIZE
        for frame in frames(data[HEADER_SIZE:], first):
            number, end = number + 1, HEADER_SIZE + frame.end
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        if end < len(data):
            os.ftruncate(self._descriptor, end)
            os.fsync(self._descriptor)
        return number, end

    def _rotate(self) -> None:
        path = segment_path(self._folder, self.next)
        new = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(new, header(self.next), 0)
            os.fsync(new)
            sync_folder(self._folder)
        except OSError:
            os.close(new)
            path.unlink(missing_ok=True)
            raise
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._size = new, HEADER_SIZE
        if self._on_rotate is not None:
            try:
                self._on_rotate(self._folder)
            except OSError as exc:  # to let go of what is old can wait
                _log.warning("%s: %s", self._folder, exc)

    def _cut(self) -> None:
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError as exc:  # what is torn is written over by the next try
            _log.warning("%s: %s", self._folder, exc)


def in_use(folder: Path) -> bool:
    """Tell whether somebody writes to the log at `folder` now."""
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _described(exc: OSError, folder: Path) -> ExiaError:
    return BackendUnavailable(
        f"the log {folder} cannot be written: {exc.strerror or exc}",
        hint="free some space, or check the disk; nothing that was acknowledged is lost",
    )


_open: weakref.WeakSet[LogWriter] = weakref.WeakSet()


def _close_all() -> None:
    for writer in list(_open):
        try:
            writer.close(timeout=5)
        except ExiaError as exc:
            _log.warning("%s", exc)


def _leave_to_the_parent() -> None:
    """Shut the writers in a child process: their threads, files and queues are the parent's."""
    for writer in list(_open):
        writer._shut("was opened before a fork")
        writer._file.close()
    _open.clear()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_leave_to_the_parent)
