"""The embedded series store: immutable Arrow files, mapped into memory, and a manifest per data set.

::

    <folder>/.lock                       held by the writer
    <folder>/daily/manifest.json         the versions; replaced whole, so that readers need no lock
    <folder>/daily/00000001.arrow        the rows that version 1 wrote, sorted by key

A version exists from the moment when the manifest that names it is renamed into place. A file that
no manifest names is left over from a writer that died, and the next writer removes it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.compute

from ptolemy._house.config import home
from ptolemy._house.files import make_folder, replacing, sync_folder
from ptolemy.errors import BackendUnavailable, BadInput, DamagedSeries, NothingCollected, SeriesLocked
from ptolemy.series.manifest import NAME, Manifest, Segment, read_manifest
from ptolemy.series.merge import changed, checked, merged
from ptolemy.series.port import Series, Version

if TYPE_CHECKING:
    from ptolemy._house.backends import BackendURL

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands


class ArrowSeries:
    """``arrow://`` (the home folder's ``series``) or ``arrow:///path``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: int | None = None
        self._open: dict[Path, pa.Table] = {}
        self._writing = Lock()

    @classmethod
    def from_url(cls, url: BackendURL) -> ArrowSeries:
        """Open the store that `url` names; a folder that is not there yet is an empty store."""
        return cls(url.file_path(home() / "series"))

    def upsert(self, dataset: str, table: pa.Table, *, key: Sequence[str]) -> Version:
        with self._writing:
            self._acquire()
            folder = self._folder(dataset)
            manifest = read_manifest(folder) or Manifest(dataset, tuple(key))
            if manifest.key != tuple(key):
                raise BadInput(f"{dataset} is kept by the key {', '.join(manifest.key)}, not {', '.join(key)}")
            table = checked(dataset, table, manifest.key)
            news, added = changed(table, self._between(folder, manifest, table), manifest.key)
            if not manifest.versions and not news.num_rows:
                raise BadInput(f"{dataset}: there is no row to write")
            try:
                if not news.num_rows:
                    # Its writer may have died between renaming the manifest and making the name durable.
                    sync_folder(folder)
                    return manifest.versions[-1]
                make_folder(folder)
                self._sweep(folder, manifest)
                segment = _write_segment(folder / f"{len(manifest.versions) + 1:08d}.arrow", news)
                version = _next_version(manifest, segment, news, added)
                manifest.grown(version, segment).write(folder)
            except OSError as exc:
                raise _not_written(folder, exc) from exc
            return version

    def read(
        self,
        dataset: str,
        *,
        codes: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        columns: Sequence[str] | None = None,
        as_of: int | None = None,
    ) -> pa.Table:
        manifest = self._manifest(dataset)
        folder = self._folder(dataset)
        parts = []
        for segment in manifest.at(as_of):
            table = self._table(folder, segment)
            if columns is not None:
                table = table.select([c for c in table.column_names if c in columns or c in manifest.key])
            parts.append(_slice(table, manifest.key, codes, start, end))
        table = merged(parts, manifest.key)
        return table if columns is None else table.select([c for c in columns if c in table.column_names])

    def versions(self, dataset: str) -> list[Version]:
        return list(self._manifest(dataset).versions)

    def datasets(self) -> list[str]:
        return sorted(path.parent.name for path in self.folder.glob(f"*/{NAME}"))

    def verify(self, dataset: str) -> int:
        manifest = self._manifest(dataset)
        digest = ""
        for version, segment in zip(manifest.versions, manifest.segments, strict=True):
            table = self._table(self._folder(dataset), segment)
            path = self._folder(dataset) / segment.file
            if hashlib.sha256(path.read_bytes()).hexdigest() != segment.sha256 or table.num_rows != segment.rows:
                raise _damaged(path, "is not what was written")
            digest = _chained(digest, segment.sha256)
            if digest != version.digest:
                raise _damaged(path.with_name(NAME), f"does not hold together at version {version.id}")
        return manifest.versions[-1].rows

    def close(self) -> None:
        self._open.clear()
        if self._lock is not None:
            os.close(self._lock)  # closing gives the lock back
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _folder(self, dataset: str) -> Path:
        if not dataset.isidentifier():  # a name with a slash or dots would leave the store
            raise BadInput(f"{dataset!r} cannot be the name of a data set", hint="letters, digits and _")
        return self.folder / dataset

    def _manifest(self, dataset: str) -> Manifest:
        manifest = read_manifest(self._folder(dataset))
        if manifest is None:
            raise NothingCollected(dataset)
        return manifest

    def _table(self, folder: Path, segment: Segment) -> pa.Table:
        path = folder / segment.file
        if path not in self._open:
            try:
                # Reading past the end of a mapped file ends the process, so the length comes first.
                if path.stat().st_size != segment.bytes:
                    raise _damaged(path, f"has {path.stat().st_size} bytes, not {segment.bytes}")
                self._open[path] = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
            except (OSError, pa.ArrowInvalid) as exc:
                raise _damaged(path, f"cannot be read: {exc}") from exc
        return self._open[path]

    def _between(self, folder: Path, manifest: Manifest, like: pa.Table) -> pa.Table | None:
        """Return what is held of the securities from the first to the last of `like`."""
        if not manifest.segments or not like.num_rows:
            return None
        code = manifest.key[0]
        first, last = like[code][0].as_py(), like[code][-1].as_py()
        parts = []
        for segment in manifest.segments:
            table = self._table(folder, segment)
            values = _Values(table, code)
            begin = bisect_left(values, first)
            parts.append(table.slice(begin, bisect_right(values, last) - begin))
        return merged(parts, manifest.key)

    def _acquire(self) -> None:
        if self._lock is not None:
            return
        path = self.folder / ".lock"
        try:
            make_folder(self.folder)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as exc:
            raise _not_written(self.folder, exc) from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            holder = os.read(descriptor, 32).decode(errors="replace").strip()
            os.close(descriptor)
            raise SeriesLocked(
                f"the series store {self.folder} is being written by process {holder or 'unknown'}",
                hint="wait until that process ends, or write to another store with --series arrow:///path",
            ) from exc
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._lock = descriptor

    def _sweep(self, folder: Path, manifest: Manifest) -> None:
        """Remove what a writer that died has left; only the holder of the lock may."""
        named = {segment.file for segment in manifest.segments}
        for path in (*folder.glob("*.arrow"), *folder.glob(".*.tmp")):
            if path.name not in named:
                path.unlink(missing_ok=True)


