"""The figures of a server as Prometheus reads them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable

from kyrios.serving.following import Follower
from kyrios.serving.running import Runs
from kyrios.serving.shelf import Shelf


class Requests:
    """Counts requests by method and status."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, int]] = Counter()
        self._lock = threading.Lock()

    def add(self, method: str, status: int) -> None:
        """Count one."""
        with self._lock:
            self._counts[method, status] += 1

    def items(self) -> list[tuple[tuple[str, int], int]]:
        """Return ``(method, status)`` and how many, sorted."""
        with self._lock:
            return sorted(self._counts.items())


def prometheus(shelf: Shelf, runs: Runs, follower: Follower, requests: Requests) -> str:
    """Return all figures in Prometheus' text format 0.0.4."""
    entries = shelf.entries()
    usable = sum(entry.flow is not None for entry in entries)
    return "".join([
        _family("kyrios_flows", "gauge", "Flows that are served.",
                [('{state="usable"}', usable), ('{state="broken"}', len(entries) - usable)]),
        _family("kyrios_runs_under_way", "gauge", "Runs of this server that have not ended.",
                [("", len(runs.under_way))]),
        _family("kyrios_runs_limit", "gauge", "Runs that may be under way at once.", [("", runs.limit)]),
        _family("kyrios_runs_started_total", "counter", "Runs that this server has started.", [("", runs.started)]),
        _family("kyrios_runs_ended_total", "counter", "Runs of this server that have ended, by their state.",
                [(f'{{state="{state}"}}', count) for state, count in sorted(runs.ended.items())]),
        _family("kyrios_listeners", "gauge", "Streams of events that are open.", [("", follower.listeners)]),
        _family("kyrios_http_requests_total", "counter", "Requests that were answered.",
                [(f'{{method="{method}",status="{status}"}}', count) for (method, status), count in requests.items()]),
    ])  # fmt: skip


def _family(name: str, kind: str, help: str, values: Iterable[tuple[str, int]]) -> str:
    lines = [f"# HELP {name} {help}", f"# TYPE {name} {kind}", *(f"{name}{labels} {value}" for labels, value in values)]
    return "\n".join(lines) + "\n"
