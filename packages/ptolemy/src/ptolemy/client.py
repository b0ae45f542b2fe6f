"""Ask for data in Tushare's words: DataFrames, newest first, from the store itself or from a service."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import pandas as pd
import pyarrow as pa

from ptolemy._house.backends import BackendURL
from ptolemy._house.config import home, load_config
from ptolemy._house.files import write_durably
from ptolemy.adjust import Adj
from ptolemy.answers import Fields, answer
from ptolemy.bars import PRO_BAR, Anchor, Asset
from ptolemy.bars import pro_bar as adjusted_bars
from ptolemy.catalogue import Interface, find, interface, interfaces
from ptolemy.errors import BadInput, BadToken, UnknownInterface
from ptolemy.request import Codes, Day
from ptolemy.series import Series, Version, open_series
from ptolemy.settings import SETTINGS

if TYPE_CHECKING:
    import polars as pl

TOKEN = "PTOLEMY_TOKEN"


class Asked(Protocol):
    """Who answers an `Api`: a store in this process, or a service."""

    def table(self, name: str, fields: Fields, parameters: Mapping[str, Any]) -> pa.Table:
        """Return all rows of one interface, newest first."""

    def pro_bar(self, words: Mapping[str, Any]) -> pa.Table:
        """Return bars, adjusted or not."""

    def versions(self, dataset: str) -> list[Version]:
        """Return every version of a data set, oldest first."""

    def datasets(self) -> list[str]:
        """Return the names of the data sets that hold rows, sorted."""

    def names(self) -> list[str]:
        """Return the interfaces that can be asked for."""

    def close(self) -> None:
        """Let go of files and connections."""


class Api:
    """Answers every interface of the catalogue, from one series store or from a service.

    Use it as it is, in a ``with`` block, from several threads, or send it to another process: what
    is pickled is the address, and a token if one was given. It holds no lock and sees what a writer
    adds. Every interface is a method: ``api.index_daily(ts_code=...)`` is ``api.query("index_daily", ts_code=...)``.

    Parameters
    ----------
    series
        URL of the series store; None takes the setting ``series``.
    url
        URL of a service (``ptolemy serve``), which is asked instead of a store.
    token
        Its token; empty takes ``PTOLEMY_TOKEN``, then what `set_token` has kept.
    timeout
        Seconds to wait for an answer of the service.
    """

    def __init__(
        self, series: str | None = None, *, url: str | None = None, token: str = "", timeout: float = 30.0
    ) -> None:
        if series and url:
            raise BadInput("series and url exclude each other", hint="give the store or the service")
        self._url, self._server, self._token, self._timeout = series, url, token, timeout
        self._asked: Asked | None = None
        if url:
            self._who()  # an address that cannot be one is said at once

    def query(self, name: str, /, fields: Fields = None, **params: Any) -> pd.DataFrame:
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
        return self.arrow(name, fields, **params).to_pandas()

    def arrow(self, name: str, /, fields: Fields = None, **params: Any) -> pa.Table:
        """Return the same rows as `query` as an Arrow table; what is missing is null."""
        if name == PRO_BAR:
            return self._who().pro_bar({**params, "fields": fields})
        return self._who().table(name, fields, params)

    def polars(self, name: str, /, fields: Fields = None, **params: Any) -> pl.DataFrame:
        """Return the same rows as `query` as a polars DataFrame; needs the extra ``polars``."""
        import polars

        frame = polars.from_arrow(self.arrow(name, fields, **params))
        assert isinstance(frame, polars.DataFrame)
        return frame

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
        ts_code: Codes = None,
        start_date: Day = None,
        end_date: Day = None,
        adj: Adj | None = None,
        *,
        freq: str = "D",
        asset: Asset = "E",
        ma: Sequence[int] = (),
        factors: Sequence[str] = (),
        anchor: Anchor = "end",
        precision: int | None = 2,
        fields: Fields = None,
        as_of: Mapping[str, int] | None = None,
    ) -> pd.DataFrame:
        """Return bars, adjusted or not, newest first.

        Parameters
        ----------
        ts_code
            One security or several, as in `daily`; each is adjusted by itself.
        start_date, end_date
            First and last day, both included, as ``"YYYYMMDD"``.
        adj
            ``"qfq"`` anchors prices to the newest day of the range, as Tushare does; ``"hfq"`` multiplies
            by the factor; None leaves the bars as `daily` gives them, with the ex-right ``pre_close``.
        freq
            ``"D"``, ``"W"``, ``"M"``, or ``"1min"``, ``"5min"``, ``"15min"``, ``"30min"``, ``"60min"``.
        asset
            ``"E"`` shares, ``"I"`` indices, ``"FD"`` funds, ``"FT"`` futures, ``"O"`` options, ``"CB"``
            convertible bonds.
        ma
            Windows in bars: each gives ``ma<n>`` of the close and ``ma_v_<n>`` of the volume.
        factors
            ``"tor"``, ``"vr"``, ``"pe"``, ``"pe_ttm"``: columns of ``daily_basic`` beside the bars.
        anchor
            What ``"qfq"`` is anchored to: ``"end"``, the newest day of the range, or ``"latest"``, the
            newest day that is kept, so that two ranges fit together.
        precision
            Decimals of adjusted prices, ``change``, ``pct_chg`` and means; Tushare has 2. None does not
            round: take it for returns and backtests.
        fields
            Columns, as in `daily`.
        as_of
            Version of each data set to read, such as ``{"daily": 1, "adj_factor": 1}``.

        Returns
        -------
        DataFrame, shape (n_rows, 11)
            The columns of the bars' interface (11 of `daily`), and those that `ma` and `factors` add.
            ``vol`` and ``amount`` are not adjusted.

        Raises
        ------
        BadParam
            If `ts_code` is missing, or another parameter cannot be used.
        NotFound
            If a security has bars but no factor in the range.
        """
        return self.arrow(
            PRO_BAR, fields, ts_code=ts_code, start_date=start_date, end_date=end_date, adj=adj, freq=freq, asset=asset,
            ma=tuple(ma), factors=tuple(factors), anchor=anchor, precision=precision, as_of=as_of,
        ).to_pandas()  # fmt: skip

    def versions(self, dataset: str) -> list[Version]:
        """Return every version of a data set, oldest first: id, rows, first and last day, time and digest.

        Raises
        ------
        UnknownInterface
            If the catalogue has no such data set.
        NothingCollected
            If the store holds no row of it.
        """
        return self._who().versions(dataset)

    def datasets(self) -> list[str]:
        """Return the names of the data sets that hold rows, sorted."""
        return self._who().datasets()

    def close(self) -> None:
        """Let go of the store or the connections; the next call opens them again."""
        if self._asked is not None:
            self._asked.close()
            self._asked = None

    def __getattr__(self, name: str) -> Any:
        # Tushare's client takes every name for a query, so that copy and pickle, which look for many, fail there.
        if name.startswith("_"):
            raise AttributeError(name)
        known = find(name)
        if known is None and name not in (names := self._who().names()):
            raise UnknownInterface(name, [*names, PRO_BAR, "query", "arrow", "polars", "versions", "datasets"])
        return Question(self, name, known)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *interfaces()})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_asked": None}

    def __repr__(self) -> str:
        if self._server:
            return f"ptolemy.api(url={self._server!r})"
        # Parsed, for the text of a parsed address never shows its password.
        return "ptolemy.api()" if self._url is None else f"ptolemy.api(series={str(BackendURL.parse(self._url))!r})"

    def _who(self) -> Asked:
        if self._asked is None:
            if self._server:
                from ptolemy.client_http import Service

                self._asked = Service(self._server, _token(self._token), self._timeout)
            else:
                self._asked = _Store(open_series(self._url))
        return self._asked


class Question:
    """One interface as a method: ``api.stock_basic(list_status="D")``; its help comes from the catalogue."""

    def __init__(self, api: Api, name: str, known: Interface | None) -> None:
        self._api, self._name = api, name
        self.__name__ = name
        if known is not None:  # a service may know data sets of its own
            self.__doc__ = _help(known)
            self.__signature__ = Signature(
                [
                    Parameter("fields", Parameter.POSITIONAL_OR_KEYWORD, default=None),
                    *(Parameter(p, Parameter.KEYWORD_ONLY, default=None) for p in known.parameters),
                ]
            )

    def __call__(self, fields: Fields = None, **params: Any) -> pd.DataFrame:
        return self._api.query(self._name, fields, **params)

    def __repr__(self) -> str:
        return f"{self._api!r}.{self._name}"


def _help(known: Interface) -> str:
    parameters = [f"{p.name}\n    {p.description}" for p in known.parameters.values()]
    columns = [f"{c.name}{f' [{c.unit}]' if c.unit else ''}{' (hidden)' if c.hidden else ''}: {c.description}"
               for c in known.columns]  # fmt: skip
    return "\n".join(
        [f"{known.title}.", "", "Parameters", "----------", *parameters, "", "Columns", "-------", *columns]
    )


class _Store:
    """A series store in this process."""

    def __init__(self, series: Series) -> None:
        self._series = series

    def table(self, name: str, fields: Fields, parameters: Mapping[str, Any]) -> pa.Table:
        return answer(self._series, name, fields, parameters).table

    def pro_bar(self, words: Mapping[str, Any]) -> pa.Table:
        return adjusted_bars(self._series, **words)

    def versions(self, dataset: str) -> list[Version]:
        return self._series.versions(interface(dataset).name)

    def datasets(self) -> list[str]:
        return self._series.datasets()

    def names(self) -> list[str]:
        return list(interfaces())

    def close(self) -> None:
        self._series.close()


def api(token: str = "", url: str | None = None, *, series: str | None = None, timeout: float = 30.0) -> Api:
    """Return an object that answers every interface of the catalogue, ``pro_bar`` and ``query``.

    Parameters
    ----------
    token
        Token of the service; empty takes ``PTOLEMY_TOKEN``, then what `set_token` has kept.
    url
        The service, such as ``http://127.0.0.1:8100``; None takes the setting ``server``, and where that
        is empty too, the store is read in this process.
    series
        URL of the series store, such as ``arrow:///srv/series``; then no service is asked.
    timeout
        Seconds to wait for an answer of the service.

    Examples
    --------
    >>> import ptolemy as pt
    >>> pt.api(url="http://127.0.0.1:8100")
    ptolemy.api(url='http://127.0.0.1:8100')
    """
    if series is None and url is None:
        url = load_config(SETTINGS).text("server") or None
    return Api(series, url=url, token=token, timeout=timeout)


#: The name that Tushare's users know.
pro_api = api


def set_token(token: str) -> Path:
    """Keep `token` for later sessions, readable by this user alone, and return the file.

    Raises
    ------
    BadToken
        If it is none: it has a check sum, so that a typing error is found here.
    """
    token = token.strip()
    if not token or not token.isprintable() or " " in token:
        raise BadToken("a token is one word")
    _spelled(token)
    path = home() / "token"
    path.parent.mkdir(parents=True, exist_ok=True)
    # The folder's owner alone may read it from its first byte on.
    before = os.umask(0o077)
    try:
        write_durably(path, token.encode())
    finally:
        os.umask(before)
    return path


def pro_bar(
    ts_code: Codes = None,
    start_date: Day = None,
    end_date: Day = None,
    adj: Adj | None = None,
    *,
    freq: str = "D",
    asset: Asset = "E",
    ma: Sequence[int] = (),
    factors: Sequence[str] = (),
    anchor: Anchor = "end",
    precision: int | None = 2,
    fields: Fields = None,
    as_of: Mapping[str, int] | None = None,
    series: str | None = None,
    api: Api | None = None,
) -> pd.DataFrame:
    """Return bars, adjusted or not, newest first; see `Api.pro_bar`.

    >>> bars = pro_bar(ts_code="AAPL.US", start_date="20120101", end_date="20121231", adj="qfq")  # doctest: +SKIP
    """
    with _api(series=series) if api is None else nullcontext(api) as answers:
        return answers.pro_bar(
            ts_code, start_date, end_date, adj, freq=freq, asset=asset, ma=ma, factors=factors, anchor=anchor,
            precision=precision, fields=fields, as_of=as_of,
        )  # fmt: skip


_api = api  # the parameter of `pro_bar` has Tushare's name


def versions(dataset: str, *, series: str | None = None) -> list[Version]:
    """Return every version of a data set, oldest first; see `Api.versions`."""
    with api(series=series) as answers:
        return answers.versions(dataset)


def _token(given: str) -> str:
    """Return the token to send; empty where nobody has given one, which an open service takes."""
    token = given or os.environ.get(TOKEN, "")
    if not token:
        try:
            token = (home() / "token").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""
    _spelled(token)
    return token


def _spelled(token: str) -> None:
    from zlib import crc32

    body, _, check = token.rpartition("_")
    if token.startswith("ptl_") and check != f"{crc32(body.encode()):08x}":
        raise BadToken("this token is mistyped: its check sum is wrong")
