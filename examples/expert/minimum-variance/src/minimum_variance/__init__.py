"""The portfolio of least variance: the one that needs no forecast of returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["MinimumVariance"]


class MinimumVariance:
    """Find the weights, summing to 1, whose portfolio varies least.

    Parameters
    ----------
    long_only
        Whether weights below 0 are forbidden.
    shrinkage
        How far the sample covariance is drawn to equal variances and no correlation, from 0 (not at
        all) to 1; None takes the intensity that Ledoit and Wolf (2004) prove optimal.

    Raises
    ------
    ValueError
        If `shrinkage` is not from 0 to 1.

    References
    ----------
    Merton, R. C. (1972), An Analytic Derivation of the Efficient Portfolio Frontier, Journal of
    Financial and Quantitative Analysis 7(4), 1851-1872.

    Ledoit, O. and Wolf, M. (2004), A Well-Conditioned Estimator for Large-Dimensional Covariance
    Matrices, Journal of Multivariate Analysis 88(2), 365-411.

    Lawson, C. L. and Hanson, R. J. (1974), Solving Least Squares Problems, chapter 23.
    """

    def __init__(self, long_only: bool = True, shrinkage: float | None = None) -> None:
        if shrinkage is not None and not 0 <= shrinkage <= 1:
            raise ValueError(f"shrinkage must be from 0 to 1, not {shrinkage}")
        self.long_only = long_only
        self.shrinkage = shrinkage

    def signal(self, returns: ArrayLike) -> NDArray[np.float64]:
        """Return the weights by the covariance of past returns.

        Parameters
        ----------
        returns : array_like, shape (n_days, n_assets)
            Simple returns, oldest first.

        Returns
        -------
        ndarray, shape (n_assets,)
            Weights that sum to 1.
        """
        return self.weights(self.covariance(returns))

    def weights(self, covariance: ArrayLike) -> NDArray[np.float64]:
        """Return the weights for a covariance.

        Without a bound they are ``C^-1 1 / (1' C^-1 1)`` (Merton 1972). Long only, with y the
        solution of ``min y'Cy / 2 - 1'y, y >= 0``, they are ``y / sum(y)``: both problems have the same
        conditions of Karush, Kuhn and Tucker up to that scale.

        Parameters
        ----------
        covariance : array_like, shape (n_assets, n_assets)
            Symmetric and positive definite.

        Returns
        -------
        ndarray, shape (n_assets,)
            Weights that sum to 1.

        Raises
        ------
        ValueError
            If `covariance` is not a symmetric, positive definite matrix of finite numbers.
        """
        matrix = np.asarray(covariance, dtype=np.float64)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
            raise ValueError(f"covariance must be a square matrix, not of shape {matrix.shape}")
        if not np.all(np.isfinite(matrix)) or not np.allclose(matrix, matrix.T, rtol=1e-8, atol=0):
            raise ValueError("covariance must be symmetric and finite")
        # Its unit changes no weight; an average variance of 1 lets one tolerance fit all.
        scaled = matrix / np.trace(matrix) * len(matrix) if np.trace(matrix) > 0 else matrix
        try:
            np.linalg.cholesky(scaled)
        except np.linalg.LinAlgError:
            raise ValueError("covariance must be positive definite: shrink it, or give more days than assets") from None
        solution = _nonnegative(scaled) if self.long_only else np.linalg.solve(scaled, np.ones(len(scaled)))
        result: NDArray[np.float64] = solution / solution.sum()
        return result

    def covariance(self, returns: ArrayLike) -> NDArray[np.float64]:
        """Return the shrunk covariance of returns: ``d m I + (1 - d) S``.

        S is the sample covariance with divisor n, m the mean of its diagonal and d the intensity: with
        ``|A|^2 = tr(A A') / n_assets``, Ledoit and Wolf (2004, section 3.3) take ``b^2 / |S - m I|^2``
        where ``b^2`` is ``sum_t |x_t x_t' - S|^2 / n^2``, at most the denominator.

        Parameters
        ----------
        returns : array_like, shape (n_days, n_assets)
            Simple returns, oldest first.

        Returns
        -------
        ndarray, shape (n_assets, n_assets)
            In the square of the unit of `returns`.

        Raises
        ------
        ValueError
            If `returns` is not a table of finite numbers with two days at least.
        """
        table = np.asarray(returns, dtype=np.float64)
        if table.ndim != 2 or len(table) < 2 or not table.shape[1]:
            raise ValueError(f"returns must be a table of two days or more, not of shape {table.shape}")
        if not np.all(np.isfinite(table)):
            raise ValueError("returns must be finite")
        n_days, n_assets = table.shape
        centred = table - table.mean(axis=0)
        sample = centred.T @ centred / n_days
        mean = np.trace(sample) / n_assets
        apart = np.sum((sample - mean * np.eye(n_assets)) ** 2) / n_assets
        intensity = self.shrinkage
        if intensity is None:
            # sum_t |x x' - S|^2 = sum_t (x'x)^2 - n |S|^2: no matrix a day is needed.
            fourth = np.sum(np.sum(centred**2, axis=1) ** 2)
            noise = (fourth - n_days * np.sum(sample**2)) / n_assets / n_days**2
            intensity = float(min(noise / apart, 1.0)) if apart > 0 else 0.0
        result: NDArray[np.float64] = intensity * mean * np.eye(n_assets) + (1 - intensity) * sample
        return result

    def variance(self, weights: ArrayLike, covariance: ArrayLike) -> float:
        """Return the variance ``w' C w`` of a portfolio, in the unit of `covariance`."""
        held = np.asarray(weights, dtype=np.float64)
        return float(held @ np.asarray(covariance, dtype=np.float64) @ held)


def _nonnegative(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Minimise ``y'Cy / 2 - 1'y`` over y >= 0 by the active set method of Lawson and Hanson."""
    count = len(matrix)
    solution, free = np.zeros(count), np.zeros(count, dtype=bool)
    # A slope that rounding makes must not free an asset again and again.
    tolerance = 1e-12 * count * max(1.0, float(np.abs(matrix).max()))
    for _ in range(10 * count):
        slope = 1 - matrix @ solution
        slope[free] = -np.inf
        if slope.max() <= tolerance:
            return solution
        free[np.argmax(slope)] = True
        while True:
            wanted = np.zeros(count)
            wanted[free] = np.linalg.solve(matrix[np.ix_(free, free)], np.ones(int(free.sum())))
            if np.all(wanted[free] > 0):
                solution = wanted
                break
            below = np.flatnonzero(free & (wanted <= 0))
            steps = solution[below] / (solution[below] - wanted[below])
            solution = np.maximum(solution + steps.min() * (wanted - solution), 0)
            solution[below[steps.argmin()]] = 0  # exactly, so that each turn frees one asset less
            free &= solution > 0
    raise ValueError("covariance is too near to singular to decide which assets to hold: shrink it")
