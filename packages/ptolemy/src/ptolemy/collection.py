"""Collect: read a source, check every row against the catalogue, keep what is new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute

from ptolemy._house.progress import Progress, no_progress
from ptolemy.catalogue import Interface, interface
from ptolemy.errors import BadInput
from ptolemy.quality import check, check_keys
from ptolemy.series import Version, open_series
from ptolemy.sources import Batch, Source, open_source

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands


@dataclass(frozen=True)
class Collected:
    """What one data set got from a source.

    Parameters
    ----------
    dataset
        The interface.
    rows
        Rows that the source gave.
    written
        Rows of them that were new or differed from what the store had.
    version
        Id of the data set's version that holds them.
    first, last
        First and last day that the source gave, ``YYYYMMDD``.
    digest
        Digest of that version.
    """

    dataset: str
    rows: int
    written: int
    version: int
    first: str
    last: str
    digest: str


def collect(
    source_url: str,
    datasets: str | Sequence[str] | None = None,
    series: str | None = None,
    *,
    progress: Progress = no_progress,
) -> list[Collected]:
    """Read a source into the series store.

    Every row of every data set is checked before the first is written, and each data set is written
    whole or not at all. Rows that the store has already are not written again: collecting the same source twice changes
    nothing and makes no new version.

    Parameters
    ----------
    source_url
        Such as ``csv:bars.csv`` or ``csv:///srv/bars.csv.gz?mapping=/srv/bars.toml``.
    datasets
        Interfaces to collect; None means all that the mapping file names.
    series
        URL of the series store; None takes the setting ``series``.
    progress
        Called with what is done and what there is in all, in bytes or rows.

    Returns
    -------
    list of Collected
        One for each data set, in the order of their names.

    Raises
    ------
    BadData
        If a row is not as the catalogue says; nothing was written.
    UnknownInterface
        If the catalogue has no such data set.
    SeriesLocked
        If another process writes to the store.
    """
    with open_source(source_url) as source:
        wanted = _wanted(source, datasets)
        # All is read and checked before the first row is written.
        tables = {name: _read(source, interface(name), progress) for name in wanted}
    written = []
    with open_series(series) as store:
        for name, table in tables.items():
            known = store.versions(name)[-1].id if name in store.datasets() else 0
            key = interface(name).key
            version = store.upsert(name, table, key=key)
            written.append(_collected(table, key[-1], version, version.written if version.id > known else 0))
    return written


def _wanted(source: Source, datasets: str | Sequence[str] | None) -> list[str]:
    names = datasets.split(",") if isinstance(datasets, str) else list(datasets or ())
    offered = source.datasets()
    if not names and not offered:
        raise BadInput("the source does not say which data set it holds", hint="name one with --dataset, or a mapping")
    for name in names:
        interface(name)
        if offered and name not in offered:
            raise BadInput(f"the mapping has no section for {name}", hint=f"it has: {', '.join(offered)}")
    return sorted(set(names or offered))


def _read(source: Source, interface: Interface, progress: Progress) -> pa.Table:
    batches: list[Batch] = []
    for batch in source.read(interface, progress=progress):
        check(interface, batch)
        batches.append(batch)
    if not any(batch.table.num_rows for batch in batches):
        raise BadInput(f"the source has no row of {interface.name}", hint="nothing was written")
    check_keys(interface, batches)
    return pa.concat_tables(batch.table for batch in batches)


def _collected(table: pa.Table, day: str, version: Version, written: int) -> Collected:
    ends = pc.min_max(table[day]).as_py()
    return Collected(version.dataset, table.num_rows, written, version.id, ends["min"], ends["max"], version.digest)
