"""One rate for all processes of this machine that ask one source: each call has a turn of its own."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from ptolemy._house.files import make_folder


class Rate:
    """At most so many calls a minute, evenly spread, counted in a file that all processes share.

    Parameters
    ----------
    folder
        Where the files lie.
    what
        Whose rate it is, such as an address and a token; only its hash is written.
    per_minute
        Calls; 0 means any number. A lower one that the source has taught stays for a day.
    """

    def __init__(
        self,
        folder: Path,
        what: str,
        per_minute: float,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = folder / f"{sha256(what.encode()).hexdigest()[:24]}.json"
        self._per_minute, self._clock, self._sleep = per_minute, clock, sleep

    def wait(self) -> float:
        """Wait for the turn of one call and return the seconds that it took."""

        def turn(state: dict[str, float], now: float) -> float:
            taught = state.get("rate", 0.0) if now < state.get("until", 0.0) else 0.0
            rate = min(filter(None, (self._per_minute, taught)), default=0.0)
            # A clock that was set back must not make anybody wait for days.
            at = min(max(now, state.get("next", 0.0)), now + 3600)
            state["next"] = at + (60 / rate if rate else 0.0)
            return at - now

        seconds = self._changed(turn)
        if seconds > 0:
            self._sleep(seconds)
        return seconds

    def learn(self, per_minute: float, pause: float) -> None:
        """Keep to a lower rate from now on, after `pause` seconds without any call."""

        def slower(state: dict[str, float], now: float) -> float:
            state["rate"], state["until"] = per_minute, now + 86400
            state["next"] = max(state.get("next", 0.0), now + pause)
            return 0.0

        self._changed(slower)

    def _changed(self, change: Callable[[dict[str, float], float], float]) -> float:
        make_folder(self._path.parent)
        with self._path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            try:
                state = json.loads(file.read() or "{}")
            except ValueError:  # a process that was killed while it wrote
                state = {}
            result = change(state, self._clock())
            file.seek(0)
            file.truncate()
            file.write(json.dumps(state))
        return result
