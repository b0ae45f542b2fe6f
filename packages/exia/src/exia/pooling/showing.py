"""What ``exia top`` shows: each process writes its pools' figures while somebody looks.

`exia top` makes the folder ``top`` in Exia's home; a process that finds it there writes one file a
second into it. Nothing is written while nobody looks, and nothing listens on a port.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exia._house.config import home

if TYPE_CHECKING:
    from exia.pooling.pool import Pool

#: Seconds after which a file is of a process that is gone.
STALE = 5.0


def folder() -> Path:
    """Return where the figures lie while somebody looks."""
    return home() / "top"


def show(pools: Iterable[Pool[Any]]) -> None:
    """Write the figures of `pools` if somebody looks."""
    place = folder()
    if not place.is_dir():
        return
    rows = [figures(pool) for pool in pools if not pool.closed]
    # Renamed, so that nobody reads half of it; not synced, for it is worth nothing a second later.
    new = place / f".{os.getpid()}.tmp"
    new.write_text(json.dumps({"pid": os.getpid(), "time": time.time(), "pools": rows}), encoding="utf-8")
    new.replace(place / f"{os.getpid()}.json")


def figures(pool: Pool[Any]) -> dict[str, Any]:
    """Return the figures of one pool as JSON values."""
    stats = pool.stats()
    row = asdict(stats) | {"wait": None, "hold": None}
    for name, histogram in (("wait", stats.wait), ("hold", stats.hold)):
        if histogram is not None and histogram.count:
            row[name] = {"p50": histogram.quantile(0.5), "p99": histogram.quantile(0.99)}
    return row


class Watch:
    """Looking at the pools of all processes; figures are written from its beginning to its end."""

    def __init__(self) -> None:
        self._folder = folder()
        self._mark = self._folder / f"looking-{os.getpid()}"

    def __enter__(self) -> Watch:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._mark.touch()
        return self

    def __exit__(self, *error: object) -> None:
        self._mark.unlink(missing_ok=True)
        if any(self._folder.glob("looking-*")):
            return  # somebody else still looks
        for path in self._folder.iterdir():
            path.unlink(missing_ok=True)
        with suppress(OSError):  # a process wrote once more: the folder goes with the next look
            self._folder.rmdir()

    def wait(self, timeout: float = 1.5) -> None:
        """Wait until each process had the time to write once."""
        time.sleep(timeout)

    def rows(self) -> list[dict[str, Any]]:
        """Return the pools of all processes that write now, each with its ``pid``, by pid and name."""
        rows: list[dict[str, Any]] = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                one = json.loads(path.read_text(encoding="utf-8"))
                if time.time() - one["time"] <= STALE:
                    rows += [{"pid": one["pid"], "time": one["time"], **row} for row in one["pools"]]
            except (OSError, ValueError, KeyError, TypeError):
                continue  # half gone, or not ours
        return sorted(rows, key=lambda row: (row["pid"], row["name"]))
