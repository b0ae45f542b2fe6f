"""The five units of the momentum flow, each a function from tables to tables.

Tables of prices and weights have one row a trading day, oldest first: ``trade_date`` (YYYYMMDD),
then one float column a share, NaN before it was listed.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

import exia
import kyrios
import ptolemy as pt

TRADING_DAYS = 252  # a year, to annualise
MAPPING = Path(__file__).with_name("bokeh-stocks.toml")  # all that the flow reads lies in its folder


def ingest() -> pa.Table:
    """Collect the sample bars; collecting what is there already changes nothing."""
    for written in pt.collect(sample_source()):
        kyrios.uses_dataset(
            name=written.dataset,
            version=str(written.version),
            rows=written.rows,
            first=written.first,
            last=written.last,
            digest=written.digest,
        )
    days = pt.api().daily(fields="ts_code,trade_date").groupby("ts_code")["trade_date"]
    table = days.agg(["min", "max", "count"]).sort_index()
    return pa.table(
        {
            "ts_code": pa.array(table.index.tolist(), pa.string()),
            "first": pa.array(table["min"].tolist(), pa.string()),
            "last": pa.array(table["max"].tolist(), pa.string()),
            "rows": pa.array(table["count"].tolist(), pa.int64()),
        }
    )


def adjust(listing: pa.Table, *, start_date: str, end_date: str) -> pa.Table:
    """Return closes with splits and dividends worked in, one column a share."""
    closes = {
        code: pt.pro_bar(ts_code=code, start_date=start_date, end_date=end_date, adj="hfq", precision=None)
        .set_index("trade_date")["close"]
        .sort_index()
        for code in listing["ts_code"].to_pylist()
    }
    days = sorted(set().union(*(series.index for series in closes.values())))
    columns = {code: pa.array(series.reindex(days).to_numpy(), pa.float64()) for code, series in closes.items()}
    return pa.table({"trade_date": pa.array(days, pa.string()), **columns})


def signals(prices: pa.Table, *, algorithm: str, lookback: int, skip: int, top: int, every: int) -> pa.Table:
    """Return one row of target weights for each decision day, computed by 8 threads on a pool of 4."""
    panel = _panel(prices)
    loaded = exia.load(algorithm)
    kyrios.uses_package(ref=algorithm, name=loaded.name, version=loaded.version, digest=loaded.digest)
    make = partial(loaded.factory, lookback=lookback, skip=skip, top=top)
    with exia.pool(make, max_size=4) as pool:
        with pool.lease() as momentum:
            decisions = [int(day) for day in momentum.rebalance_days(len(panel), every=every)]

        def decide(day: int) -> np.ndarray:
            with pool.lease() as momentum:
                return np.asarray(momentum.signal(panel[: day + 1]))

        with ThreadPoolExecutor(max_workers=8) as threads:
            weights = np.array(list(threads.map(decide, decisions))).reshape(len(decisions), panel.shape[1])
    dates = prices["trade_date"].take(pa.array(decisions, pa.int64())).combine_chunks()
    return pa.table({"trade_date": dates, **dict(zip(_codes(prices), map(pa.array, weights.T), strict=True))})


def backtest(prices: pa.Table, targets: pa.Table, *, cost_bps: int) -> pa.Table:
    """Return the value of one unit of money, with costs, against buying once and holding.

    A target that was decided at a day's close is traded at the next day's close, so that no price
    is used before it could be known. Between two decisions the holdings drift with the market.
    """
    dates, panel = prices["trade_date"].to_pylist(), _panel(prices)
    due = dict(zip(targets["trade_date"].to_pylist(), _panel(targets), strict=True))
    returns = np.nan_to_num(panel[1:] / panel[:-1] - 1)  # a share that was not listed earns nothing
    holdings, cash = np.zeros(panel.shape[1]), 1.0
    # Both begin with one unit on the first decision day, so that they are compared over the same days.
    start = next(i for i, date in enumerate(dates) if date in due) + 1
    listed = ~np.isnan(panel[start])
    held = listed / listed.sum() * (1 - cost_bps / 1e4)
    rows = [(dates[start - 1], 1.0, 1.0, 0.0)]
    for i in range(start, len(dates)):
        if i > start:
            holdings = holdings * (1 + returns[i - 1])
            held = held * (1 + returns[i - 1])
        turnover = 0.0
        target = due.get(dates[i - 1])
        if target is not None:
            value = cash + holdings.sum()
            traded = np.abs(target * value - holdings).sum()
            turnover = float(traded / value)
            value -= traded * cost_bps / 1e4
            holdings, cash = target * value, value * (1 - target.sum())
        rows.append((dates[i], float(cash + holdings.sum()), float(held.sum()), turnover))
    names = ("trade_date", "strategy", "buy_and_hold", "turnover")
    types = (pa.string(), pa.float64(), pa.float64(), pa.float64())
    return pa.table(
        {n: pa.array(column, t) for n, t, column in zip(names, types, zip(*rows, strict=True), strict=True)}
    )


def report(equity: pa.Table, targets: pa.Table) -> dict[str, pa.Table]:
    """Return the returns of each year, and the figures of the whole time."""
    dates = equity["trade_date"].to_pylist()
    curves = {name: equity[name].to_numpy() for name in ("strategy", "buy_and_hold")}
    years = sorted({date[:4] for date in dates})
    last = [max(i for i, date in enumerate(dates) if date[:4] == year) for year in years]
    yearly = {
        name: [float(curve[end] / curve[begin] - 1) for begin, end in pairwise([0, *last])]
        for name, curve in curves.items()
    }
    turnover = equity["turnover"].to_numpy()
    span = (len(dates) - 1) / TRADING_DAYS
    figures = {
        "total return": ("%", lambda c: 100 * (c[-1] / c[0] - 1)),
        "return a year": ("%", lambda c: 100 * ((c[-1] / c[0]) ** (1 / span) - 1)),
        "volatility a year": ("%", lambda c: 100 * _daily(c).std(ddof=1) * TRADING_DAYS**0.5),
        "Sharpe ratio": ("", lambda c: _daily(c).mean() / _daily(c).std(ddof=1) * TRADING_DAYS**0.5),
        "deepest drawdown": ("%", lambda c: 100 * float((c / np.maximum.accumulate(c) - 1).min())),
    }
    rows = [(name, unit, *(float(f(c)) for c in curves.values())) for name, (unit, f) in figures.items()]
    rows.append(("turnover a year", "x", float(turnover.sum() / span), 0.0))
    columns = zip(*rows, strict=True)
    return {
        "yearly": pa.table({"year": pa.array(years, pa.string()), **{n: pa.array(v) for n, v in yearly.items()}}),
        "summary": pa.table(
            dict(zip(("figure", "unit", "strategy", "buy_and_hold"), map(pa.array, columns), strict=True))
        ),
    }


def sample_source() -> str:
    """Return the URL of the real daily bars that the package ``bokeh_sampledata`` carries."""
    spec = find_spec("bokeh_sampledata")  # found, not imported: importing it parses all of its data
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the sample bars come with bokeh_sampledata: pip install 'jiyuan[demo]'")
    bars = Path(spec.origin).parent / "_data" / "stocks.csv.gz"
    return f"csv://{bars}?mapping={MAPPING}"


def _panel(table: pa.Table) -> np.ndarray:
    return np.column_stack([table[code].to_numpy() for code in _codes(table)])


def _codes(table: pa.Table) -> list[str]:
    return [name for name in table.column_names if name != "trade_date"]


def _daily(curve: np.ndarray) -> np.ndarray:
    return curve[1:] / curve[:-1] - 1
