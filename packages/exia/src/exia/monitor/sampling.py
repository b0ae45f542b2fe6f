"""The figures of a pool over an interval: what has happened since the last look."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic
from typing import Any

from exia.pooling.statistics import Histogram, PoolStats

_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class Sampler:
    """Remembers each pool's figures at the last look."""

    def __init__(self) -> None:
        self._before: dict[int, tuple[float, PoolStats]] = {}

    def look(self, pools: Iterable[Any]) -> list[dict[str, Any]]:
        """Return the figures of each of `pools` since the last look, or since it opened."""
        now, seen, found = monotonic(), {}, []
        for pool in pools:
            stats: PoolStats = pool.stats()
            seen[id(pool)] = (now, stats)
            at, before = self._before.get(id(pool), (None, None))
            found.append(_figures(stats, before, None if at is None else now - at))
        self._before = seen
        return found


def _figures(now: PoolStats, before: PoolStats | None, seconds: float | None) -> dict[str, Any]:
    old = before or PoolStats(now.name, 0, 0, 0, 0, 0, 0, 0)
    calls = now.leases - old.leases
    figures: dict[str, Any] = {
        "name": now.name,
        "version": now.version,
        "generation": now.generation,
        "max_size": now.max_size,
        "size": now.size,
        "in_use": now.in_use,
        "idle": now.idle,
        "waiting": now.waiting,
        "saturation": round(now.in_use / now.max_size, 4),
        "leases": now.leases,
        "calls": calls,
        "errors": now.errors - old.errors,
        "timeouts": now.timeouts - old.timeouts,
        "refused": now.refused - old.refused,
        "failures": sum(now.failures.values()) - sum(old.failures.values()),
        "created": now.created - old.created,
        "leaked": now.leaked - old.leaked,
    }
    if seconds:
        figures["interval"] = round(seconds, 3)
        figures["calls_per_second"] = round(calls / seconds, 2)
    for name in ("wait", "hold"):
        since = _since(getattr(now, name), getattr(old, name))
        if since is not None and since.count:
            figures[name] = {word: round(since.quantile(q) * 1e9) for word, q in _QUANTILES.items()}
    return figures


def _since(now: Histogram | None, before: Histogram | None) -> Histogram | None:
    if now is None or before is None:
        return now
    buckets = [new - old for new, old in zip(now.buckets, before.buckets, strict=True)]
    return Histogram(buckets, now.total - before.total)
