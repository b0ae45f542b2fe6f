"""Pairs trading: two prices that wander together, by the test of Engle and Granger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Cointegration", "Pairs"]

# MacKinnon (2010), table 2, two variables and a constant: b0 + b1 / T + b2 / T^2 by level. For b2 at 1 % both -22.527
# (egranger of Stata) and -33.527 (statsmodels) are in use; three million simulated pairs of 25 prices
# have the quantile -4.393, for which the first says -4.392 and the second -4.411.
_SURFACE = {
    0.01: (-3.89644, -10.9519, -22.527),
    0.05: (-3.33613, -6.1101, -6.823),
    0.10: (-3.04445, -4.2412, -2.720),
}


@dataclass(frozen=True)
class Cointegration:
    """What the test of Engle and Granger says of two prices.

    Parameters
    ----------
    hedge, intercept
        Of the regression ``y = intercept + hedge * x``.
    deviation
        Standard deviation of its residuals, in the unit of y.
    statistic
        Of the Dickey-Fuller regression of the residuals; the lower, the less they wander.
    critical
        The statistic's quantile under no cointegration, by level.
    half_life
        Days in which half of a deviation is gone, infinite where none goes.
    """

    hedge: float
    intercept: float
    deviation: float
    statistic: float
    critical: dict[float, float]
    half_life: float

    def holds(self, level: float = 0.05) -> bool:
        """Tell whether no cointegration is rejected at `level`: 0.01, 0.05 or 0.1."""
        return self.statistic < self.critical[level]


class Pairs:
    """Trade the spread of two prices that are cointegrated: sell it when it is high, buy it when it is low.

    Parameters
    ----------
    entry, exit
        Distance from its mean, in standard deviations, at which a position is opened and closed.
    level
        Level of the test without which nothing is traded: 0.01, 0.05 or 0.1.
    lags
        Lagged differences in the Dickey-Fuller regression.

    Raises
    ------
    ValueError
        If not ``0 <= exit < entry``, `level` is no other number, and `lags` is not negative.

    References
    ----------
    Engle, R. F. and Granger, C. W. J. (1987), Co-Integration and Error Correction: Representation,
    Estimation, and Testing, Econometrica 55(2), 251-276.

    MacKinnon, J. G. (2010), Critical Values for Cointegration Tests, Queen's Economics Department
    Working Paper 1227.

    Gatev, E., Goetzmann, W. N. and Rouwenhorst, K. G. (2006), Pairs Trading: Performance of a
    Relative-Value Arbitrage Rule, Review of Financial Studies 19(3), 797-827.
    """

    def __init__(self, entry: float = 2.0, exit: float = 0.5, level: float = 0.05, lags: int = 0) -> None:
        if not 0 <= exit < entry:
            raise ValueError(f"exit must be from 0 to below entry, not {exit} with an entry of {entry}")
        if level not in _SURFACE:
            raise ValueError(f"level must be 0.01, 0.05 or 0.1, not {level}")
        if lags < 0:
            raise ValueError(f"lags must be 0 or more, not {lags}")
        self.entry = entry
        self.exit = exit
        self.level = level
        self.lags = lags

    def test(self, y: ArrayLike, x: ArrayLike) -> Cointegration:
        """Test whether ``y - hedge * x`` is stationary (Engle and Granger 1987), with a constant.

        The residuals e of the regression of y on x are regressed, without a constant, in
        ``de_t = r e_{t-1} + sum_i c_i de_{t-i} + u_t``; the statistic is the t value of r.

        Parameters
        ----------
        y, x : array_like, shape (n_days,)
            Prices or their logarithms, oldest first.

        Returns
        -------
        Cointegration
            With the critical values of MacKinnon (2010) for ``n_days - 1`` observations.

        Raises
        ------
        ValueError
            If both are not equally long, too short or not finite, or `y` is a line of `x`.
        """
        left, right = _prices(y, x, at_least=10 + 2 * self.lags)
        design = np.column_stack([np.ones_like(right), right])
        (intercept, hedge), _, rank, _ = np.linalg.lstsq(design, left, rcond=None)
        residuals = left - design @ np.array([intercept, hedge])
        if rank < 2:
            raise ValueError("x must not be constant")
        if residuals @ residuals <= 1e-20 * (left @ left):
            raise ValueError("y is a line of x, so there is no spread to trade")
        slope, statistic = _dickey_fuller(residuals, self.lags)
        size = len(left) - 1
        critical = {level: b0 + b1 / size + b2 / size**2 for level, (b0, b1, b2) in _SURFACE.items()}
        half_life = float(np.log(2) / -np.log1p(slope)) if -1 < slope < 0 else float("inf") if slope >= 0 else 0.0
        deviation = float(np.sqrt(residuals @ residuals / (len(left) - 2)))
        return Cointegration(float(hedge), float(intercept), deviation, statistic, critical, half_life)

    def spread(self, y: ArrayLike, x: ArrayLike, fitted: Cointegration) -> NDArray[np.float64]:
        """Return ``(y - intercept - hedge * x) / deviation``: how far apart the prices are, in standard deviations."""
        left, right = _prices(y, x, at_least=1)
        result: NDArray[np.float64] = (left - fitted.intercept - fitted.hedge * right) / fitted.deviation
        return result

    def signal(self, y: ArrayLike, x: ArrayLike, fitted: Cointegration) -> NDArray[np.float64]:
        """Return the position in the spread after each day's close.

        Fit on the past and give the days that follow: what was fitted on a day must not decide on it.

        Parameters
        ----------
        y, x : array_like, shape (n_days,)
            Prices, oldest first, in the unit that was fitted.
        fitted
            What `test` said of earlier days.

        Returns
        -------
        ndarray, shape (n_days,)
            1 (long y, short `hedge` of x), -1 or 0; all 0 where `fitted` is no cointegration at `level`.
        """
        spread = self.spread(y, x, fitted)
        positions = np.zeros(len(spread))
        if not fitted.holds(self.level):
            return positions
        held = 0.0
        for day, distance in enumerate(spread):
            if abs(distance) >= self.entry:
                held = -float(np.sign(distance))
            elif held and -held * distance <= self.exit:
                held = 0.0
            positions[day] = held
        return positions


def _dickey_fuller(series: NDArray[np.float64], lags: int) -> tuple[float, float]:
    """Return the coefficient of the level and its t value."""
    steps = np.diff(series)
    wanted = steps[lags:]
    columns = [series[lags:-1], *(steps[lags - i : len(steps) - i] for i in range(1, lags + 1))]
    design = np.column_stack(columns)
    orthogonal, triangle = np.linalg.qr(design)
    coefficients = np.linalg.solve(triangle, orthogonal.T @ wanted)
    errors = wanted - design @ coefficients
    variance = errors @ errors / (len(wanted) - len(columns))
    inverse = np.linalg.solve(triangle, np.eye(len(columns)))
    return float(coefficients[0]), float(coefficients[0] / np.sqrt(variance * (inverse[0] @ inverse[0])))


def _prices(y: ArrayLike, x: ArrayLike, at_least: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    left, right = np.asarray(y, dtype=np.float64), np.asarray(x, dtype=np.float64)
    if left.ndim != 1 or left.shape != right.shape:
        raise ValueError(f"y and x must be equally long series, not of shapes {left.shape} and {right.shape}")
    if len(left) < at_least:
        raise ValueError(f"{at_least} days or more are needed, not {len(left)}")
    if not (np.all(np.isfinite(left)) and np.all(np.isfinite(right))):
        raise ValueError("y and x must be finite")
    return left, right
