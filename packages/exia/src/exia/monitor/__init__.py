"""Events of this process and figures of its pools, recorded for whoever looks after it.

>>> import exia.monitor
>>> with exia.monitor.start(service="momentum") as monitor:
...     monitor.event("reloaded", duration_ns=1_500_000, window=20)
...     monitor.deliver()
...     [event["event"]["action"] for event in exia.monitor.query(where={"event.dataset": "exia.event"})]
['reloaded']
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from exia._house.backends import open_backend
from exia._house.config import load_config
from exia.errors import Conflict
from exia.monitor.port import Document, MonitorStore, Refused
from exia.monitor.recorder import Monitor, checked_every
from exia.redaction import configured
from exia.settings import SETTINGS

__all__ = ["Document", "Monitor", "MonitorStore", "Refused", "current", "open_monitor", "query", "start"]

_lock = threading.Lock()
_current: Monitor | None = None


def start(store: str | MonitorStore | None = None, *, service: str = "exia", every: float = 10.0) -> Monitor:
    """Record events of this process, and the figures of all its pools, until the monitor is closed.

    What happens to pools and to followed parameters is recorded by itself; `Monitor.event` records more.

    Parameters
    ----------
    store
        A URL, an open store (which stays open), or None for the configured one: ``EXIA_MONITOR``,
        ``jiyuan.toml``, ``jsonl://``. It need not answer: what it does not take waits on this disk.
    service
        What the process is called, ``service.name``.
    every
        Seconds between two samples of each pool.

    Raises
    ------
    Conflict
        If this process has a monitor already.
    BadInput
        If `every` is no interval.
    """
    global _current
    every = checked_every(every)
    with _lock:
        if _current is not None and not _current._closed:
            raise Conflict(
                f"this process has a monitor already, of service {_current.service!r}", hint="exia.monitor.current()"
            )
        opened = open_monitor(store) if store is None or isinstance(store, str) else store
        own = opened is not store
        _current = Monitor(opened, service=service, every=every, redaction=configured(), own_store=own)
        return _current


def current() -> Monitor | None:
    """Return the monitor of this process, or None if it has none that runs."""
    found = _current
    return None if found is None or found._closed else found


def open_monitor(url: str | None = None) -> MonitorStore:
    """Open the store of events at `url`, or the configured one.

    Raises
    ------
    UnknownBackend
        If no store has this URL scheme.
    MissingExtra
        If its driver is not installed.
    """
    return cast(MonitorStore, open_backend("monitor", load_config(SETTINGS, {"monitor": url}).text("monitor")))


def query(
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    where: Mapping[str, str] | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Return the newest events and samples of the configured store, oldest first; see `MonitorStore.query`."""
    store = open_monitor()
    try:
        return store.query(since=since, until=until, where=where, limit=limit)
    finally:
        store.close()
