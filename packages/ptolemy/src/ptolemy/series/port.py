"""The port of a series store: tables of rows by key, with versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Version:
    """One state of a data set; it never changes once it is written.

    Parameters
    ----------
    dataset
        The data set's name.
    id
        1, 2, 3 and so on.
    rows
        Rows in the data set at this version.
    written
        Rows that this version added or replaced.
    first, last
        Smallest and largest value of the time column, such as a ``YYYYMMDD``.
    time
        When it was written: UTC, ISO 8601.
    digest
        ``sha256:`` of all that was written up to this version. The same rows in the same order of
        writing give the same digest in every store, whenever they are written.
    """

    dataset: str
    id: int
    rows: int
    written: int
    first: str
    last: str
    time: str
    digest: str


@dataclass(frozen=True)
class Stats:
    """What a store keeps of one data set.

    Parameters
    ----------
    dataset
        The data set's name.
    key
        The columns that name a row.
    rows
        Rows at the newest version.
    version, oldest
        Ids of the newest version and of the oldest that can be read.
    first, last
        Smallest and largest value of the time column that there ever was.
    files, bytes
        Compacted files and their size in bytes; of a server, what it says or 0.
    log_records, log_bytes
        Versions that are not compacted, or not delivered, and the size of the log that holds them.
    """

    dataset: str
    key: tuple[str, ...]
    rows: int
    version: int
    oldest: int
    first: str
    last: str
    files: int
    bytes: int
    log_records: int
    log_bytes: int


class Series(Protocol):
    """A store of data sets whose rows are named by a key, the security first and the time last.

    One writer at a time, any number of readers. What `upsert` returned is durable.
    """

    def upsert(self, dataset: str, table: pa.Table, *, key: Sequence[str]) -> Version:
        """Add rows, replacing those with the same key, and return the version that holds them.

        Either all rows of `table` come in or none. Rows that the store has already, value by
        value, are not written again; if that is all of them, the newest version is returned and no
        new one made. A missing value is null; NaN is kept as null.

        Raises
        ------
        BadInput
            If two rows of `table` have one key, a key is null or no text, or `key` is not the data set's own.
        SeriesLocked
            If another writer has the store.
        """

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
        """Return rows in ascending order of their key.

        Parameters
        ----------
        codes
            Values of the key's first column; None means all.
        start, end
            First and last value of the key's last column, both included; None leaves that end open.
        columns
            Which columns, in this order; one that the data set never had is left out. None means all.
        as_of
            Id of the version to read; None means the newest.

        Raises
        ------
        NothingCollected
            If the store has no such data set.
        NotFound
            If it has no such version.
        DamagedSeries
            If what is stored is not what was written.
        """

    def delete(
        self, dataset: str, *, codes: Sequence[str] | None = None, start: str | None = None, end: str | None = None
    ) -> Version:
        """Delete the rows of `codes` from `start` to `end`, as `read` selects them; return the version without them.

        If there is no such row, the newest version is returned and no new one made. Older versions
        keep the rows.

        Raises
        ------
        NothingCollected
            If the store has no such data set.
        SeriesLocked
            If another writer has the store.
        """

    def compact(self, dataset: str, *, versions: int | None = None) -> Stats:
        """Bring what is kept into the form that is read fastest, and return what is kept then.

        Parameters
        ----------
        versions
            So many of the newest versions stay readable and the others are forgotten; None keeps all.

        Raises
        ------
        NothingCollected, SeriesLocked
            As `delete` does.
        """

    def versions(self, dataset: str) -> list[Version]:
        """Return every version that can be read, oldest first; raise `NothingCollected` if there is none."""

    def datasets(self) -> list[str]:
        """Return the names of the data sets that hold rows, sorted."""

    def verify(self, dataset: str) -> int:
        """Read everything that is kept of `dataset` against its digests and return the rows; raise `DamagedSeries`."""

    def stats(self, dataset: str) -> Stats:
        """Return what is kept of `dataset`; raise `NothingCollected` if there is no such data set."""

    def close(self) -> None:
        """Let go of the store and, after a write, of the writer's lock."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
