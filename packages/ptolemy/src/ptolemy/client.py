"""Ask for data in Tushare's words: DataFrames, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn, Self

import pandas as pd
import pyarrow as pa
import pyarrow.compute

from ptolemy._house.backends import BackendURL
from ptolemy.adjust import Adj, adjust
from ptolemy.catalogue import interface, interfaces
from ptolemy.errors import BadInput, UnknownInterface
from ptolemy.request import Codes, Day, Request, read_codes, read_request
from ptolemy.series import Series, Version, open_series

if TYPE_CHECKING:
    from collections.abc import Sequence

    Fields = str | Sequence[str] | None

pc: Any = pyarrow.compute  # its stubs refuse plain values as operands


class Api:
    """Answers every interface of the catalogue from one series store.

    Use it as it is, in a ``with`` block, from several threads, or send it to another process: what
    is pickled is the address. It holds no lock and sees what a writer adds.

    Parameters
    ----------
    series
        URL of the series store; None takes the setting ``series``.
    """

    def __init__(self, series: str | None = None) -> None:
        self._url = series
        self._series: Series | None = None

    def query(self, name: str, fields: Fields = None, **params: Any) -> pd.DataFrame:
        """Return rows of one interface, newest first.

        Parameters
        ----------
        name
            The interface, such as ``"daily"``.
        fields
            Columns, as a comma list or a sequence, in the order wanted; the interface's shown ones by default.
        **params
            ``ts_code``, ``trade_date``, ``start_date``, ``end_date``, ``limit``, ``offset``, ``as_of``, as in `daily`.

        Returns
        -------
        DataFrame, shape (n_rows, n_columns)
            Text columns have pandas's own string dtype, numbers are float64, and a missing number is NaN.
            An empty result keeps the columns and their dtypes.

        Raises
        ------
        UnknownInterface, UnknownColumn
            With the nearest name.
        BadInput
            If a date, a range, a limit or another parameter cannot be used.
        NothingCollected
            If the store holds no row of this interface at all.
        """
        known = interface(name)
        columns = known.select(fields)
        return self._frame(known.name, columns, read_request(params))

    def daily(
        self,
        ts_code: Codes = None,
        trade_date: Day = None,
        start_date: Day = None,
        end_date: Day = None,
        fields: Fields = None,
        *,
        limit: int | None = None,
        offset: int | None = None,
        as_of: int | None = None,
    ) -> pd.DataFrame:
        """Return daily bars as they were traded, not adjusted, newest first.

        Parameters
        ----------
        ts_code
            Security code with exchange suffix, such as ``"AAPL.US"``; also a comma list or a sequence.
            None means all.
        trade_date
            One day, as ``"YYYYMMDD"``.
        start_date, end_date
            First and last day, both included, as ``"YYYYMMDD"``.
        fields
            Columns, as a comma list or a sequence; all but the hidden ones by default.
        limit, offset
            At most so many rows, after leaving out the `offset` newest.
        as_of
            Id of the version to read (`versions`); None means the newest.

        Returns
        -------
        DataFrame, shape (n_rows, 11)
            ``ts_code, trade_date, open, high, low, close, pre_close, change, pct_chg, vol, amount``: prices
            in the currency of the listing, ``pre_close`` the ex-right reference, ``pct_chg`` in %, ``vol`` in
            lots of 100 shares, ``amount`` in 1000 of the currency. Of one day, in the order of ``ts_code``.

        Raises
        ------
        UnknownColumn, BadInput, NothingCollected
            As `query` does.
        """
        return self.query(
            "daily", fields, ts_code=ts_code, trade_date=trade_date, start_date=start_date, end_date=end_date,
            limit=limit, offset=offset, as_of=as_of,
        )  # fmt: skip

    def adj_factor(
        self,
        ts_code: Codes = None,
        trade_date: Day = None,
        start_date: Day = None,
        end_date: Day = None,
        fields: Fields = None,
        *,
        limit: int | None = None,
        offset: int | None = None,
        as_of: int | None = None,
    ) -> pd.DataFrame:
        """Return adjustment factors, newest first; parameters and errors as in `daily`.

        Returns
        -------
        DataFrame, shape (n_rows, 3)
            ``ts_code, trade_date, adj_factor``.
        """
        return self.query(
            "adj_factor", fields, ts_code=ts_code, trade_date=trade_date, start_date=start_date, end_date=end_date,
            limit=limit, offset=offset, as_of=as_of,
        )  # fmt: skip

    def pro_bar(
        self,
        ts_code: Codes,
        start_date: Day = None,
        end_date: Day = None,
        adj: Adj | None = None,
        *,
        precision: int | None = 2,
        fields: Fields = None,
        as_of: Mapping[str, int] | None = None,
    ) -> pd.DataFrame:
        """Return daily bars, adjusted or not, newest first.

        Parameters
        ----------
        ts_code
            One security or several, as in `daily`; each is adjusted by itself.
        start_date, end_date
            First and last day, both included, as ``"YYYYMMDD"``.
        adj
            ``"qfq"`` anchors prices to the newest day of the range, as Tushare does; ``"hfq"`` multiplies
            by the factor; None leaves the bars as `daily` gives them, with the ex-right ``pre_close``.
        precision
            Decimals of adjusted prices, ``change`` and ``pct_chg``; Tushare has 2. None does not round:
            take it for returns and backtests.
        fields
            Columns, as in `daily`.
        as_of
            Version of each data set to read, such as ``{"daily": 1, "adj_factor": 1}``.

        Returns
        -------
        DataFrame, shape (n_rows, 11)
            The columns of `daily`. ``vol`` and ``amount`` are not adjusted.

        Raises
        ------
        BadInput
            If `ts_code` is missing, or `adj` or `precision` cannot be used.
        NotFound
            If a security has bars but no factor in the range.
        """
        if read_codes(ts_code) is None:
            raise BadInput("pro_bar needs a ts_code", hint="ts_code='AAPL.US'")
        versions = dict(as_of or {})
        for name in versions:
            if name not in ("daily", "adj_factor"):
                raise BadInput(f"as_of names {name!r}; pro_bar reads daily and adj_factor")
        columns = interface("daily").select(fields)
        wanted: dict[str, Any] = {"ts_code": ts_code, "start_date": start_date, "end_date": end_date}
        if adj is None:
            return self.query("daily", columns, **wanted, as_of=versions.get("daily"))
        bars = self.query("daily", interface("daily").names, **wanted, as_of=versions.get("daily"))
        factors = self.query("adj_factor", **wanted, as_of=versions.get("adj_factor"))
        return adjust(bars, factors, adj, precision)[columns]

    def versions(self, dataset: str) -> list[Version]:
        """Return every version of a data set, oldest first: id, rows, first and last day, time and digest.

        Raises
        ------
        UnknownInterface
            If the catalogue has no such data set.
        NothingCollected
            If the store holds no row of it.
        """
        return self._store().versions(interface(dataset).name)

    def datasets(self) -> list[str]:
        """Return the names of the data sets that hold rows, sorted."""
        return self._store().datasets()

    def close(self) -> None:
        """Let go of the store; the next call opens it again."""
        if self._series is not None:
            self._series.close()
            self._series = None

    def __getattr__(self, name: str) -> NoReturn:
        # Tushare's client takes every name for a query, so that copy and pickle, which look for many, fail there.
        if name.startswith("_"):
            raise AttributeError(name)
        raise UnknownInterface(name, [*interfaces(), "pro_bar", "query", "versions", "datasets"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"_url": self._url, "_series": None}

    def __repr__(self) -> str:
        # Parsed, for the text of a parsed address never shows its password.
        return "ptolemy.api()" if self._url is None else f"ptolemy.api(series={str(BackendURL.parse(self._url))!r})"

    def _store(self) -> Series:
        if self._series is None:
            self._series = open_series(self._url)
        return self._series

    def _frame(self, name: str, columns: list[str], request: Request) -> pd.DataFrame:
        known = interface(name)
        # The key decides the order, whether it was asked for or not.
        needed = [*dict.fromkeys([*known.key, *columns])]
        table = self._store().read(
            name, codes=request.codes, start=request.start, end=request.end, columns=needed, as_of=request.as_of
        )
        order = pc.sort_indices(table, [(known.key[-1], "descending"), *((k, "ascending") for k in known.key[:-1])])
        stop = None if request.limit is None else request.offset + request.limit
        table = table.take(order[request.offset : stop])
        # What the store was given before the catalogue had the column is missing there.
        schema = known.schema(columns)
        missing = {c: pa.nulls(len(table), schema.field(c).type) for c in columns if c not in table.column_names}
        return pa.table([missing[c] if c in missing else table[c] for c in columns], schema=schema).to_pandas()


def api(*, series: str | None = None) -> Api:
    """Return an object that answers ``daily``, ``adj_factor``, ``pro_bar`` and ``query``.

    Parameters
    ----------
    series
        URL of the series store, such as ``arrow:///srv/series``; None takes the setting ``series``.
    """
    return Api(series)


def pro_bar(
    ts_code: Codes,
    start_date: Day = None,
    end_date: Day = None,
    adj: Adj | None = None,
    *,
    precision: int | None = 2,
    fields: Fields = None,
    as_of: Mapping[str, int] | None = None,
    series: str | None = None,
) -> pd.DataFrame:
    """Return daily bars, adjusted or not, newest first; see `Api.pro_bar`.

    >>> bars = pro_bar(ts_code="AAPL.US", start_date="20120101", end_date="20121231", adj="qfq")  # doctest: +SKIP
    """
    with Api(series) as answers:
        return answers.pro_bar(ts_code, start_date, end_date, adj, precision=precision, fields=fields, as_of=as_of)


def versions(dataset: str, *, series: str | None = None) -> list[Version]:
    """Return every version of a data set, oldest first; see `Api.versions`."""
    with Api(series) as answers:
        return answers.versions(dataset)
