"""From the logs on this disk to the store: at least once, and since each document has an id for ever, just once."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

from exia._house.config import home
from exia.errors import Damaged
from exia.log import Cursor, LogReader, in_use, read_cursor, trim, write_cursor
from exia.monitor.port import MonitorStore

BATCH = 500  #: Documents in one write at most: each takes some 3 kB while it is on its way.
_SMALLEST = 50
#: Seconds of deliveries that are repeated after an outage: a store that syncs now and then has lost its last ones.
_AGAIN = 15.0
_CURSOR = "delivered.json"
_REFUSED = "refused.jsonl"
_log = logging.getLogger("exia")


def logs() -> Path:
    """Return the folder with one log for each process that has run a monitor."""
    return home() / "monitor" / "log"


class Delivery:
    """Carries one log to a store; one process at a time does it for a log."""

    def __init__(self, folder: Path, store: MonitorStore) -> None:
        self._folder = folder
        self._store = store
        self._reader = LogReader(folder, read_cursor(folder / _CURSOR))
        self._batch = BATCH
        self._safe = self._reader.cursor  # what lies before it was delivered long ago
        self._recent: deque[tuple[float, Cursor]] = deque()
        self.refused = 0  #: Documents that the store would not take; they lie in ``refused.jsonl`` beside the log.
        self.damaged = 0  #: Records that could not be read.

    @property
    def position(self) -> int:
        """The number of the first record that the store need not have yet."""
        return self._reader.cursor.number

    def step(self) -> int:
        """Deliver the next records; return how many there were, 0 if none is left.

        Raises
        ------
        BackendUnavailable
            If the store or the disk does not answer; the same records come again, and those shortly before.
        """
        try:
            records = self._reader.read(self._batch)
        except Damaged as exc:
            _log.warning("monitor: %s", exc)
            missed = self._reader.skip()
            self.damaged += missed
            return missed
        if not records:
            return 0
        source = self._folder.name
        try:
            refused = self._store.write([_document(source, record.number, record.data) for record in records])
            if refused:
                self._set_aside([{"reason": one.reason, "document": one.document} for one in refused])
            write_cursor(self._folder / _CURSOR, self._reader.cursor)
        except BaseException:
            self._reader.cursor = self._safe
            self._recent.clear()
            # A store that takes too long for a large batch may have the time for a small one.
            self._batch = max(_SMALLEST, self._batch // 2)
            raise
        self._batch = min(BATCH, 2 * self._batch)
        self._recent.append((monotonic(), self._reader.cursor))
        while self._recent and self._recent[0][0] < monotonic() - _AGAIN:
            self._safe = self._recent.popleft()[1]
        trim(self._folder, [self._safe])
        return len(records)

    def _set_aside(self, refused: list[dict[str, Any]]) -> None:
        self.refused += len(refused)
        first = refused[0]["reason"]
        _log.warning("monitor: the store refused %d documents, the first because: %s", len(refused), first)
        with (self._folder.parent / _REFUSED).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in refused)
            file.flush()
            os.fsync(file.fileno())


def deliver_left(store: MonitorStore) -> int:
    """Deliver what processes have left that ended before they could; return how many documents.

    Raises
    ------
    BackendUnavailable
        If the store does not answer.
    """
    delivered = 0
    for folder in sorted(logs().iterdir()) if logs().is_dir() else ():
        if not folder.is_dir() or in_use(folder):
            continue
        with alone(folder) as mine:
            if not mine or in_use(folder):
                continue
            delivery = Delivery(folder, store)
            while number := delivery.step():
                delivered += number
            shutil.rmtree(folder)
    return delivered


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Give whether this is who delivers the log of `folder` now; nobody else does meanwhile."""
    descriptor = -1
    try:
        with suppress(FileNotFoundError):
            descriptor = os.open(folder / "delivering", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if descriptor < 0:
            yield False
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _document(source: str, number: int, data: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(data)
    document["event"]["id"] = f"{source}-{number}"
    document["event"]["sequence"] = number
    return document
