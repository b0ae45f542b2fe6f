"""A function of yours: ``python:package.module:function`` or ``python:/srv/fetch.py:function``.

It is called as ``function(dataset, start, end, codes)`` with texts (``YYYYMMDD``) and a list or None, and returns
a pandas or polars DataFrame, an Arrow table or a list of dicts, in the catalogue's columns or those of ``?mapping=``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from ptolemy._house.progress import Progress, no_progress
from ptolemy.catalogue import Asking, Interface
from ptolemy.errors import BadData, BadInput, NotFound
from ptolemy.sources.mapping import Field, mapping_of, plain
from ptolemy.sources.port import EVERYTHING, Batch, Source, Wanted
from ptolemy.sources.translate import needed, table_of, translate

if TYPE_CHECKING:
    from ptolemy._house.backends import BackendURL


class PythonSource:
    """One function that gives rows."""

    def __init__(self, function: Callable[..., Any], mapping: dict[str, dict[str, Field]] | None = None) -> None:
        self.function, self.mapping = function, mapping

    @classmethod
    def from_url(cls, url: BackendURL) -> PythonSource:
        """Import the function that `url` names; raise `NotFound` if there is none."""
        place, _, name = url.path.rpartition(":")
        if not place or not name:
            raise BadInput(f"{url} names no function", hint="python:package.module:function")
        if more := [option for option in url.query if option != "mapping"]:
            raise BadInput(f"{url} has the option {more[0]!r}", hint="known: mapping")
        function = getattr(_module(place), name, None)
        if not callable(function):
            raise NotFound(f"{place} has no function {name!r}")
        return cls(function, mapping_of(url.query.get("mapping")))

    def datasets(self) -> list[str]:
        return sorted(self.mapping or ())

    def asking(self, interface: Interface) -> Asking | None:
        return Asking("range")

    def read(
        self, interface: Interface, *, wanted: Wanted = EVERYTHING, progress: Progress = no_progress
    ) -> Iterator[Batch]:
        place = f"{self.function.__module__}:{self.function.__name__}"
        codes = None if wanted.codes is None else list(wanted.codes)
        raw = _table(place, self.function(interface.name, wanted.start, wanted.end, codes))
        fields = (self.mapping or {}).get(interface.name) or plain(interface, raw.column_names)
        names = needed(place, fields, raw.column_names) if raw.num_rows else []
        progress(raw.num_rows, raw.num_rows)
        lines = pa.array(range(1, raw.num_rows + 1), pa.int64())
        if not raw.num_rows:
            yield Batch(interface.schema().empty_table(), place, lines, "row")
            return
        yield translate(interface, fields, raw.select(names), lines, place, "row", lenient=True)

    def close(self) -> None:
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _module(place: str) -> Any:
    if not place.endswith(".py"):
        if str(Path.cwd()) not in sys.path:  # a project's own modules, as with python -m
            sys.path.append(str(Path.cwd()))
        try:
            return import_module(place)
        except ModuleNotFoundError as exc:
            raise NotFound(f"there is no module {exc.name}", hint="python:/path/of/file.py:function") from None
    path = Path(place).expanduser()
    spec = spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise NotFound(f"there is no file {path}")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _table(place: str, given: Any) -> pa.Table:
    if isinstance(given, pa.Table):
        return given
    if hasattr(given, "to_arrow"):
        table: pa.Table = given.to_arrow()
        return table
    if hasattr(given, "to_dict") and hasattr(given, "columns"):
        return pa.Table.from_pandas(given, preserve_index=False)
    if isinstance(given, list) and all(isinstance(row, dict) for row in given):
        names = list(dict.fromkeys(key for row in given for key in row))
        return table_of(names, [[row.get(name) for row in given] for name in names])
    raise BadData(
        place, f"it returned {type(given).__name__}, which is no table", hint="a DataFrame or a list of dicts"
    )


if TYPE_CHECKING:
    _fits: type[Source] = PythonSource
