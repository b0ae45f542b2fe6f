"""A hedge ratio that moves in time, by a Kalman filter that knows nothing at the start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["HedgePath", "KalmanHedge"]


@dataclass(frozen=True)
class HedgePath:
    """What the filter knew after each day; NaN for the first days, which do not decide anything yet.

    Parameters
    ----------
    hedge, intercept : ndarray, shape (n_days,)
        The line after each day's prices; the intercept is 0 throughout where the model has none.
    variance : ndarray, shape (n_days, n_states, n_states)
        Of hedge ratio and intercept, in this order.
    error, error_variance : ndarray, shape (n_days,)
        How far y was from what the day before led to expect, and the variance of that.
    log_likelihood
        Of all days whose error has a variance (Durbin and Koopman 2012, section 7.2, diffuse).
    """

    hedge: NDArray[np.float64]
    intercept: NDArray[np.float64]
    variance: NDArray[np.float64]
    error: NDArray[np.float64]
    error_variance: NDArray[np.float64]
    log_likelihood: float


class KalmanHedge:
    """Follow the line ``y_t = intercept_t + hedge_t x_t + noise``, whose two numbers are random walks.

    Parameters
    ----------
    hedge_variance, intercept_variance
        Variance of a day's step of each random walk; 0 holds it fixed.
    noise_variance
        Variance of the noise, in the square of the unit of y. Only ratios of the three decide the line.
    intercept
        Whether there is one.

    Raises
    ------
    ValueError
        If a variance is negative or not finite, or `noise_variance` is 0.

    References
    ----------
    Kalman, R. E. (1960), A New Approach to Linear Filtering and Prediction Problems, Journal of Basic
    Engineering 82(1), 35-45.

    Durbin, J. and Koopman, S. J. (2012), Time Series Analysis by State Space Methods, 2nd edition,
    Oxford University Press, chapters 2 and 5.
    """

    def __init__(
        self,
        hedge_variance: float = 1e-5,
        intercept_variance: float = 1e-3,
        noise_variance: float = 1.0,
        intercept: bool = True,
    ) -> None:
        variances = (hedge_variance, intercept_variance, noise_variance)
        if not all(np.isfinite(v) and v >= 0 for v in variances) or noise_variance == 0:
            raise ValueError(f"variances must be 0 or more, and that of the noise more than 0, not {variances}")
        self.hedge_variance = hedge_variance
        self.intercept_variance = intercept_variance
        self.noise_variance = noise_variance
        self.intercept = intercept

    def filter(self, y: ArrayLike, x: ArrayLike) -> HedgePath:
        """Return what is known after each day of the line between two prices.

        The start is exactly diffuse: until the line is determined, the filter carries the inverse of
        the variance, which is 0 at first, and no day's error counts (Durbin and Koopman 2012, chapter 5).

        Parameters
        ----------
        y, x : array_like, shape (n_days,)
            Prices or their logarithms, oldest first.

        Raises
        ------
        ValueError
            If both are not equally long or not finite, or never determine a line.
        """
        left, right = np.asarray(y, dtype=np.float64), np.asarray(x, dtype=np.float64)
        if left.ndim != 1 or left.shape != right.shape:
            raise ValueError(f"y and x must be equally long series, not of shapes {left.shape} and {right.shape}")
        if not (np.all(np.isfinite(left)) and np.all(np.isfinite(right))):
            raise ValueError("y and x must be finite")
        if not len(left):
            raise ValueError("y and x never determine a line: they are empty")
        rows = np.column_stack([right, np.ones_like(right)]) if self.intercept else right[:, None]
        steps = np.diag([self.hedge_variance, self.intercept_variance][: rows.shape[1]])
        count, states = rows.shape
        means, variances = np.full((count, states), np.nan), np.full((count, states, states), np.nan)
        errors, error_variances = np.full(count, np.nan), np.full(count, np.nan)
        start, mean, variance = self._begin(left, rows, steps)
        means[start], variances[start] = mean, variance
        total = 0.0
        for day in range(start + 1, count):
            row = rows[day]
            variance = variance + steps
            spread = variance @ row
            error, error_variance = left[day] - row @ mean, row @ spread + self.noise_variance
            gain = spread / error_variance
            mean = mean + gain * error
            # Joseph's form: rounding leaves it symmetric and positive.
            rest = np.eye(states) - np.outer(gain, row)
            variance = rest @ variance @ rest.T + self.noise_variance * np.outer(gain, gain)
            total -= 0.5 * (np.log(2 * np.pi * error_variance) + error**2 / error_variance)
            means[day], variances[day], errors[day], error_variances[day] = mean, variance, error, error_variance
        intercepts = means[:, 1] if self.intercept else np.where(np.isnan(means[:, 0]), np.nan, 0.0)
        return HedgePath(means[:, 0], intercepts, variances, errors, error_variances, float(total))

    def signal(self, y: ArrayLike, x: ArrayLike) -> NDArray[np.float64]:
        """Return each day's surprise in standard deviations: above 0 y is dear against x, below it is cheap.

        Parameters
        ----------
        y, x : array_like, shape (n_days,)
            Prices or their logarithms, oldest first.

        Returns
        -------
        ndarray, shape (n_days,)
            NaN for the first days. Known at the day's close, from the line of the day before.
        """
        path = self.filter(y, x)
        result: NDArray[np.float64] = path.error / np.sqrt(path.error_variance)
        return result

    def _begin(
        self, y: NDArray[np.float64], rows: NDArray[np.float64], steps: NDArray[np.float64]
    ) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
        """Return the first day whose line is determined, with its mean and variance."""
        states = rows.shape[1]
        information, weighted = np.zeros((states, states)), np.zeros(states)
        # With information in the unit of each regressor, one bound tells whether it is singular.
        unit = np.sqrt(np.maximum(np.mean(rows**2, axis=0), np.finfo(float).tiny))
        for day, row in enumerate(rows):
            # (J^-1 + Q)^-1 = (1 + J Q)^-1 J holds in the limit of a singular J, too.
            carried = np.linalg.inv(np.eye(states) + information @ steps)
            information, weighted = carried @ information, carried @ weighted
            information = information + np.outer(row, row) / self.noise_variance
            weighted = weighted + row * y[day] / self.noise_variance
            scaled = information / np.outer(unit, unit)
            sizes = np.linalg.eigvalsh((scaled + scaled.T) / 2)
            if sizes[0] > 1e-12 * sizes[-1] > 0:
                variance = np.linalg.inv(information)
                return day, variance @ weighted, (variance + variance.T) / 2
        raise ValueError("y and x never determine a line: give more days, and an x that moves")
