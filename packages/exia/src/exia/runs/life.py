"""Whether a run that nobody has ended still lives."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from exia.facts import boot, process_space, started
from exia.runs.port import RunRecord

_BEATS = 6  #: So many signs of life must be missing.
_GRACE = 5.0  #: Seconds more, for a store that is slow.


def judged(record: RunRecord) -> RunRecord:
    """Return `record` as ``lost`` if it is said to be running, but its process is gone or silent."""
    if record.status != "running" or not (_is_gone(record) or _is_silent(record)):
        return record
    return replace(record, status="lost")


def _is_gone(record: RunRecord) -> bool:
    """Tell whether the process was one of this machine and is no more."""
    process: dict[str, Any] = record.facts.get("process") or {}
    if record.host != os.uname().nodename or not process.get("boot"):
        return False
    if process["boot"] != boot():
        return True
    # Another container has other processes under the same numbers, and may have this host's name.
    if process.get("space") not in (None, process_space()):
        return False
    return started(int(process["pid"])) != process.get("started")


def _is_silent(record: RunRecord) -> bool:
    every = (record.facts.get("process") or {}).get("heartbeat")
    if not every:  # recorded by an older exia, which gave no signs
        return False
    last = datetime.fromisoformat(record.heartbeat or record.started)
    return (datetime.now(UTC) - last).total_seconds() > _BEATS * float(every) + _GRACE
