"""``snapshot:///folder``: data sets as they were at one version each, which nobody can change.

A program that collects what is there already goes on as it did; one that would write other rows is told so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.compute

from jiyuan.errors import BadInput
from ptolemy._house.backends import BackendURL
from ptolemy.errors import BadData, DamagedSeries, NotFound, NothingCollected, PtolemyError
from ptolemy.series.port import Series, Stats, Version

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands
_LIST = "snapshot.json"


def take(wanted: Sequence[Mapping[str, Any]], folder: Path, series: str | None = None) -> list[str]:
    """Write data sets of a series store into `folder`, each as of its version; return what cannot be had.

    A data set that the catalogue does not know is a unit's own, and lies where only the unit knows.

    Parameters
    ----------
    wanted
        ``name``, ``version`` and, where it is known, ``digest`` of each.
    """
    from ptolemy.catalogue import find
    from ptolemy.series import open_series

    folder.mkdir(parents=True, exist_ok=True)
    faults, kept = [], {}
    with open_series(series) as store:
        for read in wanted:
            name, number = read["name"], read["version"]
            if find(name) is None:
                continue
            try:
                versions = {str(version.id): version for version in store.versions(name)}
                if number not in versions:
                    faults.append(f"{name}@v{number} is not in the series store; it has {', '.join(versions)}")
                    continue
                version = versions[number]
                if read.get("digest") and read["digest"] != version.digest:
                    faults.append(
                        f"{name}@v{number} is not what the run read: {version.digest[:19]}… in the store, "
                        f"{read['digest'][:19]}… in the record"
                    )
                    continue
                table = store.read(name, as_of=version.id)
                key = store.stats(name).key
            except PtolemyError as exc:
                faults.append(f"{name}@v{number}: {exc}")
                continue
            sink = pa.BufferOutputStream()
            with pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
            content = sink.getvalue().to_pybytes()
            (folder / f"{name}.arrow").write_bytes(content)
            kept[name] = {
                "version": asdict(version),
                "key": list(key),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
    (folder / _LIST).write_text(json.dumps(kept, indent=1, sort_keys=True), encoding="utf-8")
    return faults


class SnapshotSeries:
    """A series store that holds one version of each data set.

    Parameters
    ----------
    folder
        What `take` has written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            self._kept: dict[str, Any] = json.loads((folder / _LIST).read_bytes())
        except (OSError, ValueError) as exc:
            raise BadInput(f"{folder} holds no snapshot: {exc}") from None
        self._tables: dict[str, pa.Table] = {}

    @classmethod
    def from_url(cls, url: BackendURL) -> Self:
        """Open ``snapshot:///folder``."""
        return cls(url.file_path(Path("snapshot")))

    def upsert(self, dataset: str, table: pa.Table, *, key: Sequence[str]) -> Version:
        """Return the version, if it holds these rows already; raise `BadData` otherwise."""
        kept = self._table(dataset)
        columns = [name for name in kept.column_names if name in table.column_names]
        rows = kept.select(columns)
        more = [name for name in table.column_names if name not in columns and table[name].null_count < len(table)]
        given = table.select(columns).cast(rows.schema)
        held = set(zip(*(rows[c].to_pylist() for c in columns), strict=True))
        new = next((row for row in zip(*(_nulls(given[c]) for c in columns), strict=True) if row not in held), None)
        if more or new is not None:
            what = dict(zip(columns, new, strict=True)) if new is not None else {}
            where = ", ".join(str(what[c]) for c in key if c in what) or f"column {more[0]}"
            version = self._version(dataset)
            raise BadData(f"{dataset}@v{version.id}", f"the snapshot has other rows than are to be written: {where}")
        return self._version(dataset)

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
        """Return rows in ascending order of their key; the one version is also the newest."""
        table, version = self._table(dataset), self._version(dataset)
        if as_of is not None and as_of != version.id:
            raise NotFound(f"the snapshot has {dataset}@v{version.id}, not v{as_of}")
        first, *_, last = self._kept[dataset]["key"]
        tests = []
        if codes is not None:
            tests.append(pc.is_in(table[first], value_set=pa.array(list(codes), table[first].type)))
        if start is not None:
            tests.append(pc.greater_equal(table[last], start))
        if end is not None:
            tests.append(pc.less_equal(table[last], end))
        for test in tests[1:]:
            tests[0] = pc.and_(tests[0], test)
        found = table.filter(tests[0]) if tests else table
        return found if columns is None else found.select([c for c in columns if c in found.column_names])

    def delete(
        self, dataset: str, *, codes: Sequence[str] | None = None, start: str | None = None, end: str | None = None
    ) -> Version:
        """Return the version if there is nothing to delete; raise `BadData` otherwise."""
        if self.read(dataset, codes=codes, start=start, end=end).num_rows:
            raise BadData(f"{dataset}@v{self._version(dataset).id}", "nothing can be deleted from a snapshot")
        return self._version(dataset)

    def compact(self, dataset: str, *, versions: int | None = None) -> Stats:
        """Return what is kept: there is nothing to compact."""
        return self.stats(dataset)

    def versions(self, dataset: str) -> list[Version]:
        """Return the one version."""
        return [self._version(dataset)]

    def datasets(self) -> list[str]:
        """Return the names of the data sets, sorted."""
        return sorted(self._kept)

    def verify(self, dataset: str) -> int:
        """Read the data set against its digest and return its rows."""
        self._tables.pop(dataset, None)
        return int(self._table(dataset).num_rows)

    def stats(self, dataset: str) -> Stats:
        """Return what is kept of a data set."""
        version = self._version(dataset)
        size = self._path(dataset).stat().st_size
        key = tuple(self._kept[dataset]["key"])
        return Stats(
            dataset, key, version.rows, version.id, version.id, version.first, version.last, 1, size, 0, 0
        )  # fmt: skip

    def close(self) -> None:
        """Let go of the tables."""
        self._tables.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _table(self, dataset: str) -> pa.Table:
        self._version(dataset)
        if dataset not in self._tables:
            content = self._path(dataset).read_bytes()
            if hashlib.sha256(content).hexdigest() != self._kept[dataset]["sha256"]:
                raise DamagedSeries(f"{dataset}.arrow of the snapshot is not what was written")
            self._tables[dataset] = pa.ipc.open_file(pa.py_buffer(content)).read_all()
        return self._tables[dataset]

    def _version(self, dataset: str) -> Version:
        if dataset not in self._kept:
            raise NothingCollected(dataset)
        return Version(**self._kept[dataset]["version"])

    def _path(self, dataset: str) -> Path:
        return self._folder / f"{dataset}.arrow"


def _nulls(column: Any) -> list[Any]:
    """Return the values of a column; NaN is kept as null, as every series store does."""
    return [None if value != value else value for value in column.to_pylist()]


if TYPE_CHECKING:
    _fits: type[Series] = SnapshotSeries
