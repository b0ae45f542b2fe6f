"""What one event of the monitor costs its caller, in CPU time of the caller's thread.

The peer is the standard library's logger with the formatter of ecs_logging and a file, the way in which events with
these field names are recorded without a monitor. Both say the same: an action, a duration, an outcome, one field of
the caller's own. Rounds take turns; between two, the queue is written out, so that none begins with a full one.
It runs in an environment that is made for the run, with the peer in it; where none can be made, it runs without.
"""

from __future__ import annotations

import gc
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
_ROUNDS = 25
_EVENTS = 5_000  # of a round: as many as a busy point records in a second


def figures() -> list[dict[str, Any]]:
    """Measure and return one dict per figure; the harness adds date, cpu and commit."""
    command = [
        str(_ROOT / "scripts" / "uv"), "run", "--quiet", "--no-project", "--isolated", f"--python={sys.executable}",
        "--with=ecs-logging", "python", "-c",
        f"import sys; sys.path[:0] = [{str(_ROOT)!r}, {str(_ROOT / 'packages/exia/src')!r}]; "
        "from benchmarks.exia import monitor; monitor.tell()",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as exc:
        print(f"exia/monitor: no peer: {getattr(exc, 'stderr', exc)}", file=sys.stderr)
        return measured()
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def tell() -> None:
    """Print the figures as JSON."""
    print(json.dumps(measured()))


def measured() -> list[dict[str, Any]]:
    """Measure here, beside the peer if it is installed."""
    import exia.monitor
    from exia._house.backends import BackendURL
    from exia.monitor.jsonl import JsonlMonitor

    with tempfile.TemporaryDirectory(prefix="exia-bench-") as folder:
        import os

        os.environ["EXIA_HOME"] = f"{folder}/home"
        store = JsonlMonitor(BackendURL.parse(f"jsonl://{folder}/days"))
        peer = _peer(Path(folder))
        with exia.monitor.start(store, every=1000) as monitor:

            def plain(n: int) -> None:
                for _ in range(n):
                    monitor.event("called", 12345)

            def full(n: int) -> None:
                for _ in range(n):
                    monitor.event("called", 12345, "success", n=1)

            costs: dict[str, list[float]] = {"plain": [], "full": [], "peer": []}
            for _ in range(_ROUNDS):
                costs["plain"].append(_cost(plain))
                monitor.deliver(60)
                costs["full"].append(_cost(full))
                monitor.deliver(60)
                if peer is not None:
                    costs["peer"].append(_cost(peer[1], _EVENTS // 10))
            dropped = monitor.dropped
    assert dropped == 0, "events were dropped, and dropping is cheaper"
    theirs = statistics.median(costs["peer"]) / 1000 if peer is not None else None
    name = None if peer is None else peer[0]
    return [
        _figure("monitor-event", "caller's cost of one monitor event", costs["plain"], 0.5, name, theirs),
        _figure(
            "monitor-event-facts", "the same with outcome and a field of one's own", costs["full"], None, name, theirs
        ),
    ]


def _cost(work: Callable[[int], None], events: int = _EVENTS) -> float:
    """Return nanoseconds of this thread for one event."""
    gc.collect()
    began = time.thread_time_ns()
    work(events)
    return (time.thread_time_ns() - began) / events


def _peer(folder: Path) -> tuple[str, Callable[[int], None]] | None:
    try:
        import ecs_logging
    except ModuleNotFoundError:
        return None
    from importlib.metadata import version

    logger = logging.getLogger("peer")
    logger.propagate = False
    handler = logging.FileHandler(folder / "peer.log")
    handler.setFormatter(ecs_logging.StdlibFormatter())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)

    def work(n: int) -> None:
        for _ in range(n):
            logger.info(
                "called",
                extra={"event.action": "called", "event.duration": 12345, "event.outcome": "success", "exia.n": 1},
            )

    return f"ecs-logging {version('ecs-logging')}, logging.FileHandler", work


def _figure(
    name: str, what: str, costs: list[float], bar: float | None, peer: str | None, theirs: float | None
) -> dict[str, Any]:
    return {
        "id": f"exia-{name}",
        "library": "exia",
        "figure": what,
        "value": round(statistics.median(costs) / 1000, 3),
        "unit": "us",
        "bar": bar,
        "better": "low",
        "peer": peer,
        "peer_value": None if theirs is None else round(theirs, 3),
        "rounds": len(costs),
    }


if __name__ == "__main__":
    for row in figures():
        print(
            f"{row['id']:24} {row['value']:>9} us, bar {row['bar']}, {row['peer']} {row['peer_value']}  {row['figure']}"
        )
