"""Everything of Exia that runs around the clock, at once: ``python -m tests.faults.exia.soak FOLDER SECONDS``.

One process lends from a pool, swaps its version, changes its parameters, records runs and events. Each second it
prints a line of JSON: what the kernel says that it holds, and how much each part has done.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from itertools import count, pairwise
from pathlib import Path
from typing import Any, NamedTuple

WARM_UP = 0.25  #: Share of the time after which nothing may grow any more.
LONGEST_WARM_UP = 300.0  #: Seconds.
FLOOD = 50_000  #: Events, and metrics.
_SPANS = 40  # that a slope is taken of


class Held(NamedTuple):
    """What the process holds at one moment, and what it has done until then."""

    seconds: float  #: Since the start.
    rss_anon: int  #: Bytes.
    descriptors: int
    threads: int
    done: dict[str, int]

    @classmethod
    def read(cls, line: str) -> Held:
        """Return what a line of the process says."""
        return cls(*json.loads(line))


class First:
    """One version of an algorithm that takes parameters while it lives."""

    def __init__(self) -> None:
        self.window = 1

    def apply_params(self, params: dict[str, int]) -> None:
        self.window = params["window"]

    def signal(self, values: list[float]) -> float:
        return sum(values[-self.window :]) / self.window


class Second(First):
    """Another version."""


class Soak:
    """The load: each part is a loop in a thread of its own, and the first error ends all."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.done = dict.fromkeys(("leases", "swaps", "changes", "metrics", "runs", "events"), 0)
        self.errors: list[str] = []
        self._stop = threading.Event()
        self._end = time.monotonic() + seconds
        os.environ |= {"EXIA_HOME": str(folder / "home"), "EXIA_HEARTBEAT": "1"}

    def run(self) -> int:
        """Go on until the time is over; return the exit code."""
        import exia
        import exia.monitor
        import exia.params

        schema = {"type": "object", "properties": {"window": {"type": "integer", "minimum": 1}}}
        exia.params.define("soak", schema, {"window": 1})
        with (
            exia.monitor.start(service="soak", every=1.0) as monitor,
            exia.pool(First, name="soak", max_size=4, sample=64) as pool,
            exia.params.follow("soak", pool) as live,
            exia.run("long") as run,
        ):
            parts: list[tuple[Callable[[int], None], float]] = [
                *[(lambda n: self._lease(pool, monitor), 0.005)] * 6,
                (lambda n: self._swap(pool, n), 0.25),
                (lambda n: self._change(live, n), 0.25),
                (lambda n: self._log(run), 0.05),
                (lambda n: self._record(n), 1.0),
            ]
            self._flood(monitor, run)
            threads = [threading.Thread(target=self._loop, args=part) for part in parts]
            for thread in threads:
                thread.start()
            self._tell()
            self._stop.set()
            for thread in threads:
                thread.join()
        for error in self.errors:
            print(error, file=sys.stderr)
        return 1 if self.errors else 0

    def _flood(self, monitor: Any, run: Any) -> None:
        """Fill each queue and batch once, as after a stall, so that no later stall takes more than it did."""
        for n in range(FLOOD):
            monitor.event("flood", 1_000, "success", n=n)
            run.log_metric("flood", float(n))
        run.flush(60)
        monitor.deliver(60)

    def _tell(self) -> None:
        began = time.monotonic()
        while time.monotonic() < self._end and not self._stop.wait(1.0):
            held = Held(round(time.monotonic() - began, 1), *_held(), dict(self.done))
            print(json.dumps(held), flush=True)

    def _loop(self, part: Callable[[int], None], pause: float) -> None:
        try:
            for n in count():
                part(n)
                if self._stop.wait(pause):
                    return
        except BaseException as exc:
            self.errors.append(f"{type(exc).__name__}: {exc}")
            self._stop.set()

    def _lease(self, pool: Any, monitor: Any) -> None:
        for _ in range(50):
            with pool.lease() as smooth:
                smooth.signal([1.0, 2.0, 3.0])
        monitor.event("leased", 1_000, "success", leases=50)
        self.done["leases"] += 50
        self.done["events"] += 1

    def _swap(self, pool: Any, n: int) -> None:
        pool.swap(Second if n % 2 == 0 else First)
        self.done["swaps"] += 1

    def _change(self, live: Any, n: int) -> None:
        import exia.params

        version = exia.params.set("soak", {"window": 1 + n % 3}, why="soak").version
        if not live.wait(version, 30) or live.rejected is not None:
            raise RuntimeError(f"version {version} is not in force: {live.rejected}")
        self.done["changes"] += 1

    def _log(self, run: Any) -> None:
        for n in range(50):
            run.log_metric("ic", n / 50)
        self.done["metrics"] += 50

    def _record(self, n: int) -> None:
        import exia

        with exia.run("short", params={"n": n}) as run:
            run.log_metric("ic", 0.5)
        self.done["runs"] += 1


def _held() -> tuple[int, int, int]:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0]) * 1024, len(list(Path("/proc/self/fd").iterdir())), int(status["Threads"])


def settled(samples: Sequence[Held]) -> Sequence[Held]:
    """Return the samples after the warm-up."""
    warm = min(LONGEST_WARM_UP, WARM_UP * samples[-1].seconds)
    return [one for one in samples if one.seconds >= warm]


def slope(samples: Sequence[Held]) -> float:
    """Return how much of RssAnon stays, in bytes an hour.

    Of each span of time the least is taken, since a batch that is under way is no leak; and of these the median of
    the slopes between all pairs (Theil and Sen), since memory comes in steps.
    """
    width = max(1, -(-len(samples) // _SPANS))
    least = [min(samples[n : n + width], key=lambda one: one.rss_anon) for n in range(0, len(samples), width)]
    slopes = [
        (late.rss_anon - early.rss_anon) / (late.seconds - early.seconds)
        for n, early in enumerate(least)
        for late in least[n + 1 :]
    ]
    return 3600 * statistics.median(slopes)


def thirds(samples: Sequence[Held]) -> list[Sequence[Held]]:
    """Return the samples in three parts, in order."""
    edges = [n * len(samples) // 3 for n in range(4)]
    return [samples[a:b] for a, b in pairwise(edges)]


if __name__ == "__main__":
    sys.exit(Soak(Path(sys.argv[1]), float(sys.argv[2])).run())
