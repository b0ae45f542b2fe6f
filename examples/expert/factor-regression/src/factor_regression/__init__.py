"""What moves a return: its exposures to factors, with errors that stay right when days are not alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["FactorFit", "FactorRegression"]


@dataclass(frozen=True)
class FactorFit:
    """An estimated regression; where there is an intercept it is first in each array.

    Parameters
    ----------
    coefficients : ndarray, shape (n_coefficients,)
        The intercept (alpha, in the unit of returns a day), then the exposures.
    covariance : ndarray, shape (n_coefficients, n_coefficients)
        Of the coefficients, after Newey and West.
    plain_errors : ndarray, shape (n_coefficients,)
        Standard errors of ordinary least squares, right only where errors are alike and independent.
    residuals : ndarray, shape (n_days,)
        What the factors do not explain.
    r_squared
        Share of the variance that they do.
    lags
        How many were taken into account.
    """

    coefficients: NDArray[np.float64]
    covariance: NDArray[np.float64]
    plain_errors: NDArray[np.float64]
    residuals: NDArray[np.float64]
    r_squared: float
    lags: int

    @property
    def standard_errors(self) -> NDArray[np.float64]:
        """Standard errors after Newey and West, shape (n_coefficients,)."""
        result: NDArray[np.float64] = np.sqrt(np.diag(self.covariance))
        return result

    @property
    def t_statistics(self) -> NDArray[np.float64]:
        """Coefficients divided by their standard errors, shape (n_coefficients,)."""
        return self.coefficients / self.standard_errors


class FactorRegression:
    """Regress returns on factors by least squares, with the standard errors of Newey and West (1987).

    Parameters
    ----------
    lags
        Days over which errors may hang together; None takes ``4 (n / 100)^(2/9)``, rounded down
        (Newey and West 1994). 0 gives the errors of White (1980).
    intercept
        Whether there is one: the return that no factor explains.
    small_sample
        Whether the covariance is multiplied by ``n / (n - k)``, as ``newey`` of Stata does.

    Raises
    ------
    ValueError
        If `lags` is negative.

    References
    ----------
    Newey, W. K. and West, K. D. (1987), A Simple, Positive Semi-Definite, Heteroskedasticity and
    Autocorrelation Consistent Covariance Matrix, Econometrica 55(3), 703-708.

    Newey, W. K. and West, K. D. (1994), Automatic Lag Selection in Covariance Matrix Estimation,
    Review of Economic Studies 61(4), 631-653.

    White, H. (1980), A Heteroskedasticity-Consistent Covariance Matrix Estimator and a Direct Test for
    Heteroskedasticity, Econometrica 48(4), 817-838.
    """

    def __init__(self, lags: int | None = None, intercept: bool = True, small_sample: bool = True) -> None:
        if lags is not None and lags < 0:
            raise ValueError(f"lags must be 0 or more, not {lags}")
        self.lags = lags
        self.intercept = intercept
        self.small_sample = small_sample

    def fit(self, returns: ArrayLike, factors: ArrayLike) -> FactorFit:
        """Estimate the exposures.

        Columns are scaled and decomposed by QR, never squared, so that nearly collinear factors cost
        few digits.

        Parameters
        ----------
        returns : array_like, shape (n_days,)
            Oldest first.
        factors : array_like, shape (n_days, n_factors)
            Of the same days; one factor may be a plain series.

        Raises
        ------
        ValueError
            If the shapes do not fit, numbers are not finite, there are no more days than coefficients
            or than lags, or a factor is a line of others.
        """
        wanted = np.asarray(returns, dtype=np.float64)
        table = np.asarray(factors, dtype=np.float64)
        table = table[:, None] if table.ndim == 1 else table
        if wanted.ndim != 1 or table.ndim != 2 or len(table) != len(wanted) or not table.shape[1]:
            raise ValueError(
                f"returns and factors must have the same days, not shapes {wanted.shape} and {table.shape}"
            )
        if not (np.all(np.isfinite(wanted)) and np.all(np.isfinite(table))):
            raise ValueError("returns and factors must be finite")
        design = np.column_stack([np.ones(len(wanted)), table]) if self.intercept else table
        count, width = design.shape
        lags = int(4 * (count / 100) ** (2 / 9)) if self.lags is None else self.lags
        if count <= max(width, lags):
            raise ValueError(f"{count} days are too few for {width} coefficients and {lags} lags")
        scale = np.linalg.norm(design, axis=0)
        if np.any(scale == 0):
            raise ValueError("a factor is 0 on every day")
        orthogonal, triangle = np.linalg.qr(design / scale)
        if np.abs(np.diag(triangle)).min() < 1e-12:
            raise ValueError("a factor is a line of others, so exposures cannot be told apart")
        inverse = np.linalg.solve(triangle, np.eye(width)) / scale[:, None]  # so that (X'X)^-1 = inverse inverse'
        coefficients = inverse @ (orthogonal.T @ wanted)
        # One step of refinement: what rounding left in the residuals is explained once more.
        coefficients = coefficients + inverse @ (orthogonal.T @ (wanted - design @ coefficients))
        residuals = wanted - design @ coefficients
        rest = float(residuals @ residuals)
        around = wanted - wanted.mean() if self.intercept else wanted
        total = float(around @ around)
        plain = np.sqrt(rest / (count - width) * np.sum(inverse**2, axis=1))
        covariance = _newey_west(inverse @ orthogonal.T * residuals, lags)
        covariance = covariance * (count / (count - width)) if self.small_sample else covariance
        share = 1 - rest / total if total > 0 else 0.0
        return FactorFit(coefficients, covariance, plain, residuals, share, lags)

    def signal(self, returns: ArrayLike, factors: ArrayLike) -> NDArray[np.float64]:
        """Return the exposures to the factors, without the intercept, shape (n_factors,)."""
        return self.fit(returns, factors).coefficients[1 if self.intercept else 0 :]


def _newey_west(scores: NDArray[np.float64], lags: int) -> NDArray[np.float64]:
    """Return ``sum_l w_l (G_l + G_l')`` with the weights ``w_l = 1 - l / (lags + 1)`` of Bartlett.

    `scores`, of shape (n_coefficients, n_days), are the rows of ``(X'X)^-1 X'`` times the residuals.
    """
    result: NDArray[np.float64] = scores @ scores.T
    for lag in range(1, lags + 1):
        product = scores[:, lag:] @ scores[:, :-lag].T
        result = result + (1 - lag / (lags + 1)) * (product + product.T)
    return result
