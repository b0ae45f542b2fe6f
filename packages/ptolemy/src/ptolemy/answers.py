"""What the library answers, in process and over HTTP: tables in Tushare's words, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ptolemy.catalogue import Interface, interface
from ptolemy.request import Request, read_request
from ptolemy.series import Series

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands

Fields = str | Sequence[str] | None


@dataclass(frozen=True, eq=False)
class Form:
    """The columns of an answer: one object for all answers to a question, so that what follows is worked out once."""

    schema: pa.Schema


@dataclass(frozen=True)
class Answer:
    """Rows of one interface, newest first.

    Parameters
    ----------
    kept
        The rows of this page, in the catalogue's types; what is missing is null.
    total
        Rows that were asked for, of all pages together.
    backwards
        Whether `kept` is oldest first: who writes text turns it around at no cost.
    form
        The columns of `kept`, where they are the same for each answer to the question.
    """

    kept: pa.Table
    total: int
    backwards: bool = False
    form: Form | None = None

    @cached_property
    def table(self) -> pa.Table:
        """The rows, newest first."""
        if not self.backwards or not self.kept.num_rows:
            return self.kept
        order = _downwards(self.kept.num_rows)
        batches = self.kept.to_batches()
        if len(batches) > 1:
            return self.kept.take(order)
        return pa.Table.from_batches([batches[0].take(order)])  # a tenth less than by the table


@lru_cache(64)  # the same few ranges are asked for again and again
def _downwards(count: int) -> Any:
    return pa.array(np.arange(count - 1, -1, -1))


def answer(series: Series, name: str, fields: Fields = None, parameters: Mapping[str, Any] | None = None) -> Answer:
    """Return what `series` holds of the interface `name`, or what is computed of it.

    Raises
    ------
    UnknownInterface, UnknownColumn
        With the nearest name.
    BadParam
        If a date, a range, a limit or another parameter cannot be used.
    NothingCollected
        If the store holds no row of this interface at all.
    """
    known = interface(name)
    plan = _plan(known, fields if fields is None or isinstance(fields, str) else tuple(fields))
    request = read_request(known, parameters or {})
    table = _read(series, known, request, plan.needed)
    for column, values, passes in request.filters:
        table = table.filter(_among(table[column], values, passes)) if column in table.column_names else table
    total = table.num_rows
    stop = total if request.limit is None else min(total, request.offset + request.limit)
    if _is_one(known, request):
        begin = min(request.offset, stop)
        return Answer(_shaped(table.slice(total - stop, stop - begin), plan.form.schema), total, True, plan.form)
    return Answer(_shaped(_page(table, known, request, stop), plan.form.schema), total, form=plan.form)


def _read(series: Series, known: Interface, request: Request, columns: list[str]) -> pa.Table:
    """Return the rows before they are filtered, ascending by their key."""
    if request.filters:
        columns = list(dict.fromkeys([*columns, *(column for column, _, _ in request.filters)]))
    if known.computed == "calendar":
        from ptolemy.calendars import trade_cal

        return trade_cal(request.codes, request.start, request.end, columns)
    freq = next((values for column, values, _ in request.filters if column == "freq"), ())
    if known.name == "stk_mins" and freq and freq != ("1min",):
        return _minutes(series, known, request, freq, columns)
    return series.read(
        known.name, codes=request.codes, start=request.start, end=request.end, columns=columns, as_of=request.as_of
    )


def _minutes(series: Series, known: Interface, request: Request, freqs: Sequence[str], columns: list[str]) -> pa.Table:
    """Return bars of more than a minute: those that were collected, else those that the minutes make."""
    from ptolemy.resample import bars_of_minutes

    # A bar is made of minutes before its own time: those of its whole days are read.
    start, end = request.start and request.start[:10], request.end and f"{request.end[:10]} 23:59:59.999999"
    table = series.read(known.name, codes=request.codes, start=start, end=end, as_of=request.as_of)
    parts = []
    for freq in freqs:
        kept = table.filter(pc.equal(table["freq"], freq))
        parts.append(kept if kept.num_rows else bars_of_minutes(table.filter(pc.equal(table["freq"], "1min")), freq))
    table = pa.concat_tables(part.select(table.column_names) for part in parts)
    time = table[known.key[-1]]
    if request.start is not None:
        table = table.filter(pc.greater_equal(time, request.start))
        time = table[known.key[-1]]
    if request.end is not None:
        table = table.filter(pc.less_equal(time, request.end))
    return table.select([c for c in columns if c in table.column_names])


def _among(column: Any, values: Sequence[str], passes: bool) -> Any:
    texts = column if pa.types.is_string(column.type) else pc.cast(column, pa.string())
    inside = pc.is_in(texts, pa.array(values, pa.string()))
    return pc.or_(inside, pc.is_null(texts)) if passes else inside


@dataclass(frozen=True)
class _Plan:
    known: Interface
    needed: list[str]  # from the store: the key decides the order, whether it was asked for or not
    form: Form


_plans: dict[tuple[str, Any], _Plan] = {}  # the same few questions come again and again


def _plan(known: Interface, fields: str | tuple[str, ...] | None) -> _Plan:
    plan = _plans.get((known.name, fields))
    if plan is None or plan.known is not known:
        columns = known.select(fields)
        plan = _Plan(known, [*dict.fromkeys([*known.key, *columns])], Form(known.schema(columns)))
        if len(_plans) < 1000:  # a stranger may ask for columns in any order
            _plans[known.name, fields] = plan
    return plan


def _is_one(known: Interface, request: Request) -> bool:
    """Tell whether the rows are one security's, whose days ascend."""
    if request.codes is None or len(request.codes) != 1 or len(known.key) != 2 or known.time is None:
        return False
    return request.start is None or request.start != request.end


def _page(table: pa.Table, known: Interface, request: Request, stop: int) -> pa.Table:
    """Return the rows from the offset to `stop`, counted from the newest; `table` ascends by its key."""
    begin = min(request.offset, stop)
    time = known.time
    if time is None:  # without a time there is no newest
        return table.slice(begin, stop - begin)
    if request.start is not None and request.start == request.end and time.type == "date":
        return table.slice(begin, stop - begin)
    if not table.num_rows:
        return table
    # The other columns of the key ascend already, so that one stable sort of small ranks is enough:
    # sorting texts by two keys takes ten times as long.
    times = table[time.name].combine_chunks().dictionary_encode()
    newest = pc.array_sort_indices(times.dictionary, order="descending").to_numpy()
    ranks = np.empty(len(newest), np.uint16 if len(newest) < 1 << 16 else np.uint32)
    ranks[newest] = np.arange(len(newest), dtype=ranks.dtype)
    order = np.argsort(ranks[times.indices.to_numpy(zero_copy_only=False)], kind="stable")
    return table.take(order[begin:stop])


def _shaped(table: pa.Table, schema: pa.Schema) -> pa.Table:
    if table.schema.equals(schema):
        return table
    held = set(table.column_names)
    arrays = [
        # What the store was given before the catalogue had the column is missing there.
        (column if (column := table[f.name]).type.equals(f.type) else column.cast(f.type))
        if f.name in held
        else pa.nulls(table.num_rows, f.type)
        for f in schema
    ]
    return pa.table(arrays, schema=schema)
