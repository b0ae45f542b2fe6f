"""Bars of securities, adjusted or not: Tushare's ``pro_bar``, computed where the rows are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from ptolemy.adjust import Adj, adjust, rounded
from ptolemy.answers import Fields, answer
from ptolemy.catalogue import find, interface
from ptolemy.errors import BadParam, UnknownColumn, nearest
from ptolemy.request import Codes, Day, read_codes
from ptolemy.series import Series

Anchor = Literal["end", "latest"]
Asset = Literal["E", "I", "FD", "FT", "O", "CB"]

PRO_BAR = "pro_bar"  #: what it is asked for by
#: Words of a call; all but the first may be missing.
WORDS = (
    "ts_code", "start_date", "end_date", "adj", "freq", "asset", "ma", "factors", "anchor", "precision", "as_of",
)  # fmt: skip
_INTERFACES = {
    ("E", "D"): "daily", ("E", "W"): "weekly", ("E", "M"): "monthly", ("E", "min"): "stk_mins",
    ("I", "D"): "index_daily", ("I", "W"): "index_weekly", ("I", "M"): "index_monthly", ("I", "min"): "idx_mins",
    ("FD", "D"): "fund_daily", ("FD", "min"): "stk_mins", ("FT", "D"): "fut_daily", ("FT", "min"): "ft_mins",
    ("O", "D"): "opt_daily", ("O", "min"): "opt_mins", ("CB", "D"): "cb_daily",
}  # fmt: skip
_FACTORS = {
    "tor": "turnover_rate", "turnover_rate": "turnover_rate", "vr": "volume_ratio", "volume_ratio": "volume_ratio",
    "pe": "pe", "pe_ttm": "pe_ttm",
}  # fmt: skip
_MINUTES = ("1MIN", "5MIN", "15MIN", "30MIN", "60MIN")


def pro_bar(
    series: Series,
    ts_code: Codes,
    start_date: Day = None,
    end_date: Day = None,
    adj: Adj | None = None,
    *,
    freq: str = "D",
    asset: Asset = "E",
    ma: tuple[int, ...] = (),
    factors: tuple[str, ...] = (),
    anchor: Anchor = "end",
    precision: int | None = 2,
    fields: Fields = None,
    as_of: Mapping[str, int] | None = None,
) -> pa.Table:
    """Return bars, newest first; parameters and errors as `ptolemy.Api.pro_bar` has them."""
    if read_codes(ts_code) is None:
        raise BadParam("pro_bar needs a ts_code", hint="ts_code='AAPL.US'")
    name = _bars(freq, asset)
    basics = [*dict.fromkeys(_factor(word) for word in factors)]
    if adj not in (None, "qfq", "hfq"):
        raise BadParam(f"adj cannot be {adj!r}", hint="qfq, hfq or None")
    if anchor not in ("end", "latest"):
        raise BadParam(f"anchor cannot be {anchor!r}", hint="end or latest")
    if adj and asset not in ("E", "FD"):
        raise BadParam(f"bars of asset {asset} are not adjusted", hint="leave adj out")
    for window in ma:
        if isinstance(window, bool) or not isinstance(window, int) or not 1 <= window <= 10_000:
            raise BadParam(f"ma holds {str(window)[:40]!r}, which is no number of bars", hint="ma=[5, 20]")
    if len(ma) > 20:
        raise BadParam(f"ma holds {len(ma)} windows", hint="at most 20")
    _check_precision(precision)
    reads = data_sets(freq, asset, adj, basics)
    versions = dict(as_of or {})
    for word in versions:
        if word not in reads:
            raise BadParam(f"as_of names {word!r}; this call reads {' and '.join(reads)}")
    more = [*basics, *(f"{word}{window}" for window in dict.fromkeys(ma) for word in ("ma", "ma_v_"))]
    columns, own = _columns(name, fields, more)
    wanted: dict[str, Any] = {"ts_code": ts_code, "start_date": start_date, "end_date": end_date}
    minutes = {"freq": freq.lower()} if freq.upper() in _MINUTES else {}
    if not adj and not more:
        return answer(series, name, columns, {**wanted, **minutes, "as_of": versions.get(name)}).table

    def frame(of: str, which: Fields, **others: Any) -> pd.DataFrame:
        return answer(series, of, which, {**wanted, **others, "as_of": versions.get(of)}).table.to_pandas()

    bars = frame(name, interface(name).names, **minutes)
    if adj:
        # For the latest factor of all, the range must not end where the bars do.
        until = {"end_date": None} if anchor == "latest" else {}
        bars = adjust(bars, frame("adj_factor", None, **until), adj, precision)
    if basics:
        of_days = frame("daily_basic", ["ts_code", "trade_date", *basics])
        bars = bars.merge(of_days, how="left", on=["ts_code", "trade_date"])
    for window in dict.fromkeys(ma):
        bars[f"ma{window}"] = _mean(bars, "close", window, precision)
        bars[f"ma_v_{window}"] = _mean(bars, "vol", window, precision)
    schema = pa.schema([own.field(c) if c in own.names else pa.field(c, pa.float64()) for c in columns])
    return pa.Table.from_pandas(bars[columns], schema=schema, preserve_index=False).replace_schema_metadata()


def data_sets(freq: str = "D", asset: str = "E", adj: str | None = None, factors: Any = (), **_: Any) -> list[str]:
    """Return the data sets that a call reads, the bars first."""
    return [_bars(freq, asset), *(["adj_factor"] if adj else []), *(["daily_basic"] if factors else [])]


def read_words(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the words of a call that came as text or JSON; None and an empty text are not given.

    Raises
    ------
    BadParam
        If a value cannot be read.
    """
    words: dict[str, Any] = {k: v for k, v in parameters.items() if k in WORDS and v not in (None, "", [])}
    words.setdefault("ts_code", None)
    for name in ("freq", "asset", "adj", "anchor"):
        if not isinstance(words.get(name, ""), str):
            raise BadParam(f"{name} must be a text, not {words[name]!r}")
    if "precision" in words:
        text = str(words["precision"])
        words["precision"] = None if text == "full" else int(text) if text.isdecimal() and len(text) < 9 else text
    for name, kind in (("ma", int), ("factors", str)):
        if name in words:
            given = words[name].split(",") if isinstance(words[name], str) else words[name]
            if not isinstance(given, list | tuple):
                raise BadParam(f"{name} must be a list, not {words[name]!r}")
            words[name] = tuple(
                int(w) if kind is int and isinstance(w, str) and w.isdecimal() and len(w) < 9 else w for w in given
            )
    if isinstance(versions := words.get("as_of"), str):
        try:
            words["as_of"] = versions = json.loads(versions)
        except ValueError:
            versions = None
    if "as_of" in words and not isinstance(versions, dict):
        raise BadParam("as_of of pro_bar names a version for each data set", hint='{"daily": 1, "adj_factor": 1}')
    return words


