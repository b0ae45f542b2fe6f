"""What dead processes have left undelivered on this disk."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from exia.errors import ExiaError
from exia.log import LogReader, in_use, read_cursor, write_cursor
from exia.log.segment import segments
from exia.runs.places import Place, root
from exia.runs.port import RunSink
from exia.runs.shipper import _alone, cursor_path, deliver, log, read_on

_PLACES = "to.json"
_BATCH = 200
_YOUNG = 60.0  # seconds in which a folder without its file may still be in the making


@dataclass(frozen=True)
class Backlog:
    """What waits in one log for one place."""

    folder: Path
    port: str
    place: str  #: The URL without its password.
    key: str
    size: int  #: Bytes that were not delivered.
    since: float  #: Unix seconds of the last write.
    alive: bool  #: Whether the process that writes the log is there.


def describe(folder: Path, places: list[Place]) -> None:
    """Write down beside a log which places it is for."""
    from exia._house.files import write_durably

    said = [{"port": p.port, "place": p.name, "key": p.key} for p in places]
    write_durably(folder / _PLACES, json.dumps(said).encode())


def backlogs() -> list[Backlog]:
    """Return what waits on this machine, oldest first."""
    return [found for folder in _folders() for found in _described(folder) if found.size]


def deliver_backlog(place: Place, sink: RunSink, seconds: float = 2.0) -> int:
    """Deliver to an open place what dead processes have left for it; return how many records.

    Parameters
    ----------
    seconds
        How long at most; what is left then waits for the next call.

    Raises
    ------
    ExiaError
        If the place does not take them.
    """
    end, count = time.monotonic() + seconds, 0
    for folder in _folders():
        if time.monotonic() > end:
            break
        if in_use(folder):
            continue
        if any(found.key == place.key for found in _described(folder)):
            count += _deliver(folder, place, sink, end)
        _remove_if_done(folder)
    return count


def _deliver(folder: Path, place: Place, sink: RunSink, end: float) -> int:
    with _alone(folder, place) as alone:
        if not alone:
            return 0
        start = read_cursor(cursor_path(folder, place))
        reader = LogReader(folder, start)
        try:
            while time.monotonic() < end:
                before = reader.cursor
                try:
                    records = read_on(reader, folder, _BATCH)
                    deliver(sink, place, records)
                except ExiaError:
                    reader.cursor = before
                    raise
                if not records:
                    break
        finally:
            if reader.cursor != start:
                write_cursor(cursor_path(folder, place), reader.cursor)
        return reader.cursor.number - start.number


def remove_if_done(folder: Path) -> bool:
    """Remove a log that nobody writes any more, if it was delivered to all its places."""
    return not in_use(folder) and _remove_if_done(folder)


def _remove_if_done(folder: Path) -> bool:
    described = list(_described(folder))
    if any(found.size for found in described):
        return False
    # Without its file nothing was told to this log yet; one that cannot be read is for a person to look at.
    try:
        young = time.time() - folder.stat().st_mtime < _YOUNG
    except FileNotFoundError:  # another process has just removed it
        return True
    if not described and (young or (folder / _PLACES).exists()):
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return True


def _folders() -> list[Path]:
    try:
        return sorted(path for path in root().iterdir() if path.is_dir())
    except FileNotFoundError:
        return []


def _described(folder: Path) -> Iterator[Backlog]:
    try:
        said = json.loads((folder / _PLACES).read_bytes())
        there = [(s, s.path.stat()) for s in segments(folder)]
    except FileNotFoundError:
        return
    except (OSError, ValueError) as exc:
        log.error("%s: %s", folder, exc)
        return
    alive = in_use(folder)
    since = max((stat.st_mtime for _, stat in there), default=0.0)
    for place in said:
        cursor = read_cursor(folder / f"{place['key']}.cursor")
        size = _left(folder, cursor) if there else 0
        yield Backlog(folder, place["port"], place["place"], place["key"], size, since, alive)


def _left(folder: Path, cursor: object) -> int:
    """Return how many bytes of records lie behind the cursor; what was torn at the end is none."""
    from exia.log import Cursor

    assert isinstance(cursor, Cursor)
    reader = LogReader(folder, cursor)
    if not read_on(reader, folder, 1):
        return 0
    here = [s.path.stat().st_size - (cursor.offset if s.first == cursor.segment else 0) for s in segments(folder)]
    firsts = [s.first for s in segments(folder)]
    return sum(size for size, first in zip(here, firsts, strict=True) if first >= cursor.segment)
