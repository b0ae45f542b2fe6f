"""One state of a data set, to be read: compacted files, history behind them, and the log merged on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ptolemy.series import cube, segment
from ptolemy.series.block import Block, damaged
from ptolemy.series.cube import Cube, read_cubes
from ptolemy.series.history import before
from ptolemy.series.log import Range, Record
from ptolemy.series.manifest import Manifest, grown, schema_of
from ptolemy.series.merge import merged, rows_of, span, within
from ptolemy.series.port import Version
from ptolemy.series.segment import Segment

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands


class Base:
    """The compacted files of a data set, each mapped when it is first read."""

    def __init__(self, folder: Path, manifest: Manifest, known: Base | None = None) -> None:
        self.folder = folder
        self.manifest = manifest
        self.schema = schema_of(manifest.columns)
        named = {block.file for block in manifest.blocks}
        self._open: dict[str, Cube | Segment] = {}
        if known is not None:
            self._open = {file: found for file, found in known._open.items() if file in named}
        self._schemas: dict[tuple[str, ...] | None, pa.Schema] = {}
        self._mapping = Lock()

    def read(
        self, codes: Sequence[str] | None, start: str | None, end: str | None, columns: Sequence[str] | None
    ) -> pa.Table:
        """Return rows in the order of the key, the key's columns among them."""
        key = self.manifest.key
        blocks = [
            block
            for block in self.manifest.blocks
            if (start is None or block.last >= start) and (end is None or block.first <= end)
        ]
        schema = self._selected(columns)
        found = [self.open(block) for block in blocks]
        cubes = [one for one in found if isinstance(one, Cube)]
        parts = [one.read(key, codes, start, end, schema.names) for one in found if isinstance(one, Segment)]
        parts = [part for part in parts if part.num_rows]
        if parts:
            empty = schema.empty_table()
            parts = [pa.concat_tables([empty, part], promote_options="default").select(schema.names) for part in parts]
        if cubes:
            parts.append(read_cubes(cubes, schema, key, codes, start, end))
        return merged(parts, key) if parts else schema.empty_table()

    def open(self, block: Block) -> Cube | Segment:
        """Return one file, mapped; raise `DamagedSeries` if it is not what was written."""
        found = self._open.get(block.file)
        if found is None:
            with self._mapping:
                kind = block.file.rpartition(".")[2]
                opener: Any = {cube.KIND: Cube, segment.KIND: Segment}[kind]
                try:
                    made: Cube | Segment = opener(self.folder, block)
                except FileNotFoundError:
                    raise
                except OSError as exc:
                    raise damaged(self.folder / block.file, f"cannot be read: {exc}") from exc
                found = self._open[block.file] = made
        return found

    def _selected(self, columns: Sequence[str] | None) -> pa.Schema:
        wanted = None if columns is None else tuple(columns)
        schema = self._schemas.get(wanted)
        if schema is None:
            kept = [f for f in self.schema if wanted is None or f.name in wanted or f.name in self.manifest.key]
            schema = self._schemas[wanted] = pa.schema(kept)
        return schema


