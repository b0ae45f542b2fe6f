"""The figures of pools as Prometheus text, made when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from exia.pooling.named import open_pools
from exia.pooling.statistics import Histogram, PoolStats

if TYPE_CHECKING:
    from exia.pooling.pool import Pool

_GAUGES = {
    "size": "Objects that exist.",
    "idle": "Objects at rest.",
    "in_use": "Objects leased or being made.",
    "waiting": "Callers in the queue.",
    "max_size": "The most objects that may exist.",
    "generation": "Grows with each change of version or parameters.",
}
_COUNTERS = {
    "leases": "Leases that have ended.",
    "created": "Objects made.",
    "errors": "Leases that ended with an exception.",
    "timeouts": "Callers who waited in vain.",
    "refused": "Callers turned away because too many waited.",
    "leaked": "Leases that were reported as leaked.",
    "returned": "Leases that came back after they were reported as leaked.",
}


def prometheus(pools: Iterable[Pool[Any]] | None = None) -> str:
    """Return the figures of `pools`, by default of all open pools of this process, in Prometheus' text format.

    Counters are since the pool opened; waits and holds are histograms in seconds, of the leases that the pool samples.
    """
    stats = [pool.stats() for pool in (open_pools() if pools is None else pools)]
    return "".join(line + "\n" for line in _lines(stats))


def _lines(stats: list[PoolStats]) -> Iterator[str]:
    for kind, figures, suffix in (("gauge", _GAUGES, ""), ("counter", _COUNTERS, "_total")):
        for name, help_text in figures.items():
            yield from _head(f"exia_pool_{name}{suffix}", kind, help_text)
            for one in stats:
                yield f"exia_pool_{name}{suffix}{_labels(one)} {getattr(one, name)}"
    for name, label, help_text in (
        ("destroyed", "cause", "Objects destroyed."),
        ("failures", "verb", "Exceptions that the factory raised."),
    ):
        yield from _head(f"exia_pool_{name}_total", "counter", help_text)
        for one in stats:
            for key, n in sorted(getattr(one, name).items()):
                yield f"exia_pool_{name}_total{_labels(one, **{label: key})} {n}"
    yield from _head("exia_pool_version_info", "gauge", "The version that new leases get.")
    for one in stats:
        yield f"exia_pool_version_info{_labels(one, version=one.version)} 1"
    for name, help_text in (("wait", "How long callers waited."), ("hold", "How long objects were out.")):
        yield from _head(f"exia_pool_{name}_seconds", "histogram", help_text)
        for one in stats:
            histogram: Histogram | None = getattr(one, name)
            if histogram is not None:
                yield from _buckets(f"exia_pool_{name}_seconds", one, histogram)


def _buckets(name: str, stats: PoolStats, histogram: Histogram) -> Iterator[str]:
    below = 0
    for i, n in enumerate(histogram.buckets):
        below += n
        if n:
            yield f"{name}_bucket{_labels(stats, le=f'{2.0**i / 1e9:g}')} {below}"
    yield f"{name}_bucket{_labels(stats, le='+Inf')} {below}"
    yield f"{name}_sum{_labels(stats)} {histogram.total:g}"
    yield f"{name}_count{_labels(stats)} {below}"


def _head(name: str, kind: str, help_text: str) -> Iterator[str]:
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {kind}"


def _labels(stats: PoolStats, **more: str) -> str:
    pairs = {"pool": stats.name, **more}
    return "{" + ",".join(f'{key}="{_escaped(value)}"' for key, value in pairs.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
