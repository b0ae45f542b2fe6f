"""Read a log from a cursor on; a consumer keeps its cursor in a file of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from exia._house.files import write_durably
from exia.errors import BackendUnavailable, Damaged
from exia.log.segment import HEADER_SIZE, Segment, frames, has_header, segments, size_of_next

_CHUNK = 1024 * 1024  #: Bytes read at once.


class Cursor(NamedTuple):
    """A place between two records."""

    segment: int = 0  #: Number of the first record of the segment that it lies in.
    offset: int = 0  #: Bytes from the start of that segment.
    number: int = 0  #: Of the record behind it.


START = Cursor()


class Record(NamedTuple):
    """One record of a log."""

    number: int  #: From 0, without gaps.
    data: bytes
    after: Cursor  #: Where to go on.


class LogReader:
    """Reads records in order, also while they are written; `cursor` is behind the last that was read.

    Parameters
    ----------
    folder
        Of the log; it need not exist yet.
    cursor
        Where to begin. Where that was trimmed away, the oldest record there is comes first.
    """

    def __init__(self, folder: Path, cursor: Cursor = START) -> None:
        self._folder = folder
        self.cursor = cursor

    def read(self, limit: int = 1_000) -> list[Record]:
        """Return the next records, `limit` at most; none if there are no more yet.

        What follows the last whole record of the newest segment is still being written, or was torn when its
        writer died: it is no record.

        Raises
        ------
        Damaged
            If a record in the middle is not what was written; `skip` goes on behind it.
        BackendUnavailable
            If the folder cannot be read.
        """
        try:
            while True:
                there = segments(self._folder)
                here = _current(there, self.cursor)
                if here is None:
                    return []
                self._enter(here)
                if found := self._records(here, limit):
                    self.cursor = found[-1].after
                    return found
                if here == there[-1]:
                    return []
                following = there[there.index(here) + 1]
                if following.first != self.cursor.number:
                    raise Damaged(
                        f"{here.path} is damaged at byte {self.cursor.offset}: "
                        f"{following.first - self.cursor.number} records of the log cannot be read",
                        hint="is the disk sound? what follows them is read all the same",
                    )
                self.cursor = Cursor(following.first, 0, following.first)
        except FileNotFoundError:  # trimmed since it was listed
            return self.read(limit)
        except BackendUnavailable:  # an OSError too
            raise
        except OSError as exc:
            raise BackendUnavailable(f"{exc.filename}: {exc.strerror or exc}", hint="may you read it?") from exc

    def skip(self) -> int:
        """Go to the next segment and return how many records were passed over."""
        following = next((s for s in segments(self._folder) if s.first > self.cursor.number), None)
        if following is None:
            return 0
        missed = following.first - self.cursor.number
        self.cursor = Cursor(following.first, 0, following.first)
        return missed

    def _enter(self, here: Segment) -> None:
        if self.cursor.segment != here.first or self.cursor.offset < HEADER_SIZE:
            self.cursor = Cursor(here.first, HEADER_SIZE, here.first)

    def _records(self, here: Segment, limit: int) -> list[Record]:
        _, offset, number = self.cursor
        with here.path.open("rb") as file:
            if offset == HEADER_SIZE and not has_header(file.read(HEADER_SIZE), here.first):
                return []
            file.seek(offset)
            data = file.read(_CHUNK)
            size = size_of_next(data)
            if size is not None and size > len(data):
                data += file.read(size - len(data))
        found = []
        for frame in frames(data, number):
            number += 1
            found.append(Record(number - 1, frame.data, Cursor(here.first, offset + frame.end, number)))
            if len(found) == limit:
                break
        return found


def read_cursor(path: Path) -> Cursor:
    """Return the cursor that `write_cursor` has left at `path`, or the start."""
    try:
        segment, offset, number = json.loads(path.read_bytes())
        return Cursor(int(segment), int(offset), int(number))
    except (OSError, ValueError, TypeError):
        # To begin again delivers twice, and every consumer is made for that.
        return START


def write_cursor(path: Path, cursor: Cursor) -> None:
    """Keep `cursor` at `path`, all or nothing, durable on return."""
    write_durably(path, json.dumps(list(cursor)).encode())


def _current(there: list[Segment], cursor: Cursor) -> Segment | None:
    """Return the segment that `cursor` lies in, or the oldest where that was trimmed away."""
    return next((s for s in there if s.first >= cursor.segment), None)
