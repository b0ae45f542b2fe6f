"""CSV files, plain or gzip: ``csv:///srv/bars.csv.gz?mapping=/srv/bars.toml``.

The first line names the columns, one row is one line, the text is UTF-8.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, Self

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from ptolemy._house.progress import Progress, no_progress
from ptolemy.errors import BadData, BadInput, NotFound, nearest
from ptolemy.sources.mapping import Field, plain, read_mapping
from ptolemy.sources.port import EVERYTHING, Batch, Source, Wanted
from ptolemy.sources.translate import needed, translate

if TYPE_CHECKING:
    from ptolemy._house.backends import BackendURL
    from ptolemy.catalogue import Asking, Interface

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands


class CsvSource:
    """One CSV file; without a mapping its columns bear the catalogue's names."""

    def __init__(self, path: Path, mapping: dict[str, dict[str, Field]] | None = None) -> None:
        self.path, self.mapping = path, mapping

    @classmethod
    def from_url(cls, url: BackendURL) -> CsvSource:
        """Open the file that `url` names; raise `NotFound` if it is not there."""
        return cls(*file_and_mapping(url))

    def datasets(self) -> list[str]:
        return sorted(self.mapping or ())

    def asking(self, interface: Interface) -> Asking | None:
        return None

    def read(
        self, interface: Interface, *, wanted: Wanted = EVERYTHING, progress: Progress = no_progress
    ) -> Iterator[Batch]:
        place = self.path.name
        with self._opened() as (_, text):
            header = self._header(text)
        fields = (self.mapping or {}).get(interface.name) or plain(interface, header)
        names = needed(place, fields, header)
        with self._opened() as (file, text):
            raw = self._rows(text, names, lambda: progress(file.tell(), self.path.stat().st_size))
        lines = pa.array(range(2, raw.num_rows + 2), pa.int64())
        blank = pc.equal(pc.binary_join_element_wise(*(raw[n] for n in names), ""), "")
        if pc.any(blank).as_py():
            raw, lines = raw.filter(pc.invert(blank)), lines.filter(pc.invert(blank).combine_chunks())
        yield translate(interface, fields, raw, lines, place, "line")

    def close(self) -> None:
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextmanager
    def _opened(self) -> Iterator[tuple[IO[bytes], Any]]:
        """Open the file and what it unpacks to."""
        try:
            with self.path.open("rb") as file:
                packed = file.read(2) == b"\x1f\x8b"
                file.seek(0)
                if packed:
                    with gzip.GzipFile(fileobj=file) as text:
                        yield file, text
                else:
                    yield file, file
        except (OSError, EOFError, zlib.error) as exc:
            raise BadData(self.path.name, f"it cannot be read: {exc}") from exc

    def _header(self, text: IO[bytes]) -> list[str]:
        try:
            first = text.readline().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise BadData(f"{self.path.name} line 1", "it is not UTF-8 text") from None
        return next(csv.reader(io.StringIO(first)), [])

    def _rows(self, text: IO[bytes], names: list[str], tell: Any) -> pa.Table:
        broken: list[Any] = []

        def remember(row: Any) -> Literal["error"]:
            broken.append(row)
            return "error"

        try:
            reader = pyarrow.csv.open_csv(
                text,
                read_options=pyarrow.csv.ReadOptions(use_threads=False),  # only then are rows numbered
                parse_options=pyarrow.csv.ParseOptions(invalid_row_handler=remember, ignore_empty_lines=False),
                convert_options=pyarrow.csv.ConvertOptions(
                    include_columns=names, column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
                ),
            )
            batches = []
            for batch in reader:
                batches.append(batch)
                tell()
            return pa.Table.from_batches(batches, reader.schema)
        except pa.ArrowInvalid as exc:
            if broken:
                row = broken[0]
                why = f"it has {row.actual_columns} values, the first line names {row.expected_columns}"
                raise BadData(f"{self.path.name} line {row.number}", why) from exc
            raise BadData(self.path.name, f"it cannot be read: {exc}") from exc


def file_and_mapping(url: BackendURL) -> tuple[Path, dict[str, dict[str, Field]] | None]:
    """Return the file that `url` names and what its mapping file says.

    Raises
    ------
    NotFound
        If one of the two files is not there.
    BadInput
        If the URL names no file, or has an option beside ``mapping``.
    """
    path = url.file_path(Path())
    if not url.path:
        raise BadInput(f"{url} names no file", hint=f"{url.scheme}:///absolute/path or {url.scheme}:relative/path")
    for option in url.query:
        if option != "mapping":
            raise BadInput(f"{url} has the option {option!r}", hint=nearest(option, ["mapping"]) or "known: mapping")
    if not path.is_file():
        raise NotFound(f"there is no file {path}", hint=f"{url.scheme}:///absolute/path for a file elsewhere")
    named = url.query.get("mapping")
    return path, read_mapping(Path(named).expanduser()) if named else None


if TYPE_CHECKING:
    _fits: type[Source] = CsvSource