@dataclass(frozen=True)
class View:
    """The rows of a data set at its newest version, or at an earlier one."""

    base: Base
    key: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    version: Version | None
    runs: tuple[pa.Table, ...] = ()  #: what the log wrote, oldest first, each sorted
    deleted: tuple[Range, ...] = ()  #: what the log deleted of the compacted rows
    at: Version | None = None  #: an earlier version than the compacted files are of
    _names: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, base: Base) -> View:
        """Return the state of the compacted files alone."""
        manifest = base.manifest
        return cls(base, manifest.key, manifest.columns, manifest.version)

    def after(self, record: Record) -> View:
        """Return the state that `record` leads to."""
        key = self.key or record.key
        runs = list(self.runs)
        deleted = self.deleted
        if record.deleted is not None:
            runs = [run for run in (without(run, key, record.deleted) for run in runs) if run.num_rows]
            deleted = (*deleted, record.deleted)
        if record.table is not None:
            news = record.table
            # Runs of growing size: each row is merged a few times, however many records there are.
            while runs and runs[-1].num_rows <= 2 * news.num_rows:
                news = merged([runs.pop(), news], key)
            runs.append(news)
        return replace(
            self,
            key=key,
            columns=grown(self.columns, record.table),
            version=record.version,
            runs=tuple(runs),
            deleted=deleted,
            _names={},
        )

    def read(
        self,
        codes: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Return rows in the order of the key, with `columns` in their order, those never had left out."""
        wanted, needed = self._selection(columns)
        table = self._rows(codes, start, end, needed)
        return table if table.schema.names == wanted else _with(table, self.columns, wanted)

    def _rows(
        self, codes: Sequence[str] | None, start: str | None, end: str | None, needed: Sequence[str] | None
    ) -> pa.Table:
        table = self.base.read(codes, start, end, needed)
        for deleted in self.deleted:
            table = without(table, self.key, deleted)
        if self.at is not None:
            table = before(self.base, self.at, table, self.key, codes, start, end)
        parts = [table]
        for kept in self._kept(needed):
            part = self._within(kept, codes, start, end)
            if part.num_rows:
                parts.append(part)
        return table if len(parts) == 1 else merged(parts, self.key)

    def _within(self, kept: pa.Table, codes: Sequence[str] | None, start: str | None, end: str | None) -> pa.Table:
        if codes is None or len(codes) != 1:
            return within(kept, self.key, codes, start, end)
        # Where a security is found takes a third of the time of a call for one, and each is asked for again.
        known = ("at", id(kept), codes[0])
        bounds = self._names.get(known)
        if bounds is None:
            bounds = rows_of(kept, self.key, codes[0])
            if bounds[1] > bounds[0]:  # a stranger may ask for any number of codes that there are not
                self._names[known] = bounds
        return span(kept, self.key, bounds, start, end)

    def _kept(self, needed: Sequence[str] | None) -> list[pa.Table]:
        """Return what the log wrote, in the columns that are needed."""
        if needed is None:
            return list(self.runs)
        known = ("runs", *needed)
        if known not in self._names:
            self._names[known] = [run.select([n for n in run.column_names if n in needed]) for run in self.runs]
        kept: list[pa.Table] = self._names[known]
        return kept

    def _selection(self, columns: Sequence[str] | None) -> tuple[list[str], list[str] | None]:
        known = None if columns is None else tuple(columns)
        if known not in self._names:
            names = [name for name, _ in self.columns]
            wanted = names if known is None else [name for name in known if name in names]
            needed = None if known is None else [n for n in names if n in wanted or n in self.key]
            self._names[known] = wanted, needed
        found: tuple[list[str], list[str] | None] = self._names[known]
        return found


def without(table: pa.Table, key: Sequence[str], deleted: Range) -> pa.Table:
    """Return `table` without the rows of a range."""
    if not table.num_rows:
        return table
    inside: Any = pa.array(np.ones(table.num_rows, np.bool_))
    if deleted.codes is not None:
        inside = pc.is_in(table[key[0]], pa.array(deleted.codes, pa.string()))
    if deleted.start is not None:
        inside = pc.and_(inside, pc.greater_equal(table[key[-1]], deleted.start))
    if deleted.end is not None:
        inside = pc.and_(inside, pc.less_equal(table[key[-1]], deleted.end))
    return table.filter(pc.invert(inside))


def _with(table: pa.Table, columns: Sequence[tuple[str, str]], wanted: Sequence[str]) -> pa.Table:
    """Return the columns `wanted`; one that no row of `table` has is null."""
    lacking = [name for name in wanted if name not in table.column_names]
    if lacking:
        schema = schema_of(columns)
        for name in lacking:
            table = table.append_column(schema.field(name), pa.nulls(table.num_rows, schema.field(name).type))
    return table.select(list(wanted))
