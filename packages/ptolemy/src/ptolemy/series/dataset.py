"""One data set in its folder, as a reader sees it: it follows the manifest and the log without any lock."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from threading import RLock

import pyarrow as pa

from ptolemy.errors import BadInput, DamagedSeries, NotFound, NothingCollected
from ptolemy.series.log import Found, Record, scan
from ptolemy.series.manifest import NAME, Manifest, grown, read_manifest, read_versions, schema_of
from ptolemy.series.port import Version
from ptolemy.series.view import Base, View

_TRIES = 20  #: how often a reader looks again when a compaction has taken a file away


class DataSet:
    """What one handle knows of a data set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records: list[Record] = []  #: those of the log
        self.end = 0  #: where they end
        self.wrong = ""
        self.torn = 0
        self._manifest_path = str(folder / NAME)
        self._signature: tuple[int, int, int] | None = (0, 0, 0)
        self._base: Base | None = None
        self._view: View | None = None
        self._columns: dict[str, str] = {}
        self._columns_of = 0  #: how many records `_columns` knows
        self._merged = 0  #: how many records `_view` holds
        self._log: int | None = None
        self._log_path = ""
        self._refreshing = RLock()

    @property
    def base(self) -> Base:
        assert self._base is not None
        return self._base

    @property
    def newest(self) -> Version | None:
        """The newest version that `refresh` has found."""
        return self.records[-1].version if self.records else self.base.manifest.version

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that name a row; empty if nothing was ever written."""
        return self.base.manifest.key or (self.records[0].key if self.records else ())

    @property
    def columns(self) -> dict[str, str]:
        """Every column with its Arrow type, without putting the log's rows together."""
        with self._refreshing:
            if not self._columns:
                self._columns = dict(self.base.manifest.columns)
            for record in self.records[self._columns_of :]:
                self._columns = dict(grown(tuple(self._columns.items()), record.table))
            self._columns_of = len(self.records)
            return self._columns

    def fitting(self, table: pa.Table) -> pa.Table:
        """Return `table` with the column types that are kept; raise `BadInput` if they do not fit."""
        columns = self.columns
        for i, field in enumerate(table.schema):
            kept = columns.get(field.name, str(field.type))
            if kept == str(field.type):
                continue
            wanted = schema_of([(field.name, kept)]).field(0)
            plain = pa.types.is_dictionary(field.type) or pa.types.is_null(field.type)
            if not plain and not (pa.types.is_large_string(field.type) and kept == "string"):
                raise BadInput(
                    f"the new rows do not fit those that are kept: {field.name} is {field.type}, and {kept} so far"
                )
            table = table.set_column(i, wanted, table.column(i).cast(wanted.type))
        return table

    def refresh(self) -> None:
        """Look for what a writer has added."""
        with self._refreshing:
            for _ in range(_TRIES):
                signature = _signature(self._manifest_path)
                if signature != self._signature or self._base is None:
                    self.forget()
                    self._base = Base(self.folder, read_manifest(self.folder), self._base)
                    self._log_path = str(self.folder / self._base.manifest.log)
                    self._signature = signature
                if self._follow():
                    return
                self._signature = (0, 0, 0)

    def _follow(self) -> bool:
        """Read the log's new records; return False if a compaction took the log away meanwhile."""
        if self._log is None:
            try:
                self._log = os.open(self._log_path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                # There is none before the first write, nor right after a compaction.
                return _signature(self._manifest_path) == self._signature
        size = os.fstat(self._log).st_size
        if size > self.end and not self.wrong:
            found: Found = scan(self._log, self.end, size)
            self.records += found.records
            self.end, self.wrong, self.torn = found.end, found.wrong, found.torn
        elif size == self.end:
            self.torn = 0
        return True

    def appended(self, record: Record, end: int) -> None:
        """Take over what this process itself has written."""
        with self._refreshing:
            if self.end < end:  # another thread may have read it already
                self.records.append(record)
                self.end, self.torn = end, 0

    def view(self, as_of: int | None = None) -> View:
        """Return the state to read; raise `NothingCollected`, `NotFound` or `DamagedSeries` if there is none."""
        with self._refreshing:
            self.refresh()
            newest = self.newest
            if newest is None:
                if self.wrong:
                    raise self.damage()
                raise NothingCollected(self.folder.name)
            if as_of is not None and as_of != newest.id:
                return self._earlier(as_of, newest)
            if self.wrong and as_of is None:
                raise self.damage()
            if self._view is None:
                self._view, self._merged = View.of(self.base), 0
            while self._merged < len(self.records):
                self._view = self._view.after(self.records[self._merged])
                self._merged += 1
            return self._view

    def _earlier(self, as_of: int, newest: Version) -> View:
        oldest = self.base.manifest.oldest
        if not oldest <= as_of <= newest.id:
            raise NotFound(
                f"{self.folder.name} has no version {as_of}; it has {oldest} to {newest.id}",
                hint=f"ptolemy versions {self.folder.name}",
            )
        view = View.of(self.base)
        compacted = self.base.manifest.version
        if compacted is not None and as_of < compacted.id:
            at = read_versions(self.folder, self.base.manifest)[as_of - oldest]
            return View(view.base, view.key, view.columns, at, at=at)
        for record in self.records:
            if record.version.id <= as_of:
                view = view.after(record)
        return view

    def read(
        self,
        codes: Sequence[str] | None,
        start: str | None,
        end: str | None,
        columns: Sequence[str] | None,
        as_of: int | None,
    ) -> pa.Table:
        """Return rows of one state; a compaction that takes files away meanwhile is met by looking again."""
        for left in reversed(range(_TRIES)):
            try:
                return self.view(as_of).read(codes, start, end, columns)
            except FileNotFoundError as exc:
                if not left or _signature(self._manifest_path) == self._signature:
                    raise DamagedSeries(
                        f"{exc.filename} is missing", hint=f"restore {self.folder} from a backup"
                    ) from exc
        raise AssertionError

    def versions(self) -> list[Version]:
        """Return the versions that can be read, oldest first."""
        for _ in range(_TRIES):
            try:
                with self._refreshing:
                    self.refresh()
                    kept = read_versions(self.folder, self.base.manifest)
                    return kept + [record.version for record in self.records]
            except FileNotFoundError as exc:
                if _signature(self._manifest_path) == self._signature:
                    raise DamagedSeries(
                        f"{exc.filename} is missing", hint=f"restore {self.folder} from a backup"
                    ) from exc
        return []

    def damage(self) -> DamagedSeries:
        """Return the error for a log that cannot be read to its end."""
        newest = self.newest
        up_to = f"; versions up to {newest.id} are readable, with as_of={newest.id}" if newest else ""
        return DamagedSeries(
            f"{self._log_path} {self.wrong}{up_to}",
            hint=f"restore it from a backup, or ptolemy store verify {self.folder.name} --repair",
        )

    def forget(self) -> None:
        """Let go of the log; the next look reads it anew."""
        if self._log is not None:
            os.close(self._log)
        self._log, self.records, self.end, self.wrong, self.torn = None, [], 0, "", 0
        self._view = None
        self._columns, self._columns_of = {}, 0

    def compacted(self, manifest: Manifest) -> None:
        """Take over a manifest that this process itself has written."""
        with self._refreshing:
            self.forget()
            self._base = Base(self.folder, manifest, self._base)
            self._log_path = str(self.folder / manifest.log)
            self._signature = _signature(self._manifest_path)


def _signature(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 -- each read begins here, and pathlib takes four times as long
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
