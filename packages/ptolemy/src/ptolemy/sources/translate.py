"""Turn a source's own columns into the catalogue's, as a mapping says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from ptolemy.catalogue import Interface
from ptolemy.errors import BadData, nearest
from ptolemy.sources.mapping import Field, Fields
from ptolemy.sources.port import Batch, Fault

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands
_NUMBER = r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"
_MISSING = pa.array(["", "nan", "na", "n/a", "null", "none"])

Floats = npt.NDArray[np.float64]


def needed(place: str, fields: Fields, header: Sequence[str]) -> list[str]:
    """Return the source columns that `fields` need; raise `BadData` if `header` lacks one or has it twice."""
    names = list(dict.fromkeys(name for field in fields.values() for name in field.sources))
    for name in names:
        if name not in header:
            hint = nearest(name, header) or f"its columns: {', '.join(header)}"
            raise BadData(place, f"the column {name!r} is missing", hint=hint)
        if list(header).count(name) > 1:
            raise BadData(place, f"there are two columns {name!r}")
    return names


def translate(
    interface: Interface,
    fields: Fields,
    raw: pa.Table,
    lines: pa.Int64Array,
    place: str,
    unit: str,
    *,
    lenient: bool = False,
) -> Batch:
    """Return the rows of `raw` in the columns of `interface`; what `fields` does not name is null.

    Parameters
    ----------
    lenient
        Whether a value that cannot be read is null, and a fault of its row, instead of an error.

    Raises
    ------
    BadData
        If a value is no number, or no date in the format that the mapping names.
    """
    return _Translation(interface, fields, raw, Batch(raw, place, lines, unit), lenient).batch()


def table_of(names: Sequence[str], columns: Sequence[Sequence[Any]]) -> pa.Table:
    """Return values as they came from JSON as a table; what is neither number nor text becomes text."""
    arrays: list[Any] = []
    for values in columns:
        made: Any
        try:
            made = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            made = None
        number = made is not None and (pa.types.is_integer(made.type) or pa.types.is_floating(made.type))
        if not number:
            made = pa.array([None if v is None else v if isinstance(v, str) else str(v) for v in values], pa.string())
        arrays.append(made)
    return pa.table(arrays, names=list(names))


class _Translation:
    def __init__(self, interface: Interface, fields: Fields, raw: pa.Table, source: Batch, lenient: bool) -> None:
        self.interface, self.fields, self.raw, self.source = interface, fields, raw, source
        self.lenient = lenient
        self.faults: list[Fault] = []
        self.done: dict[str, Any] = {}

    def batch(self) -> Batch:
        schema = self.interface.schema()
        # What is derived comes last: it is made of other columns, in the order of the catalogue.
        names = sorted(self.fields, key=lambda n: (bool(self.fields[n].derive), self.interface.names.index(n)))
        for name in names:
            field = self.fields[name]
            if field.value:
                self.done[name] = self._fixed(name, field.value)
            elif field.derive:
                self.done[name] = _rounded(self._derived(field), field.decimals)
            else:
                value = getattr(self, f"_{self.interface.column(name).type}")(field)
                # Codes are kept in upper case, as requests are read: aapl.us and AAPL.US are one security.
                self.done[name] = pc.utf8_upper(value) if name == self.interface.key[0] else value
        nulls = {n: pa.nulls(self.raw.num_rows, schema.field(n).type) for n in schema.names if n not in self.done}
        table = pa.table([(self.done | nulls)[n] for n in schema.names], schema=schema)
        origins = {n: f.column or f"{n} (derived)" for n, f in self.fields.items()}
        return Batch(table, self.source.place, self.source.lines, self.source.unit, origins, self.faults)

    def _fixed(self, name: str, value: str) -> Any:
        kind = self.interface.schema().field(name).type
        try:
            return pa.array([value] * self.raw.num_rows, pa.string()).cast(kind)
        except pa.ArrowInvalid:
            raise BadData(self.source.place, f"{name} is mapped to {value!r}, which is no number") from None

    def _str(self, field: Field) -> Any:
        values = pc.utf8_trim_whitespace(pc.cast(self._column(field.column), pa.string()))
        values = pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)
        return pc.binary_join_element_wise(field.prefix, values, field.suffix, "")

    def _date(self, field: Field) -> Any:
        column = self._column(field.column)
        if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
            return pc.strftime(column, format="%Y%m%d")
        # A date is written many times, once for each security: read each text once.
        coded = pc.utf8_trim_whitespace(pc.cast(column, pa.string())).dictionary_encode()
        days = [_day(text, field.format) for text in coded.dictionary.to_pylist()]
        dates = pa.array([day or None for day in days], pa.string()).take(coded.indices)
        wrong = np.flatnonzero(_mask(pc.is_null(dates)) & _mask(pc.not_equal(column.fill_null(""), "")))
        if len(wrong):
            self._refuse(wrong, field.column, f"is not a date written as {field.format}")
        return dates

    def _time(self, field: Field) -> Any:
        column = self._column(field.column)
        if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
            return pc.strftime(column, format="%Y-%m-%d %H:%M:%S")
        texts = pc.utf8_trim_whitespace(pc.cast(column, pa.string()))
        if field.format in ("%Y%m%d", "%Y-%m-%d %H:%M:%S"):  # the catalogue's own form, which the check looks at
            return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
        coded = texts.dictionary_encode()
        moments = [_moment(text, field.format) for text in coded.dictionary.to_pylist()]
        times = pa.array(moments, pa.string()).take(coded.indices)
        wrong = np.flatnonzero(_mask(pc.is_null(times)) & _mask(pc.not_equal(texts.fill_null(""), "")))
        if len(wrong):
            self._refuse(wrong, field.column, f"is not a moment written as {field.format}")
        return times

    def _int(self, field: Field) -> Any:
        values = np.round(self._ratio(field) * field.multiply / field.divide, 6)
        broken = np.flatnonzero((values != np.floor(values)) & ~np.isnan(values))
        if len(broken):
            self._refuse(broken, field.column, "is not a whole number")
            values[broken] = np.nan
        return pc.cast(pa.array(values, from_pandas=True), pa.int64())

    def _float(self, field: Field) -> Any:
        return _rounded(self._ratio(field) * field.multiply / field.divide, field.decimals)

    def _ratio(self, field: Field) -> Floats:
        values = self._numbers(field.column)
        if field.over:
            with np.errstate(divide="ignore", invalid="ignore"):
                values = values / self._numbers(field.over)
        return values

    def _numbers(self, name: str) -> Floats:
        column = self._column(name)
        if pa.types.is_string(column.type):
            column = pc.utf8_trim_whitespace(column)
            column = pc.if_else(pc.is_in(pc.utf8_lower(column), _MISSING), pa.scalar(None, pa.string()), column)
            wrong = np.flatnonzero(~_mask(pc.match_substring_regex(column, _NUMBER).fill_null(True)))
            if len(wrong):
                self._refuse(wrong, name, "is not a number")
                kept = np.ones(len(column), np.bool_)
                kept[wrong] = False
                column = pc.if_else(pa.array(kept), column, pa.scalar(None, pa.string()))
        elif not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            raise BadData(f"{self.source.place}, column {name}", f"it holds {column.type}, not numbers")
        values: Floats = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
        return values

    def _derived(self, field: Field) -> Floats:
        if field.derive == "pre_close":
            return self._pre_close(field)
        close, pre_close = self._known("close"), self._known("pre_close")
        change = close - pre_close
        return change if field.derive == "change" else change / pre_close * 100

    def _pre_close(self, field: Field) -> Floats:
        """Put each day's previous close on the day's own basis; the first day of a security has none."""
        code, day = self.interface.key
        close = self._known("close")
        factor = self._ratio(field.factor) if field.factor else np.ones_like(close)
        keys = pa.table({"code": self.done[code], "day": self.done[day]})
        order = pc.sort_indices(keys, [("code", "ascending"), ("day", "ascending")]).to_numpy()
        codes = keys["code"].take(pa.array(order)).to_numpy(zero_copy_only=False)
        follows = codes[1:] == codes[:-1]
        before, here = order[:-1][follows], order[1:][follows]
        reference = np.full_like(close, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            reference[here] = close[before] * (factor[before] / factor[here])
        return reference

    def _known(self, name: str) -> Floats:
        if name not in self.done:
            raise BadData(self.source.place, f"{name} is not mapped, and other columns are derived from it")
        values: Floats = self.done[name].to_numpy(zero_copy_only=False)
        return values

    def _column(self, name: str) -> Any:
        column = self.raw[name].combine_chunks()
        # A table without rows has no chunk, and pyarrow then gives a chunked array again.
        return column if isinstance(column, pa.Array) else pa.array([], column.type)

    def _refuse(self, wrong: npt.NDArray[np.int64], column: str, why: str) -> None:
        if self.lenient:
            for row in wrong.tolist():
                self.faults.append(Fault(row, "value", f"{column}: {self.raw[column][row].as_py()!r} {why}"))
            return
        text = self.raw[column][int(wrong[0])].as_py()
        raise BadData(self.source.where(int(wrong[0]), column), f"{text!r} {why}{and_more(len(wrong))}")


def and_more(count: int) -> str:
    """Return how many rows beside the one that a message names, or nothing."""
    return f" (and {count - 1} more)" if count > 1 else ""


def _rounded(values: Floats, decimals: int | None) -> Any:
    return pa.array(values if decimals is None else np.round(values, decimals), from_pandas=True)


def _day(text: str | None, form: str) -> str | None:
    try:
        return datetime.strptime(text or "", form).strftime("%Y%m%d")
    except ValueError:
        return None


def _moment(text: str | None, form: str) -> str | None:
    try:
        found = datetime.strptime(text or "", form)
    except ValueError:
        return None
    return found.strftime("%Y-%m-%d %H:%M:%S" + (".%f" if found.microsecond else ""))


def _mask(values: Any) -> npt.NDArray[np.bool_]:
    mask: npt.NDArray[np.bool_] = values.to_numpy(zero_copy_only=False)
    return mask
