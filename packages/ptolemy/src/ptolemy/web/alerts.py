"""Alerts: a component that has been in a bad state for a while, silenced on the page, told to a webhook."""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Full, Queue

from ptolemy._house.files import write_durably
from ptolemy.services import State

BAD = ("failed", "stale", "backoff", "unknown", "unkept")
_TRIES = 3


@dataclass(frozen=True)
class Alert:
    """What is wrong since when; `silent_until` is in seconds since 1970."""

    component: str
    state: str
    reason: str
    since: float
    silent_until: float = 0.0

    @property
    def is_silent(self) -> bool:
        """Whether nobody is told of it now."""
        return self.silent_until > time.time()


class Alerts:
    """Looks at the states once a second.

    Parameters
    ----------
    folder
        Where silences are kept.
    states
        Gives the states as they are now.
    webhook
        URL that gets each alert, and its end, by POST as JSON; empty tells nobody.
    grace
        Seconds that a bad state must last: a program that falls and is back at once is no alert.
    """

    def __init__(self, folder: Path, states: Callable[[], list[State]], webhook: str = "", grace: float = 5.0) -> None:
        self._path = folder / "silences.json"
        self._states, self._webhook, self._grace = states, webhook, grace
        self._seen: dict[str, float] = {}
        self._told: dict[str, Alert] = {}
        self._queue: Queue[dict[str, object]] = Queue(1000)
        self._over = threading.Event()
        self._silences = self._read()

    def start(self) -> None:
        """Begin to look, and to tell."""
        threading.Thread(target=self._run, daemon=True, name="alerts").start()
        if self._webhook:
            threading.Thread(target=self._deliver, daemon=True, name="webhook").start()

    def close(self) -> None:
        """Stop looking."""
        self._over.set()

    def all(self) -> list[Alert]:
        """Return the alerts of this moment, the oldest first."""
        return sorted((self._with_silence(a) for a in self._told.values()), key=lambda a: a.since)

    def silence(self, component: str, seconds: float) -> None:
        """Tell nobody of `component` for so long; 0 ends a silence. It outlives this process."""
        until = time.time() + seconds
        kept = {name: end for name, end in self._silences.items() if end > time.time() and name != component}
        self._silences = {**kept, **({component: until} if seconds > 0 else {})}
        write_durably(self._path, json.dumps(self._silences).encode())

    def look(self) -> None:
        """Compare the states with those before: raise what has lasted, end what is well again."""
        now = time.time()
        bad = {s.component: s for s in self._states() if s.state in BAD}
        self._seen = {name: self._seen.get(name, now) for name in bad}
        for name, since in self._seen.items():
            if name not in self._told and now - since >= self._grace:
                alert = self._told[name] = Alert(name, bad[name].state, bad[name].reason, since)
                self._tell("raised", alert)
        for name in [n for n in self._told if n not in bad]:
            self._tell("ended", self._told.pop(name))

    def _tell(self, what: str, alert: Alert) -> None:
        if not self._webhook or self._with_silence(alert).is_silent:
            return
        try:
            self._queue.put_nowait({"alert": what, **asdict(alert)})
        except Full:
            logging.getLogger("ptolemy.web").error("the webhook is behind: an alert was not told")

    def _with_silence(self, alert: Alert) -> Alert:
        return Alert(alert.component, alert.state, alert.reason, alert.since, self._silences.get(alert.component, 0.0))

    def _run(self) -> None:
        while not self._over.wait(1.0):
            self.look()

    def _deliver(self) -> None:
        while not self._over.is_set():
            body = json.dumps(self._queue.get()).encode()
            headers = {"Content-Type": "application/json"}
            for number in range(_TRIES):
                try:
                    request = urllib.request.Request(self._webhook, body, headers)
                    urllib.request.urlopen(request, timeout=5).close()
                    break
                except (OSError, ValueError) as exc:
                    # The address may hold a secret.
                    logging.getLogger("ptolemy.web").warning(
                        "the webhook did not take an alert: %s", type(exc).__name__
                    )
                    self._over.wait(2.0**number)

    def _read(self) -> dict[str, float]:
        try:
            return {str(k): float(v) for k, v in json.loads(self._path.read_bytes()).items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}
