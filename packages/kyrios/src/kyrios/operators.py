"""The units that come with Kyrios: shell, SQL, an algorithm package, and those that hand tables on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from kyrios.errors import BadInput, KyriosError, MissingExtra
from kyrios.graph import Task

if TYPE_CHECKING:
    import pyarrow as pa


def select(task: Task, inputs: Mapping[str, pa.Table], params: Mapping[str, Any]) -> dict[str, pa.Table]:
    """Hand on the first choice that is there; a task that was skipped or has failed gave none."""
    found: dict[str, pa.Table] = {}
    for port in task.outputs:
        choices = [inputs[name] for name in sorted(inputs) if name.startswith((f"{port}-", "choice-"))]
        if not choices:
            raise KyriosError(f"none of its choices has given {port!r}")
        found[port] = choices[0]
    return found


def gather(task: Task, inputs: Mapping[str, pa.Table], params: Mapping[str, Any]) -> dict[str, pa.Table]:
    """Put the tables of all items together, in the order of the items."""
    import pyarrow as pa

    found = {}
    for port in task.outputs:
        parts = [inputs[name] for name in sorted(inputs) if name.startswith(f"{port}-")]
        found[port] = pa.concat_tables(parts)
    return found


def shell(task: Task, inputs: Mapping[str, pa.Table], params: Mapping[str, Any]) -> dict[str, pa.Table]:
    """Run a shell script in a folder of its own.

    Each input is ``<name>.csv`` there, each parameter a variable of its name; the script writes each output as
    ``<name>.csv``, ``.parquet`` or ``.arrow``.
    """
    import pyarrow.csv

    from kyrios.references import as_text

    with TemporaryDirectory(prefix="kyrios-") as name:
        folder = Path(name)
        for port, table in inputs.items():
            pyarrow.csv.write_csv(table, str(folder / f"{port}.csv"))
        environment = {**os.environ, **task.options["env"], **{word: as_text(v) for word, v in params.items()}}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", task.options["shell"]],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
        )
        print(done.stdout, end="")
        if done.returncode:
            said = done.stdout.strip().splitlines()
            raise KyriosError(f"the shell exits with {done.returncode}" + (f": {said[-1]}" if said else ""))
        return {port: _read(folder, port, columns) for port, columns in task.outputs.items()}


def _read(folder: Path, port: str, columns: Mapping[str, str] | None) -> pa.Table:
    import pyarrow.csv
    import pyarrow.parquet

    from kyrios.tables import arrow_type, from_bytes

    for end in ("arrow", "parquet", "csv"):
        path = folder / f"{port}.{end}"
        if not path.is_file():
            continue
        if end == "arrow":
            return from_bytes(path.read_bytes())
        if end == "parquet":
            return pyarrow.parquet.read_table(path)
        types = {column: arrow_type(kind) for column, kind in (columns or {}).items()}
        return pyarrow.csv.read_csv(path, convert_options=pyarrow.csv.ConvertOptions(column_types=types))
    raise KyriosError(f"the shell wrote no {port}.csv, {port}.parquet or {port}.arrow")


def sql(task: Task, inputs: Mapping[str, pa.Table], params: Mapping[str, Any]) -> pa.Table:
    """Run one query over the inputs, each a table of its name; parameters are ``:name`` (``$name`` in DuckDB)."""
    query = task.options["sql"]
    if len(task.outputs) != 1:
        raise BadInput(f"a query gives one table, but {task.unit} has {len(task.outputs)} outputs")
    columns = next(iter(task.outputs.values()))
    found = _duckdb(query, inputs, params) if task.options["engine"] == "duckdb" else _sqlite(query, inputs, params)
    return _cast(found, columns)


def _sqlite(query: str, inputs: Mapping[str, pa.Table], params: Mapping[str, Any]) -> pa.Table:
    import sqlite3

    import pyarrow as pa

    from kyrios.references import as_text

    db = sqlite3.connect(":memory:")
    try:
        for port, table in inputs.items():
            names = ", ".join(f'"{column}"' for column in table.column_names)
            db.execute(f'create table "{port}" ({names})')
            rows = zip(*(_plain(table[column]) for column in table.column_names), strict=True)
            db.executemany(f'insert into "{port}" values ({", ".join("?" * table.num_columns)})', rows)
        given = {w: v if isinstance(v, str | int | float | None) else as_text(v) for w, v in params.items()}
        cursor = db.execute(query, given)
        if cursor.description is None:
            raise KyriosError("the query gives no table; it must be a select")
        names_out = [column[0] for column in cursor.description]
        rows_out = cursor.fetchall()
    except sqlite3.Error as exc:
        raise KyriosError(f"sqlite: {exc}") from exc
    finally:
        db.close()
    return pa.table({name: [row[i] for row in rows_out] for i, name in enumerate(names_out)})


def _plain(column: pa.ChunkedArray[Any]) -> list[Any]:
    values = column.to_pylist()
    return [v if isinstance(v, str | int | float | bytes | None) else str(v) for v in values]


def _duckdb(query: str, inputs: Mapping[str, pa.Table], params: Mapping[str, Any]) -> pa.Table:
    try:
        import duckdb  # type: ignore[import-not-found, unused-ignore]
    except ModuleNotFoundError:
        raise MissingExtra(
            "a query on duckdb needs duckdb, which is not installed", hint="pip install 'jiyuan-kyrios[duckdb]'"
        ) from None
    with duckdb.connect(":memory:", config={"threads": 1}) as db:
        try:
            for port, table in inputs.items():
                db.register(port, table)
            used = {word: value for word, value in params.items() if f"${word}" in query}
            relation = db.sql(query, params=used) if used else db.sql(query)
            found: pa.Table = relation.to_arrow_table()
            return found
        except duckdb.Error as exc:
            raise KyriosError(f"duckdb: {exc}") from exc


def _cast(table: pa.Table, columns: Mapping[str, str] | None) -> pa.Table:
    from kyrios.tables import arrow_type

    for column, kind in (columns or {}).items():
        if column in table.column_names:
            i = table.column_names.index(column)
            wanted = arrow_type(kind)
            table = table.set_column(i, column, table[column].cast(wanted))
    return table


def veda(task: Task, inputs: Mapping[str, pa.Table], params: Mapping[str, Any]) -> dict[str, pa.Table]:
    """Call a method of an algorithm package.

    Parameters that the package's class takes make the object, the rest go to the method. Each input comes in as a
    2-D array of its number columns; the arrays that come out become the columns of the outputs, in their order.
    """
    import numpy as np
    import pyarrow as pa

    from kyrios.uses import uses_package

    ref, method = task.options["veda"], task.options["method"]
    loaded = _loader()(ref)
    uses_package(ref=ref, name=loaded.name, version=loaded.version, digest=loaded.digest)
    known = dict(loaded.parameters.get("properties", {}))
    made = loaded.factory(**{word: value for word, value in params.items() if word in known})
    function = getattr(made, method, None)
    if function is None:
        raise BadInput(f"{ref} has no method {method!r}", hint=f"its methods: {', '.join(sorted(loaded.methods))}")
    arrays = {port: _matrix(table) for port, table in inputs.items()}
    result = function(**arrays, **{word: value for word, value in params.items() if word not in known})
    if isinstance(result, pa.Table):
        return {next(iter(task.outputs)): result}
    results = result if isinstance(result, Mapping) else {next(iter(task.outputs)): result}
    found = {}
    for port, columns in task.outputs.items():
        values = np.atleast_1d(np.asarray(results[port]))
        parts = [values] if values.ndim == 1 else list(values.T)
        names = list(columns) if columns else [f"c{i}" for i in range(len(parts))]
        if len(names) != len(parts):
            raise BadInput(f"{ref}.{method} gives {len(parts)} columns, but {port!r} has {len(names)}")
        table = pa.table({name: pa.array(part) for name, part in zip(names, parts, strict=True)})
        found[port] = _cast(table, columns)
    return found


def _matrix(table: pa.Table) -> Any:
    import numpy as np
    import pyarrow as pa

    numbers = [c for c in table.columns if pa.types.is_integer(c.type) or pa.types.is_floating(c.type)]
    return np.column_stack([c.to_numpy() for c in numbers]) if numbers else np.empty((table.num_rows, 0))


def _loader() -> Any:
    from importlib.metadata import entry_points

    # Whoever packs algorithms offers this one door to all who run them.
    for point in entry_points(group="exia.loaders"):
        if point.name == "veda":
            return point.load()
    raise MissingExtra(
        "a unit of an algorithm package needs veda, which is not installed", hint="pip install jiyuan-veda"
    )
