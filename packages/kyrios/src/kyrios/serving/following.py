"""Follow runs by server-sent events: one thread looks at the record, whoever listens is woken."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from time import monotonic

from kyrios.errors import KyriosError
from kyrios.history import History, open_history
from kyrios.run import Run, get_run
from kyrios.state import FINISHED, Event

_LOOK = 0.1  # seconds between two looks at the record, while somebody listens
_BEAT = 10.0  # seconds after which a silent stream says that it is there


class TooManyListeners(KyriosError):
    """The server tells as many listeners as it may."""


class Follower:
    """Tells listeners what becomes of runs, whoever runs them.

    Parameters
    ----------
    under_way
        Tells whether the process of a run goes on; its stream does not end before.
    limit
        How many listen at once.
    """

    def __init__(self, under_way: Callable[[str], bool], limit: int = 64) -> None:
        self.limit = limit
        self._under_way = under_way
        self.listeners = 0
        self._news = threading.Condition()
        self._versions: dict[str, int] = {}  # of runs that somebody listens to: how often they have changed
        self._ended = False
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Let all listeners look: a process has ended."""
        with self._news:
            self._news.notify_all()

    def close(self) -> None:
        """End all streams."""
        with self._news:
            self._ended = True
            self._news.notify_all()

    def stream(self, run_id: str, after: int, may_go_on: Callable[[], bool]) -> Iterable[str]:
        """Return server-sent events: each step of the run after the first `after`, then its end.

        Parameters
        ----------
        may_go_on
            Asked about once a second; the stream ends where it says no, as when a token was revoked.

        Raises
        ------
        RunNotFound
            If there is no such run.
        TooManyListeners
            If so many listen.
        """
        run = get_run(run_id)
        with self._news:
            if self.listeners >= self.limit:
                raise TooManyListeners(f"{self.limit} listen already", hint="try again later")
            self.listeners += 1
            self._versions.setdefault(run_id, 0)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, daemon=True, name="kyrios-follow")
                self._thread.start()
        return _Stream(self._told(run, after, may_go_on), self._leave)

    def _leave(self) -> None:
        with self._news:
            self.listeners -= 1
            if not self.listeners:
                self._versions.clear()

    def _told(self, run: Run, after: int, may_go_on: Callable[[], bool]) -> Generator[str, None, None]:
        yield "retry: 1000\n\n"
        version, said = -1, monotonic()
        while may_go_on() and not self._ended:
            # Asked before the record: a process records all that it has done before it ends.
            goes_on = self._under_way(run.run_id)
            now = self._versions[run.run_id]
            if now != version or not goes_on:
                version = now
                with open_history() as record:
                    run = Run(run.head, record.events(run.run_id))
                if len(run.events) > after:
                    numbers = range(after + 1, len(run.events) + 1)
                    yield "".join(_event(number, run.events[number - 1]) for number in numbers)
                    after, said = len(run.events), monotonic()
                if run.state in FINISHED and not goes_on:
                    yield f"event: end\ndata: {json.dumps({'state': run.state, 'seconds': run.seconds})}\n\n"
                    return
            if monotonic() - said > _BEAT:
                said = monotonic()
                yield ": here\n\n"
            with self._news:
                if self._versions[run.run_id] == version and self._under_way(run.run_id) == goes_on and not self._ended:
                    self._news.wait(1.0)

    def _look(self) -> None:
        """Look for what has happened until nobody listens."""
        number = 0
        while True:
            with self._news:
                if self._ended or not self.listeners:
                    self._thread = None
                    return
            try:
                with open_history() as record:
                    if not number:
                        number = _newest(record)
                        # What happened between the listener's own reading and now is told as well.
                        self._tell(list(self._versions))
                    while not self._ended and self.listeners:
                        changed, number = record.changed(number)
                        self._tell(changed)
                        threading.Event().wait(_LOOK)
            except KyriosError:  # the record does not answer; it is asked again
                threading.Event().wait(1.0)

    def _tell(self, runs: list[str]) -> None:
        with self._news:
            heard = [run for run in runs if run in self._versions]
            for run in heard:
                self._versions[run] += 1
            if heard:
                self._news.notify_all()


class _Stream:
    """A generator that says when it is left, even before it has begun."""

    def __init__(self, told: Generator[str, None, None], leave: Callable[[], None]) -> None:
        self._told, self._leave = told, leave

    def __iter__(self) -> Iterator[str]:
        return self._told

    def close(self) -> None:
        self._told.close()
        leave, self._leave = self._leave, lambda: None
        leave()


def _newest(record: History) -> int:
    number, before = 0, -1
    while number != before:
        before = number
        _, number = record.changed(number, 100_000)
    return number


def _event(number: int, event: Event) -> str:
    said = {"unit": event.task, "state": event.state.value, "at": event.at}
    said |= {key: event.detail[key] for key in ("seconds", "error", "reason", "attempt") if key in event.detail}
    return f"id: {number}\nevent: step\ndata: {json.dumps(said, ensure_ascii=False)}\n\n"
