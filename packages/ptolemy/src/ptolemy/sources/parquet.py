"""Parquet files: ``parquet:///srv/bars.parquet?mapping=/srv/bars.toml``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.parquet

from ptolemy._house.progress import Progress, no_progress
from ptolemy.errors import BadData
from ptolemy.sources.csv import file_and_mapping
from ptolemy.sources.mapping import Field, plain
from ptolemy.sources.port import EVERYTHING, Batch, Source, Wanted
from ptolemy.sources.translate import needed, translate

if TYPE_CHECKING:
    from ptolemy._house.backends import BackendURL
    from ptolemy.catalogue import Asking, Interface


class ParquetSource:
    """One Parquet file; without a mapping its columns bear the catalogue's names."""

    def __init__(self, path: Path, mapping: dict[str, dict[str, Field]] | None = None) -> None:
        self.path, self.mapping = path, mapping

    @classmethod
    def from_url(cls, url: BackendURL) -> ParquetSource:
        """Open the file that `url` names; raise `NotFound` if it is not there."""
        return cls(*file_and_mapping(url))

    def datasets(self) -> list[str]:
        return sorted(self.mapping or ())

    def asking(self, interface: Interface) -> Asking | None:
        return None

    def read(
        self, interface: Interface, *, wanted: Wanted = EVERYTHING, progress: Progress = no_progress
    ) -> Iterator[Batch]:
        try:
            with pyarrow.parquet.ParquetFile(self.path) as file:
                header = file.schema_arrow.names
                fields = (self.mapping or {}).get(interface.name) or plain(interface, header)
                raw = file.read(needed(self.path.name, fields, header))
        except (OSError, pa.ArrowInvalid) as exc:
            raise BadData(self.path.name, f"it cannot be read: {exc}") from exc
        progress(raw.num_rows, raw.num_rows)
        lines = pa.array(range(1, raw.num_rows + 1), pa.int64())
        yield translate(interface, fields, raw, lines, self.path.name, "row")

    def close(self) -> None:
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


if TYPE_CHECKING:
    _fits: type[Source] = ParquetSource
