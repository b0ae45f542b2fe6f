"""What the samples of a span of time say about each pool."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from exia.monitor.port import field as field_of


@dataclass
class PoolSummary:
    """One pool of one process.

    Attributes
    ----------
    samples
        The figures of each sample, oldest first, each with its ``time``.
    calls, errors, timeouts, refused
        In the span.
    """

    service: str
    host: str
    pid: int
    name: str
    samples: list[dict[str, Any]] = field(default_factory=list)
    calls: int = 0
    errors: int = 0
    timeouts: int = 0
    refused: int = 0

    @property
    def last(self) -> Mapping[str, Any]:
        """The newest sample."""
        return self.samples[-1]

    @property
    def calls_per_second(self) -> float | None:
        """Over all samples that know how long they cover."""
        known = [one for one in self.samples if one.get("interval")]
        seconds = sum(one["interval"] for one in known)
        return round(sum(one["calls"] for one in known) / seconds, 2) if seconds else None

    def worst(self, name: str) -> float | None:
        """Return the largest value of a figure, such as ``hold.p99`` in nanoseconds."""
        values = [value for one in self.samples if (value := field_of(one, name)) is not None]
        return max(values, default=None)

    def row(self) -> dict[str, Any]:
        """Return what ``exia monitor top`` shows."""
        return {
            "service": self.service,
            "host": self.host,
            "pid": self.pid,
            "pool": self.name,
            "version": self.last.get("version"),
            "calls/s": self.calls_per_second,
            "calls": self.calls,
            "errors": self.errors,
            "timeouts": self.timeouts,
            "refused": self.refused,
            "in use": self.last.get("in_use"),
            "max": self.last.get("max_size"),
            "waiting": self.last.get("waiting"),
            "hold p99 ms": _ms(self.worst("hold.p99")),
            "wait p99 ms": _ms(self.worst("wait.p99")),
            "seen": self.last["time"].isoformat(timespec="seconds"),
        }


def summarize(documents: Iterable[Mapping[str, Any]]) -> list[PoolSummary]:
    """Return one summary for each pool of each process that `documents` have samples of, by service and name."""
    found: defaultdict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for document in documents:
        if field_of(document, "event.kind") == "metric":
            figures = dict(document["exia"]["pool"])
            key = tuple(field_of(document, name) for name in ("service.name", "host.name", "process.pid"))
            found[(*key, figures["name"])].append(figures | {"time": time_of(document)})
    summaries = []
    for (service, host, pid, name), samples in found.items():
        samples.sort(key=lambda one: one["time"])
        totals = {word: sum(one.get(word, 0) for one in samples) for word in ("calls", "errors", "timeouts", "refused")}
        summaries.append(PoolSummary(service, host, pid, name, samples, **totals))
    return sorted(summaries, key=lambda one: (one.service, one.name, one.host, one.pid))


def time_of(document: Mapping[str, Any]) -> datetime:
    """Return the ``@timestamp`` of `document`."""
    return datetime.fromisoformat(str(document["@timestamp"])).astimezone(UTC)


def _ms(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else round(nanoseconds / 1e6, 3)
