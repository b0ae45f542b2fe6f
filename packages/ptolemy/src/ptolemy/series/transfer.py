"""Put a data set into one file, and take it from there into another store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ptolemy._house.files import replacing
from ptolemy.errors import BadInput, NotFound
from ptolemy.series.port import Series, Version

_ABOUT = b"ptolemy"  #: the entry of the file's metadata that names data set and key
FORMATS = (".arrow", ".parquet")


def export_rows(
    series: Series,
    dataset: str,
    path: Path,
    *,
    start: str | None = None,
    end: str | None = None,
    as_of: int | None = None,
) -> int:
    """Write rows of `dataset` to a Parquet or Arrow file and return how many.

    The file takes the place of an older one whole; it holds the name of the data set and its key.

    Parameters
    ----------
    path
        Ends with ``.parquet`` or ``.arrow``.
    start, end, as_of
        As in `Series.read`.

    Raises
    ------
    BadInput
        If the file has another ending.
    """
    kind = _kind(path)
    table = series.read(dataset, start=start, end=end, as_of=as_of)
    about = {"dataset": dataset, "key": series.stats(dataset).key}
    table = table.replace_schema_metadata({_ABOUT: json.dumps(about).encode()})
    with replacing(path) as file:
        if kind == ".parquet":
            pq.write_table(table, file, compression="zstd")
        else:
            sink: Any = file
            with pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
    return table.num_rows


def import_rows(series: Series, path: Path) -> Version:
    """Write the rows of a file that `export_rows` has made; return the version that holds them.

    All of them come in at once, or none.

    Raises
    ------
    NotFound
        If there is no such file.
    BadInput
        If it is no such file.
    """
    kind = _kind(path)
    try:
        if kind == ".parquet":
            table = pq.read_table(path, partitioning=None)
        else:
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except FileNotFoundError as exc:
        raise NotFound(f"there is no file {path}") from exc
    except (pa.ArrowInvalid, OSError) as exc:
        raise BadInput(f"{path} cannot be read: {str(exc).splitlines()[0]}") from exc
    about: dict[str, Any] = json.loads((table.schema.metadata or {}).get(_ABOUT, b"{}"))
    if not about:
        raise BadInput(
            f"{path} does not say which data set it holds: ptolemy store export did not make it",
            hint=f"ptolemy collect run {kind[1:]}:{path} --dataset NAME",
        )
    return series.upsert(about["dataset"], table.replace_schema_metadata(None), key=about["key"])


def _kind(path: Path) -> str:
    if path.suffix not in FORMATS:
        raise BadInput(f"{path} ends neither with .parquet nor with .arrow")
    return path.suffix
