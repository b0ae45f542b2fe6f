"""Metrics on their way to the store: a bounded queue and one thread that writes batches."""

from __future__ import annotations

import threading
import time
from collections import deque
from datetime import UTC, datetime

from exia.errors import BackendUnavailable, ExiaError
from exia.runs import Point, RunStore

_BOUND = 100_000  #: Values on their way; one more waits.
_BATCH = 2_000
_PERIOD = 0.2  #: Seconds between two batches; also the first pause after a failed one.
_LONGEST_PAUSE = 5.0


class MetricsWriter:
    """Writes one run's metrics. A store that is down is asked again; nothing queued is lost meanwhile."""

    def __init__(self, run_id: str, store: RunStore) -> None:
        self._run_id = run_id
        self._store = store
        self._queue: deque[tuple[str, float, int, float]] = deque()
        self._seq = 0  # of the next point to write
        self._changed = threading.Condition()
        self._closing = False
        self._hurry = False
        self._busy = False
        self._error: ExiaError | None = None
        self._thread: threading.Thread | None = None

    def put(self, name: str, value: float, step: int) -> None:
        """Queue one value; wait while the queue is full."""
        if len(self._queue) >= _BOUND or self._thread is None:
            self._make_room()
        self._queue.append((name, value, step, time.time()))

    def flush(self, timeout: float) -> None:
        """Return when everything that was put is durable; raise `BackendUnavailable` after `timeout` seconds."""
        end = time.monotonic() + timeout
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            while self._queue or self._busy:
                left = end - time.monotonic()
                if left <= 0 or self._thread is None or not self._thread.is_alive():
                    raise self._late(timeout)
                self._changed.wait(left)

    def close(self, timeout: float) -> None:
        """Flush and end the thread; after an error the thread ends too."""
        try:
            self.flush(timeout)
        finally:
            with self._changed:
                self._closing = True
                self._changed.notify_all()
            if self._thread is not None:
                self._thread.join(timeout)

    def _late(self, timeout: float) -> ExiaError:
        if self._error is not None:
            return self._error
        return BackendUnavailable(
            f"{len(self._queue)} metrics were not written within {timeout:g} s", hint="exia doctor"
        )

    def _make_room(self) -> None:
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name=f"exia-metrics-{self._run_id}")
                self._thread.start()
            while len(self._queue) >= _BOUND and not self._closing:
                self._hurry = True
                self._changed.notify_all()
                self._changed.wait(1.0)

    def _run(self) -> None:
        pause = _PERIOD
        while True:
            with self._changed:
                if not self._hurry and not self._closing:
                    self._changed.wait(pause)
                if not self._queue:
                    self._hurry = False
                    self._changed.notify_all()
                    if self._closing:
                        return
                    continue
                self._busy = True
            written = self._write()
            with self._changed:
                self._busy = False
                if written:
                    pause = _PERIOD
                elif self._closing:
                    return
                else:
                    # Not hurried on: a flush that waits must not turn into a storm on a store that is down.
                    self._changed.wait(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
                self._changed.notify_all()

    def _write(self) -> bool:
        # Left in the queue until they are durable: only this thread takes from its left end.
        batch = [self._queue[i] for i in range(min(_BATCH, len(self._queue)))]
        points = [
            Point(self._seq + i, name, value, step, datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds"))
            for i, (name, value, step, at) in enumerate(batch)
        ]
        try:
            self._store.log(self._run_id, points)
        except ExiaError as exc:
            self._error = exc
            return False
        self._error = None
        self._seq += len(points)
        for _ in points:
            self._queue.popleft()
        return True
