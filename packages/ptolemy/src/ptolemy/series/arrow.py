"""The embedded series store: an append-only log, compacted into immutable files that are mapped into memory.

::

    <folder>/.lock                          held by the writer
    <folder>/daily/log-00000012             versions behind 12, appended and fsynced one by one
    <folder>/daily/manifest.json            what is compacted; replaced whole, so that readers need no lock
    <folder>/daily/2024-8f0c...cube         a year of a regular panel, dense, [security, column, day]
    <folder>/daily/2024-51d2...rows         a period of any other shape, sorted by key
    <folder>/daily/history-00000012-...     what rows were before they were replaced or deleted
    <folder>/daily/versions-...json         the versions that are compacted

A version exists once its record is in the log, or once the manifest that names it is renamed into
place. A file that no manifest names is left over from a writer that died, and the next one removes it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.compute

from ptolemy._house.config import home
from ptolemy._house.files import make_folder, replacing, sync_folder
from ptolemy.errors import BackendUnavailable, BadInput, SeriesLocked
from ptolemy.series.block import damaged, digest_of
from ptolemy.series.compaction import adds_moments, compacted
from ptolemy.series.dataset import DataSet
from ptolemy.series.log import LogWriter, Range, Record, chained, serialised
from ptolemy.series.manifest import NAME, log_name, rows_in
from ptolemy.series.merge import changed, checked, cleaned
from ptolemy.series.port import Series, Stats, Version

if TYPE_CHECKING:
    from ptolemy._house.backends import BackendURL

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands

#: So many rows at once go into compacted files, and are acknowledged with them.
BULK = 500_000
#: A log that is longer is compacted; where that lays files again, if it is longer than a quarter of them.
LOG_BYTES = 64 << 20


class ArrowSeries:
    """``arrow://`` (the home folder's ``series``) or ``arrow:///path``.

    Parameters
    ----------
    folder
        Where the data sets lie, each in a folder of its own.
    compacts
        Whether writing compacts by itself; if not, every version goes through the log until `compact`.
    """

    def __init__(self, folder: Path, *, compacts: bool = True) -> None:
        self.folder = folder
        self._compacts = compacts
        self._lock: int | None = None
        self._sets: dict[str, DataSet] = {}
        self._logs: dict[str, LogWriter] = {}
        self._writing = RLock()

    @classmethod
    def from_url(cls, url: BackendURL) -> ArrowSeries:
        """Open the store that `url` names; a folder that is not there yet is an empty store."""
        return cls(url.file_path(home() / "series"))

    def upsert(self, dataset: str, table: pa.Table, *, key: Sequence[str]) -> Version:
        with self._writer(dataset) as held:
            if held.key and held.key != tuple(key):
                raise BadInput(f"{dataset} is kept by the key {', '.join(held.key)}, not {', '.join(key)}")
            table = held.fitting(table)
            newest = held.newest
            if newest is None and self._is_bulk(table):
                news = cleaned(dataset, table, key)  # put in order, and looked through, as the files are laid
                added = news.num_rows
            else:
                news = checked(dataset, table, key)
                added = news.num_rows
                if newest is not None and news.num_rows:
                    ends = pc.min_max(news[key[-1]]).as_py()
                    # Days behind the last that ever was: nothing is there to compare with.
                    if ends["min"] <= newest.last:
                        codes = pc.unique(news[key[0]]).to_pylist()
                        few = codes if len(codes) <= 1000 else None
                        news, added = changed(news, held.view().read(few, ends["min"], ends["max"]), key)
            if not news.num_rows:
                if newest is None:
                    raise BadInput(f"{dataset}: there is no row to write")
                self._settle(held)
                return newest
            return self._write(held, tuple(key), news, added)

    def delete(
        self, dataset: str, *, codes: Sequence[str] | None = None, start: str | None = None, end: str | None = None
    ) -> Version:
        with self._writer(dataset) as held:
            newest, view = self._newest(held), held.view()
            gone = view.read(codes, start, end, list(view.key)).num_rows
            if not gone:
                self._settle(held)
                return newest
            deleted = Range(None if codes is None else tuple(sorted(set(codes))), start, end)
            digest = hashlib.sha256(f"{deleted.codes} {start} {end}".encode()).hexdigest()
            version = replace(
                newest,
                id=newest.id + 1,
                rows=newest.rows - gone,
                written=gone,
                time=_now(),
                digest=chained(newest.digest, digest),
            )
            self._append(held, Record(version, view.key, None, deleted), None, hashlib.sha256().hexdigest())
            return version

    def compact(self, dataset: str, *, versions: int | None = None) -> Stats:
        if versions is not None and versions < 1:
            raise BadInput(f"{versions} versions cannot be kept", hint="keep 1 at least")
        with self._writer(dataset) as held:
            held.view()
            self._compact(held, None, versions)
        return self.stats(dataset)

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
        return self._set(dataset).read(codes, start, end, columns, as_of)

    def versions(self, dataset: str) -> list[Version]:
        held = self._set(dataset)
        return held.versions() or [self._newest(held)]

    def datasets(self) -> list[str]:
        found = {path.parent.name for path in self.folder.glob(f"*/{NAME}")}
        for path in self.folder.glob(f"*/{log_name(0)}"):
            held = self._set(path.parent.name)
            held.refresh()
            found |= {path.parent.name} if held.newest else set()
        return sorted(found)

    def verify(self, dataset: str) -> int:
        held = self._set(dataset)
        view = held.view()
        manifest = held.base.manifest
        for block in (*manifest.blocks, *manifest.history):
            path = held.folder / block.file
            try:
                if path.stat().st_size != block.bytes or digest_of(path) != block.sha256:
                    raise damaged(path, "is not what was written")
            except OSError as exc:
                raise damaged(path, f"cannot be read: {exc}") from exc
        versions = held.versions()
        if [v.id for v in versions] != list(range(manifest.oldest, versions[-1].id + 1)):
            raise damaged(held.folder / NAME, "does not name every version")
        kept = rows_in(manifest.blocks)
        if manifest.version is not None and manifest.version.rows != kept:
            raise damaged(held.folder / NAME, f"stands on files with {kept} rows, not {manifest.version.rows}")
        rows = view.read(columns=list(view.key)).num_rows
        if rows != versions[-1].rows:
            raise damaged(held.folder, f"has {rows} rows, not {versions[-1].rows}")
        return rows

    def stats(self, dataset: str) -> Stats:
        held = self._set(dataset)
        newest, manifest = self._newest(held), held.base.manifest
        files = (*manifest.blocks, *manifest.history)
        return Stats(
            dataset=dataset,
            key=held.key,
            rows=newest.rows,
            version=newest.id,
            oldest=manifest.oldest,
            first=newest.first,
            last=newest.last,
            files=len(files),
            bytes=sum(block.bytes for block in files),
            log_records=len(held.records),
            log_bytes=held.end,
        )

    def expire(self, dataset: str, before: str) -> Stats:
        """Forget the files all of whose rows are earlier than `before`, and with them all older versions.

        No file is written anew for that: a row that shares its file with later ones stays until they are
        old too. Where there is no such file, nothing is done.

        Raises
        ------
        NothingCollected, SeriesLocked
            As `delete` does.
        """
        with self._writer(dataset) as held:
            if any(block.last < before for block in held.base.manifest.blocks):
                self._compact(held, None, 1, whole=False, before=before)
        return self.stats(dataset)

    def unfinished(self, dataset: str) -> int:
        """Return the bytes at the log's end that were never acknowledged; the next writer removes them."""
        held = self._set(dataset)
        held.refresh()
        return held.torn

    def repair(self, dataset: str) -> Path | None:
        """Put what cannot be read at the log's end aside; return where it is then, None if all can be read.

        The versions before it stay as they are.
        """
        with self._writer(dataset, mends=True) as held:
            if not held.wrong:
                return None
            log = held.folder / held.base.manifest.log
            data = log.read_bytes()
            aside = log.with_name(f"{log.name}-{held.end}.damaged")
            with replacing(aside) as file:
                file.write(data[held.end :])
            os.truncate(log, held.end)
            _sync(log)
            held.forget()
            return aside

    def since(self, dataset: str, version: int) -> list[Record]:
        """Return the records of the log behind `version`, oldest first."""
        held = self._set(dataset)
        held.refresh()
        return [record for record in held.records if record.version.id > version]

    def close(self) -> None:
        with self._writing:
            for log in self._logs.values():
                log.close()
            self._logs.clear()
            for held in self._sets.values():
                held.forget()
            self._sets.clear()
            if self._lock is not None:
                os.close(self._lock)  # closing gives the lock back
                self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _newest(self, held: DataSet) -> Version:
        newest = held.view().version
        assert newest is not None
        return newest

    def _set(self, dataset: str) -> DataSet:
        held = self._sets.get(dataset)
        if held is None:
            if not dataset.isidentifier():  # a name with a slash or dots would leave the store
                raise BadInput(f"{dataset!r} cannot be the name of a data set", hint="letters, digits and _")
            held = self._sets.setdefault(dataset, DataSet(self.folder / dataset))
        return held

    @contextmanager
    def _writer(self, dataset: str, *, mends: bool = False) -> Iterator[DataSet]:
        """Give a data set to its only writer."""
        held = self._set(dataset)
        with self._writing:
            self._acquire()
            try:
                held.refresh()
                if held.wrong and not mends:
                    raise held.damage()
                yield held
            except OSError as exc:
                raise _not_written(held.folder, exc) from exc

    def _write(self, held: DataSet, key: tuple[str, ...], news: pa.Table, added: int) -> Version:
        times = pc.min_max(news[key[-1]]).as_py()
        last = held.newest
        version = Version(
            dataset=held.folder.name,
            id=last.id + 1 if last else 1,
            rows=(last.rows if last else 0) + added,
            written=news.num_rows,
            first=min(times["min"], last.first) if last else times["min"],
            last=max(times["max"], last.last) if last else times["max"],
            time=_now(),
            digest=last.digest if last else "",
        )
        if self._is_bulk(news):
            make_folder(held.folder)
            self._sweep(held)
            return self._compact(held, Record(version, key, news), None)
        body = serialised(news)
        digest = hashlib.sha256(memoryview(body)).hexdigest()
        version = replace(version, digest=chained(version.digest, digest))
        self._append(held, Record(version, key, news), body, digest)
        if self._compacts and held.end > LOG_BYTES:
            manifest = held.base.manifest
            few = held.end <= sum(block.bytes for block in manifest.blocks) // 4
            if not few or adds_moments(manifest.version, held.records):
                self._compact(held, None, None, whole=False)
        return version

    def _is_bulk(self, table: pa.Table) -> bool:
        return self._compacts and table.num_rows >= BULK

    def _append(self, held: DataSet, record: Record, body: pa.Buffer | None, digest: str) -> None:
        name = held.folder.name
        log = self._logs.get(name)
        if log is None:
            make_folder(held.folder)
            self._sweep(held)
            log = self._logs[name] = LogWriter(held.folder / held.base.manifest.log, held.end)
        log.append(record, body, digest)
        held.appended(record, log.end)

    def _compact(
        self, held: DataSet, bulk: Record | None, keep: int | None, *, whole: bool = True, before: str = ""
    ) -> Version:
        manifest = compacted(held.base, held.records, bulk, keep, whole=whole)
        version = manifest.version
        assert version is not None
        if bulk is not None:
            # The files of a bulk are its digest: no other order of its rows makes others.
            named = "\n".join(block.sha256 for block in manifest.blocks)
            version = replace(version, digest=chained(version.digest, hashlib.sha256(named.encode()).hexdigest()))
            manifest = manifest.ending(held.folder, version)
        if before:
            manifest = manifest.without(held.folder, before, _now())
        manifest.write(held.folder)
        log = self._logs.pop(held.folder.name, None)
        if log is not None:
            log.close()
        held.compacted(manifest)
        self._sweep(held)
        return version

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

    def _settle(self, held: DataSet) -> None:
        """Make durable what another writer may have written and died before it could."""
        log = held.folder / held.base.manifest.log
        if held.folder.name not in self._logs:
            if log.exists():
                _sync(log)
            sync_folder(held.folder)

    def _sweep(self, held: DataSet) -> None:
        """Remove what a writer that died has left; only the holder of the lock may."""
        named = held.base.manifest.files
        for path in held.folder.iterdir():
            if path.name not in named and path.suffix != ".damaged":
                path.unlink(missing_ok=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _not_written(folder: Path, exc: OSError) -> BackendUnavailable:
    return BackendUnavailable(
        f"{folder} cannot be written: {exc.strerror or exc}; what it held before is unchanged",
        hint="make room or mend the permissions there, then run the same command again",
    )


if TYPE_CHECKING:
    _fits: type[Series] = ArrowSeries