class _Values:
    """One column of a sorted table, as `bisect` wants it."""

    def __init__(self, table: pa.Table, name: str) -> None:
        column = table[name]
        self._column: Any = column.chunk(0) if column.num_chunks == 1 else column

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, index: int) -> str:
        value: str = self._column[index].as_py()
        return value


def _slice(
    table: pa.Table, key: Sequence[str], codes: Sequence[str] | None, start: str | None, end: str | None
) -> pa.Table:
    if codes is not None:
        values = _Values(table, key[0])
        pieces = []
        for code in sorted(set(codes)):
            begin = bisect_left(values, code)
            pieces.append(table.slice(begin, bisect_right(values, code, begin) - begin))
        table = pa.concat_tables([table.slice(0, 0), *(p for p in pieces if p.num_rows)])
    times = table[key[-1]]
    keep: Any = None
    if start is not None:
        keep = pc.greater_equal(times, start)
    if end is not None:
        before = pc.less_equal(times, end)
        keep = before if keep is None else pc.and_(keep, before)
    return table if keep is None else table.filter(keep)


def _write_segment(path: Path, table: pa.Table) -> Segment:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    data = sink.getvalue()
    with replacing(path) as file:
        file.write(memoryview(data))
    return Segment(path.name, table.num_rows, data.size, hashlib.sha256(memoryview(data)).hexdigest())


def _next_version(manifest: Manifest, segment: Segment, news: pa.Table, added: int) -> Version:
    times = pc.min_max(news[manifest.key[-1]]).as_py()
    last = manifest.versions[-1] if manifest.versions else None
    return Version(
        dataset=manifest.dataset,
        id=len(manifest.versions) + 1,
        rows=(last.rows if last else 0) + added,
        written=news.num_rows,
        first=min(times["min"], last.first) if last else times["min"],
        last=max(times["max"], last.last) if last else times["max"],
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        digest=_chained(last.digest if last else "", segment.sha256),
    )


def _chained(before: str, sha256: str) -> str:
    return "sha256:" + hashlib.sha256(f"{before}\n{sha256}".encode()).hexdigest()


def _damaged(path: Path, what: str) -> DamagedSeries:
    return DamagedSeries(f"{path} {what}", hint=f"restore {path.parent} from a backup, or remove it and collect again")


def _not_written(folder: Path, exc: OSError) -> BackendUnavailable:
    return BackendUnavailable(
        f"{folder} cannot be written: {exc.strerror or exc}; what it held before is unchanged",
        hint="make room or mend the permissions there, then run the same command again",
    )


if TYPE_CHECKING:
    _fits: type[Series] = ArrowSeries
