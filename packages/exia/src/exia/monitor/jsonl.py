"""``jsonl://`` or ``jsonl:///folder``: one file of JSON lines for each day."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exia._house.backends import BackendURL
from exia._house.config import home
from exia._house.files import make_folder, sync_folder
from exia.errors import BackendUnavailable
from exia.monitor.port import Document, MonitorStore, Refused, bound, checked_limit, day_of, field

_NAME = re.compile(r"(\d{4}-\d\d-\d\d)\.jsonl")
_CHUNK = 1024 * 1024


class JsonlMonitor:
    """The embedded store; several processes may write to one folder, and other programs read its files.

    A file is appended to under a lock, and synced before a write is acknowledged. What a crash has torn at
    its end is cut off by the next write.
    """

    def __init__(self, url: BackendURL) -> None:
        self._folder = url.file_path(home() / "monitor" / "days")
        self._known: dict[tuple[str, date], tuple[int, int]] = {}  # per source and day: bytes looked at, last number

    def write(self, documents: Sequence[Document]) -> list[Refused]:
        refused: list[Refused] = []
        by_day: defaultdict[date, list[tuple[str, int, str]]] = defaultdict(list)
        for document in documents:
            try:
                source, _, number = document["event"]["id"].rpartition("-")
                line = json.dumps(document, ensure_ascii=False, allow_nan=False)
                by_day[day_of(document)].append((source, int(number), line))
            except (KeyError, TypeError, ValueError) as exc:
                refused.append(Refused(document, f"it is no document: {type(exc).__name__}: {exc}"))
        with self._translated():
            make_folder(self._folder)
            for day, lines in sorted(by_day.items()):
                self._append(day, lines)
        return refused

    def query(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        where: Mapping[str, str] | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        limit = checked_limit(limit)
        first, last = bound(since), bound(until)
        found: list[dict[str, Any]] = []
        with self._translated():
            for day in reversed(self.days()):
                if (last and day.isoformat() > last[:10]) or (first and day.isoformat() < first[:10]):
                    continue
                here = [
                    document
                    for document in _read(self._path(day))
                    if (not first or document["@timestamp"] >= first)
                    and (not last or document["@timestamp"] < last)
                    and all(_is(field(document, name), value) for name, value in (where or {}).items())
                ]
                here.sort(key=lambda document: document["@timestamp"])
                found = here + found
                if len(found) >= limit:
                    break
        return found[-limit:]

    def days(self) -> list[date]:
        names = (_NAME.fullmatch(path.name) for path in self._folder.glob("*.jsonl"))
        return sorted(date.fromisoformat(name[1]) for name in names if name)

    def drop(self, day: date) -> None:
        with self._translated():
            self._path(day).unlink(missing_ok=True)
        self._known = {key: value for key, value in self._known.items() if key[1] != day}

    def ping(self) -> str:
        with self._translated():
            make_folder(self._folder)
            if not os.access(self._folder, os.W_OK):
                raise BackendUnavailable(f"{self._folder} cannot be written", hint="check its owner and mode")
        return f"{self._folder}: {len(self.days())} days"

    def close(self) -> None:
        pass

    def _path(self, day: date) -> Path:
        return self._folder / f"{day.isoformat()}.jsonl"

    def _append(self, day: date, lines: list[tuple[str, int, str]]) -> None:
        path = self._path(day)
        new = not path.exists()
        with path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            size = _whole(file.fileno())
            fresh = []
            last = {source: self._last(file.fileno(), size, source, day) for source in {source for source, *_ in lines}}
            for source, number, line in lines:
                # A source's documents come in the order of their numbers: what is not beyond the last is here.
                if number > last[source]:
                    last[source] = number
                    fresh.append(line)
            data = "".join(f"{line}\n" for line in fresh).encode()
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), size)
                raise
            for source, number in last.items():
                self._known[source, day] = (size + len(data), number)
        if new:
            sync_folder(self._folder)

    def _last(self, descriptor: int, size: int, source: str, day: date) -> int:
        """Return the highest number of `source` in the file, which has `size` bytes; -1 if it has none."""
        looked, last = self._known.get((source, day), (0, -1))
        if looked > size:
            looked, last = 0, -1  # somebody has replaced the file
        pattern = re.compile(rb'"id": "' + re.escape(source.encode()) + rb'-(\d+)"')
        tail = b""
        while looked < size:
            piece = os.pread(descriptor, min(_CHUNK, size - looked), looked)
            if not piece:
                break
            looked += len(piece)
            text = tail + piece
            for match in pattern.finditer(text):
                last = max(last, int(match[1]))
            tail = text[-len(source) - 64 :]
        return last

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except BackendUnavailable:
            raise
        except OSError as exc:
            raise BackendUnavailable(
                f"{self._folder} cannot be used: {exc.strerror or exc}",
                hint="free some space, or check its owner and mode",
            ) from exc


def _whole(descriptor: int) -> int:
    """Cut off what was torn at the end of the file; return its size."""
    size = end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _CHUNK)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)
    return end


def _read(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    document = json.loads(line)
                    document["@timestamp"]
                except (ValueError, KeyError, TypeError):
                    continue  # being written, or torn
                yield document
    except FileNotFoundError:
        return


def _is(value: Any, wanted: str) -> bool:
    if isinstance(value, list):
        return any(_is(one, wanted) for one in value)
    if isinstance(value, bool):
        return wanted == str(value).lower()
    return value is not None and str(value) == wanted


if TYPE_CHECKING:
    _fits: type[MonitorStore] = JsonlMonitor
