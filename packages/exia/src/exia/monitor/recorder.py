"""The monitor of a process: what it records, and how that gets from the caller to the store."""

from __future__ import annotations

import os
import random
import threading
import weakref
from collections import deque
from collections.abc import Mapping
from threading import get_ident
from time import monotonic, time_ns
from types import TracebackType
from typing import Any, Literal, Self, cast

from exia._house.ids import uuid7
from exia.errors import BackendUnavailable, BadInput, Conflict, ExiaError
from exia.log import LogWriter
from exia.monitor.delivery import Delivery, alone, deliver_left, logs
from exia.monitor.documents import Encoder, Lost, Notice, Sample
from exia.monitor.port import MonitorStore
from exia.monitor.sampling import Sampler
from exia.notices import watch
from exia.redaction import Redaction, outline

_PAUSES = (1.0, 30.0)  # seconds between two tries while the store is down: first, longest
_BOUND = 100_000  # events that may wait to be written
_SEGMENT = 16 * 1024 * 1024
_clock = time_ns  # one lookup less for each event


class Monitor:
    """Records events and the figures of all pools of this process; open one with `exia.monitor.start`.

    The caller of `event` puts a few values into a bounded queue. One thread writes them to a log on this
    machine's disk, another delivers that to the store, and while the store is down nothing else waits. A full
    queue drops events and counts them.
    """

    def __init__(
        self, store: MonitorStore, *, service: str, every: float, redaction: Redaction, own_store: bool = True
    ) -> None:
        self.service = service
        self.every = every
        self._store = store
        self._own_store = own_store
        self._encode = Encoder(service, redaction)
        self._closed = False
        self._undelivered: ExiaError | None = None
        self._sampler = Sampler()
        self._unwatch = watch(self._notice)
        try:
            self._begin()
        except BaseException:
            self._unwatch()
            raise
        _running.add(self)

    def _begin(self) -> None:
        self._log = LogWriter(
            logs() / uuid7(),
            encode=self._encode,
            bound=_BOUND,
            when_full="drop",
            lost=lambda count: Lost(time_ns(), count),
            segment_bytes=_SEGMENT,
        )
        self._delivered = threading.Condition()
        self._reached = -1  # records that the store has; none while it has not what others left
        self._stop = threading.Event()
        self._kick = threading.Event()
        self._threads = [
            threading.Thread(target=work, daemon=True, name=f"exia-monitor-{name}")
            for name, work in (("samples", self._look_at_pools), ("delivery", self._deliver))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def store(self) -> MonitorStore:
        """Where the events go."""
        return self._store

    @property
    def dropped(self) -> int:
        """Events that a full queue has turned away."""
        return self._log.dropped

    def event(
        self,
        action: str,
        duration_ns: int | None = None,
        outcome: Literal["success", "failure"] | None = None,
        **facts: Any,
    ) -> None:
        """Record that something happened; it is durable after `flush`, and else soon.

        Parameters
        ----------
        action
            What, such as ``reloaded``; the field ``event.action``.
        duration_ns
            How long it took, in nanoseconds; ``event.duration``.
        outcome
            ``event.outcome``.
        facts
            ``message`` and ``trace_id`` have fields of their own in ECS; all others are your own, below
            ``exia.data``. What looks like a secret is hidden.
        """
        log = self._log
        queue = log._queue
        if len(queue) >= log._room_for:
            log.put((_clock(), action, duration_ns, outcome, facts))
            return
        # What `LogWriter.put` does, written out: the call would be a fifth of the cost.
        queue.append((_clock(), action, duration_ns, outcome, facts))
        if log._asleep:
            log._kick.set()

    def failed(self, action: str, error: BaseException, duration_ns: int | None = None, **facts: Any) -> None:
        """Record that something failed: an event of outcome ``failure``.

        Parameters
        ----------
        action, duration_ns, facts
            As in `event`.
        error
            Its type, its message and the places in the code are recorded, but no line of code and no variable.
        """
        # Turned into text here: the error itself would keep the variables of its frames alive.
        told = (f"{type(error).__module__}.{type(error).__qualname__}", str(error), outline(error))
        self._log.put((_clock(), action, duration_ns, "failure", facts, told))

    def flush(self, timeout: float = 10.0) -> None:
        """Return when every event so far is durable on this machine's disk.

        Raises
        ------
        BackendUnavailable
            If it could not be written within `timeout` seconds.
        """
        self._log.flush(timeout)

    def deliver(self, timeout: float = 10.0) -> None:
        """Return when the store has every event so far.

        Raises
        ------
        BackendUnavailable
            If it has not within `timeout` seconds; the events stay on this disk until it does.
        """
        end = monotonic() + timeout
        self.flush(timeout)
        wanted = self._log.written  # and not all: under load there is always more
        with self._delivered:
            self._kick.set()
            while self._reached < wanted:
                left = end - monotonic()
                if left <= 0 or self._closed:
                    raise self._undelivered or BackendUnavailable(
                        f"the monitor's store did not take everything within {timeout:g} s", hint="exia doctor"
                    )
                self._delivered.wait(min(left, 0.5))

    def sample(self) -> None:
        """Record the figures of every open pool now; it is done each `every` seconds by itself."""
        from exia.pooling.named import open_pools

        now = time_ns()
        for figures in self._sampler.look(open_pools()):
            self._log.put(Sample(now, figures))

    def close(self, timeout: float = 5.0) -> None:
        """Take a last sample, and deliver what is left within `timeout` seconds; the next monitor delivers the rest.

        Raises
        ------
        BackendUnavailable
            If the last events could not be written to this machine's disk.
        """
        if self._closed:
            return
        end = monotonic() + timeout
        self._unwatch()
        try:
            self.sample()
            self._log.close(timeout)
        finally:
            self._closed = True
            self._stop.set()
            self._kick.set()
            for thread in self._threads:
                thread.join(max(0.1, end - monotonic()))
            _running.discard(self)
            if self._own_store and not self._threads[1].is_alive():
                self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _notice(self, part: str, kind: str, facts: Mapping[str, Any]) -> None:
        self._log.put(Notice(_clock(), get_ident(), part, kind, facts))

    def _look_at_pools(self) -> None:
        stop = self._stop
        pause = min(1.0, self.every)  # the first soon, for whoever looks at a point that has just begun
        while not stop.wait(pause):
            pause = self.every
            try:
                self.sample()
            except Conflict:
                return  # closed meanwhile
            except Exception as exc:
                _log_once(self, exc)

    def _deliver(self) -> None:
        stop, kick, pause, adopted = self._stop, self._kick, _PAUSES[0], False
        with alone(self._log.folder) as mine:
            delivery = Delivery(self._log.folder, self._store) if mine else None
            while delivery is not None:
                ending = stop.is_set()
                began, wanted = delivery.position, self._log.written
                try:
                    while delivery.position < wanted and delivery.step():
                        self._reach(delivery.position if adopted else -1)
                    if not adopted:
                        deliver_left(self._store)
                        adopted = True
                except Exception as exc:
                    self._undelivered = exc if isinstance(exc, ExiaError) else BackendUnavailable(f"monitor: {exc}")
                    pause = min(2 * pause, _PAUSES[1]) * random.uniform(0.8, 1.0)
                else:
                    self._undelivered, pause = None, _PAUSES[0]
                self._reach(delivery.position if adopted else -1)
                if ending:
                    break
                if self._undelivered is not None or not began < delivery.position < self._log.written:
                    kick.wait(pause)
                    kick.clear()
        if self._undelivered is None and mine:
            try:
                deliver_left(self._store)  # this log, now that it is closed, and those of the dead
            except ExiaError as exc:
                self._undelivered = exc

    def _reach(self, number: int) -> None:
        with self._delivered:
            self._reached = number
            self._delivered.notify_all()

    def _after_fork(self) -> None:
        """Record nothing in a child: log, threads and connections are the parent's."""
        self._closed = True
        self._unwatch()
        self._log = cast(LogWriter, _Nowhere())


class _Nowhere:
    """Takes the events of a process that was forked off, and forgets them."""

    dropped = written = 0

    def __init__(self) -> None:
        self._queue: deque[object] = deque(maxlen=0)
        self._room_for = 1
        self._asleep = False

    def put(self, item: object) -> None:
        pass

    def flush(self, timeout: float) -> None:
        pass


def _log_once(monitor: Monitor, exc: Exception) -> None:
    import logging

    logging.getLogger("exia").warning("monitor %s: %s: %s", monitor.service, type(exc).__name__, exc)


def checked_every(every: float) -> float:
    """Return `every`, or raise `BadInput` if it is no interval between samples."""
    if isinstance(every, bool) or not isinstance(every, int | float) or not 0.1 <= every <= 86_400:
        raise BadInput(f"every must be between 0.1 and 86400 seconds, not {every!r}")
    return float(every)


_running: weakref.WeakSet[Monitor] = weakref.WeakSet()


def _in_child() -> None:
    for monitor in list(_running):
        monitor._after_fork()
    _running.clear()


os.register_at_fork(after_in_child=_in_child)
