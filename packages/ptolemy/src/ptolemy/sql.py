"""SQL over the series store by DuckDB, read only: each data set that a statement names is a table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ptolemy.errors import BadInput, MissingExtra, NothingCollected, nearest
from ptolemy.series import Series, open_series

if TYPE_CHECKING:
    import pyarrow as pa


def select(statement: str, *, series: str | Series | None = None, as_of: dict[str, int] | None = None) -> pa.Table:
    """Return the result of one ``SELECT``.

    Only the data sets that `statement` names are read, whole. Nothing outside them can be reached:
    no file, no network, and the store cannot be changed.

    Parameters
    ----------
    statement
        In DuckDB's SQL, such as ``"select ts_code, max(close) from daily group by all"``.
    series
        A store, or its URL; None takes the setting ``series``.
    as_of
        Version of data sets to read, such as ``{"daily": 3}``; the newest of the others.

    Raises
    ------
    BadInput
        If `statement` is not one SELECT that can be run.
    NothingCollected
        If the store has no data set that `statement` names.
    """
    if series is None or isinstance(series, str):
        with open_series(series) as opened:
            return select(statement, series=opened, as_of=as_of)
    try:
        import duckdb
    except ModuleNotFoundError as exc:
        raise MissingExtra(
            "SQL needs duckdb, which is not installed", hint="pip install 'jiyuan-ptolemy[duckdb]'"
        ) from exc
    connection = duckdb.connect(
        ":memory:", config={"enable_external_access": False, "python_enable_replacements": False}
    )
    try:
        _refuse_all_but_one_select(connection, statement)
        words = {word.lower() for word in re.findall(r"\w+", statement)}
        for name in series.datasets():
            if name.lower() in words:
                connection.register(name, series.read(name, as_of=(as_of or {}).get(name)))
        connection.execute("SET lock_configuration = true")
        result: Any = connection.sql(statement)
        table: pa.Table = result.to_arrow_table()
        return table
    except duckdb.Error as exc:
        missing = re.search(r"Table with name (\w+) does not exist", str(exc))
        if missing is not None:
            nothing = NothingCollected(missing[1])
            nothing.hint = nearest(missing[1], series.datasets()) or nothing.hint
            raise nothing from exc
        raise BadInput(_first_line(exc), hint="https://duckdb.org/docs/stable/sql/introduction") from exc
    finally:
        connection.close()


def _refuse_all_but_one_select(connection: Any, statement: str) -> None:
    kinds = [str(one.type).rpartition(".")[2] for one in connection.extract_statements(statement)]
    if [kind.removesuffix("_STATEMENT") for kind in kinds] != ["SELECT"]:
        raise BadInput("sql runs one SELECT and changes nothing", hint="ptolemy sql 'select count(*) from daily'")


def _first_line(exc: Exception) -> str:
    return re.sub(r"\s+", " ", str(exc).partition("\n\n")[0]).strip()
