"""Ticks without an end: what one sends, and what the service that keeps them holds meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from tests.faults.exia.soak import Held

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands

RATE = 200_000  #: Ticks a second.
BATCH = 20_000  #: Ticks in one message, a tenth of a second.
CODES = 5_000
_PARTS = RATE // BATCH


class Feed:
    """Messages of ticks at `RATE`, each at its time; one that is late is sent at once.

    After so many seconds no more is sent, however late the messages are.
    """

    def __init__(self, seconds: float) -> None:
        self.sent = 0
        self.second = 0  #: The newest second of which all ticks were sent.
        self.late = 0.0  #: The most that a message was behind its time, in seconds.
        self._seconds = seconds
        chance = np.random.default_rng(1)
        codes: Any = pa.array([f"{n:06d}.SZ" for n in range(CODES)])
        # The part of a second that each message has, and what it says; only the second is new each time.
        self._parts = [
            (
                pa.array([f".{n * 5:06}" for n in range(part * BATCH, (part + 1) * BATCH)]),
                codes.take(pa.array(chance.integers(0, CODES, BATCH))),
                {
                    "price": chance.uniform(5, 50, BATCH).round(2),
                    "vol": chance.integers(1, 1000, BATCH) * 100,
                    "amount": chance.uniform(1e3, 1e6, BATCH).round(2),
                },
            )
            for part in range(_PARTS)
        ]

    def moment(self, second: int) -> str:
        """Return the second of the day, as the ticks write it."""
        return f"2024-01-02 {second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"

    def __iter__(self) -> Iterator[pa.Table]:
        began = time.monotonic()
        for number in range(round(self._seconds * _PARTS)):
            wait = began + number / _PARTS - time.monotonic()
            if number % _PARTS == 0:
                self.second = max(number // _PARTS - 1, 0)
                if number and number / _PARTS - wait > self._seconds:
                    return
            if wait > 0:
                time.sleep(wait)
            self.late = max(self.late, -wait)
            digits, codes, numbers = self._parts[number % _PARTS]
            times = pc.binary_join_element_wise(self.moment(number // _PARTS), digits, "")
            self.sent += BATCH
            columns: dict[str, Any] = {"ts_code": codes, "trade_time": times, **numbers}
            yield pa.table(columns)
        self.second = round(self._seconds) - 1


class Watch:
    """Looks every second at what a process holds, until it is left."""

    def __init__(self, pid: int, feed: Feed) -> None:
        self.samples: list[Held] = []
        self._pid, self._feed = pid, feed
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        began = time.monotonic()
        process = Path(f"/proc/{self._pid}")
        while not self._over.wait(1.0):
            status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
            held = Held(
                time.monotonic() - began,
                int(status["RssAnon"].split()[0]) * 1024,
                len(list((process / "fd").iterdir())),
                int(status["Threads"]),
                {"ticks": self._feed.sent},
            )
            self.samples.append(held)
