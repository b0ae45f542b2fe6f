"""Let go of segments: those that all consumers have read, or those that are too many or too old."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from exia.log.reader import Cursor
from exia.log.segment import Segment, segments


def trim(folder: Path, cursors: Iterable[Cursor]) -> int:
    """Remove the segments that lie before every one of `cursors`; return how many. The newest stays."""
    first = min((c.segment for c in cursors), default=0)
    return _remove(s for s in segments(folder)[:-1] if s.first < first)


def retain(folder: Path, *, max_bytes: int | None = None, max_age: float | None = None) -> int:
    """Remove the oldest segments until the log keeps its limits; return how many. The newest stays.

    Parameters
    ----------
    max_bytes
        Of all segments together.
    max_age
        Seconds since the last write to a segment.
    """
    there = [(s, s.path.stat()) for s in segments(folder)]
    size = sum(stat.st_size for _, stat in there)
    oldest = time.time() - max_age if max_age is not None else float("-inf")
    doomed = []
    for segment, stat in there[:-1]:
        if (max_bytes is None or size <= max_bytes) and stat.st_mtime >= oldest:
            break
        doomed.append(segment)
        size -= stat.st_size
    return _remove(doomed)


def _remove(doomed: Iterable[Segment]) -> int:
    removed = 0
    for segment in doomed:  # oldest first: if this is cut short, what is left has no gap
        segment.path.unlink(missing_ok=True)
        removed += 1
    return removed