def check_words(parameters: Mapping[str, Any]) -> None:
    """Raise `BadParam` with the nearest name if a parameter has no such name."""
    for name in parameters:
        if name not in WORDS:
            hint = nearest(name, WORDS) or f"known: {', '.join(WORDS)}, fields"
            raise BadParam(f"pro_bar has no parameter {name!r}", hint=hint)


def _bars(freq: str, asset: str) -> str:
    kind = "min" if freq.upper() in _MINUTES else freq.upper()
    name = _INTERFACES.get((asset, kind))
    known = sorted({a for a, k in _INTERFACES if k == kind})
    if not known:
        raise BadParam(f"freq cannot be {freq!r}", hint="D, W, M, 1min, 5min, 15min, 30min or 60min")
    if name is None:
        raise BadParam(f"there are no bars of asset {asset!r} with freq {freq}", hint=f"asset: {', '.join(known)}")
    if find(name) is None:
        raise BadParam(f"bars of asset {asset} with freq {freq} are {name}, which the catalogue does not have")
    return name


def _check_precision(precision: Any) -> None:
    whole = isinstance(precision, int) and not isinstance(precision, bool)
    if precision is not None and not (whole and 0 <= precision <= 15):
        raise BadParam(f"precision must be a whole number from 0 to 15, or None, not {str(precision)[:40]!r}")


def _factor(word: Any) -> str:
    if not isinstance(word, str) or word not in _FACTORS:
        raise BadParam(f"there is no factor {str(word)[:40]!r}", hint=f"known: {', '.join(_FACTORS)}")
    return _FACTORS[word]


def _columns(name: str, fields: Fields, more: list[str]) -> tuple[list[str], pa.Schema]:
    known = interface(name)
    words = fields.split(",") if isinstance(fields, str) else list(fields or [])
    columns = list(dict.fromkeys(w.strip() for w in words if w.strip())) or [*known.shown, *more]
    for column in columns:
        if column not in known.names and column not in more:
            raise UnknownColumn(name, column, [*known.names, *more])
    return columns, known.schema()


def _mean(bars: pd.DataFrame, name: str, window: int, precision: int | None) -> Any:
    """Return the mean of each bar and those before it; NaN where there are not enough."""
    oldest_first = bars[name][::-1].groupby(bars["ts_code"][::-1], sort=False)
    mean = oldest_first.rolling(window).mean().reset_index(level=0, drop=True)
    return rounded(mean.reindex(bars.index).to_numpy(np.float64), precision)
