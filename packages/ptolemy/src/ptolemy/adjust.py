"""Adjust prices for splits and dividends at read time; adjusted prices are never stored."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ptolemy.errors import BadParam, NotFound

Adj = Literal["qfq", "hfq"]
PRICES = ("open", "high", "low", "close", "pre_close")

Floats = npt.NDArray[np.float64]


def adjust(bars: pd.DataFrame, factors: pd.DataFrame, adj: Adj, precision: int | None = 2) -> pd.DataFrame:
    """Return `bars` with adjusted prices, as Tushare's ``pro_bar`` makes them.

    ``hfq`` is price x factor; ``qfq`` is price x factor / the security's newest factor in `factors`.
    A day without a factor takes the one of the day before. ``change`` and ``pct_chg`` follow from the
    adjusted prices; ``vol`` and ``amount`` stay as they are.

    Parameters
    ----------
    bars
        Bars of one or more securities, newest first; those of minutes have a ``trade_time``.
    factors
        Columns ``ts_code``, ``trade_date`` and ``adj_factor``, newest first.
    adj
        ``"qfq"`` or ``"hfq"``.
    precision
        Decimals of prices, ``change`` and ``pct_chg``; None does not round.

    Raises
    ------
    NotFound
        If a security has no factor at all.
    """
    if adj not in ("qfq", "hfq"):
        raise BadParam(f"adj cannot be {adj!r}", hint="qfq, hfq or None")
    if precision is not None and (isinstance(precision, bool) or not isinstance(precision, int) or precision < 0):
        raise BadParam(f"precision must be a whole number from 0, or None, not {precision!r}")
    lacking = sorted(set(bars["ts_code"]) - set(factors["ts_code"]))
    if lacking:
        raise NotFound(
            f"there is no adj_factor of {', '.join(lacking)} in this range",
            hint="collect adj_factor, or ask without adj",
        )
    days = bars[["ts_code"]].assign(trade_date=_days(bars))
    daily = days.merge(factors, how="left", on=["ts_code", "trade_date"])
    # Newest first: the row below is the day before.
    factor = daily.groupby("ts_code", sort=False)["adj_factor"].bfill().to_numpy(np.float64)
    if adj == "qfq":
        newest = factors.drop_duplicates("ts_code").set_index("ts_code")["adj_factor"]
        factor_now = bars["ts_code"].map(newest).to_numpy(np.float64)
    adjusted = bars.copy()
    for name in (n for n in PRICES if n in bars):
        prices = bars[name].to_numpy(np.float64) * factor
        adjusted[name] = rounded(prices / factor_now if adj == "qfq" else prices, precision)
    if "pre_close" not in bars:
        return adjusted
    change = adjusted["close"].to_numpy(np.float64) - adjusted["pre_close"].to_numpy(np.float64)
    adjusted["change"] = rounded(change, precision)
    adjusted["pct_chg"] = rounded(change / adjusted["pre_close"].to_numpy(np.float64) * 100, precision)
    return adjusted


def _days(bars: pd.DataFrame) -> pd.Series[str]:
    if "trade_date" in bars:
        return bars["trade_date"]
    return bars["trade_time"].str.slice(0, 10).str.replace("-", "")


def rounded(values: Floats, precision: int | None) -> Floats:
    """Round as ``"%.2f"`` does: by the exact value of the float, not by that of the float times 100."""
    if precision is None:
        return values
    result: Floats = np.round(values, precision)
    scaled = np.abs(values) * 10.0**precision
    # Only beside a half can the two ways differ, and those few are rounded one by one.
    for i in np.flatnonzero(np.abs(scaled - np.floor(scaled) - 0.5) < 1e-6):
        result[i] = round(float(values[i]), precision)
    return result
