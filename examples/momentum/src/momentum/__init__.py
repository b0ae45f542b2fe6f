"""Cross-sectional momentum with a rebalance rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Momentum"]


class Momentum:
    """Hold the assets that rose most over a past window, in equal parts; the rest is cash.

    Parameters
    ----------
    lookback
        Days from the start of the window to today.
    skip
        Days from the end of the window to today; the most recent month is usually left out,
        because returns reverse at such short distance.
    top
        How many assets to hold at most.

    Raises
    ------
    ValueError
        If not ``0 <= skip < lookback`` and ``top >= 1``.

    References
    ----------
    Jegadeesh, N. and Titman, S. (1993), Returns to Buying Winners and Selling Losers:
    Implications for Stock Market Efficiency, Journal of Finance 48(1), 65-91.
    """

    def __init__(self, lookback: int = 126, skip: int = 21, top: int = 2) -> None:
        if not 0 <= skip < lookback:
            raise ValueError(f"skip must be from 0 to lookback - 1, not {skip} with a lookback of {lookback}")
        if top < 1:
            raise ValueError(f"top must be at least 1, not {top}")
        self.lookback = lookback
        self.skip = skip
        self.top = top

    def signal(self, prices: ArrayLike) -> NDArray[np.float64]:
        """Return the target weights decided at the close of the last day.

        An asset's score is its return from `lookback` days ago to `skip` days ago. Assets that
        lack a price on any day since `lookback` days ago are left out. Of those with a positive
        score the `top` best share the whole equally, each with weight ``1 / top``; what fewer
        assets leave is cash. Of equal scores the asset that comes first is held.

        Parameters
        ----------
        prices : array_like, shape (n_days, n_assets)
            Adjusted closes, oldest first; NaN where an asset is not listed yet.

        Returns
        -------
        ndarray, shape (n_assets,)
            Weights from 0 to 1 that sum to at most 1; all zero while there are fewer than
            ``lookback + 1`` days.

        Raises
        ------
        ValueError
            If `prices` is not a table, or a price is not positive.
        """
        table = np.asarray(prices, dtype=np.float64)
        if table.ndim != 2:
            raise ValueError(f"prices must have two axes (days, assets), not {table.ndim}")
        weights = np.zeros(table.shape[1])
        if len(table) <= self.lookback:
            return weights
        window = table[len(table) - 1 - self.lookback :]
        if np.any(window <= 0) or np.any(np.isinf(window)):
            raise ValueError("prices must be positive and finite, or NaN")
        score = window[self.lookback - self.skip] / window[0] - 1
        score[np.isnan(window).any(axis=0)] = -np.inf
        best = np.argsort(-score, kind="stable")[: self.top]
        weights[best[score[best] > 0]] = 1 / self.top
        return weights

    def rebalance_days(self, n_days: int, every: int = 21) -> NDArray[np.int64]:
        """Return the rows on which to decide: the first with enough history, then each `every` days.

        Parameters
        ----------
        n_days
            Rows of the price table.
        every
            Days from one decision to the next; 21 trading days are about a month.

        Returns
        -------
        ndarray of int, shape (n_decisions,)
            Row indices, ascending; empty if there is too little history.

        Raises
        ------
        ValueError
            If `every` is less than 1.
        """
        if every < 1:
            raise ValueError(f"every must be at least 1, not {every}")
        return np.arange(self.lookback, n_days, every, dtype=np.int64)
