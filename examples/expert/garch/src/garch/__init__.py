"""GARCH(1,1): the variance of tomorrow from the surprise and the variance of today."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Garch", "GarchFit"]

NAMES = ("mu", "omega", "alpha", "beta")
_STARTS = ((0.05, 0.90), (0.10, 0.80), (0.15, 0.70), (0.03, 0.95), (0.20, 0.40))


@dataclass(frozen=True)
class GarchFit:
    """An estimated model.

    Parameters
    ----------
    mu, omega, alpha, beta
        Mean return, and the constant, the weight of the last surprise and of the last variance.
    standard_errors, robust_errors
        Of the four in this order: by the inverse Hessian, and after Bollerslev and Wooldridge (1992),
        which hold where returns are not normal too.
    log_likelihood
        Of all returns under a normal distribution, with its constant.
    variance : ndarray, shape (n_days,)
        Conditional variance of each day, known the day before, in the square of the unit of returns.
    next_variance
        That of the day after the last.
    """

    mu: float
    omega: float
    alpha: float
    beta: float
    standard_errors: tuple[float, float, float, float]
    robust_errors: tuple[float, float, float, float]
    log_likelihood: float
    variance: NDArray[np.float64]
    next_variance: float

    @property
    def persistence(self) -> float:
        """``alpha + beta``: the share of a shock to the variance that is left after a day."""
        return self.alpha + self.beta


class Garch:
    """Estimate ``r_t = mu + e_t`` with variance ``h_t = omega + alpha e_{t-1}^2 + beta h_{t-1}`` (Bollerslev 1986).

    What lies before the first day is the mean of the squared residuals. Gradient and Hessian are
    analytic (Fiorentini, Calzolari and Panattoni 1996), so the optimum is found to the last digits.

    Parameters
    ----------
    iterations
        Newton steps at most; some ten are usual.

    References
    ----------
    Bollerslev, T. (1986), Generalized Autoregressive Conditional Heteroskedasticity, Journal of
    Econometrics 31(3), 307-327.

    Fiorentini, G., Calzolari, G. and Panattoni, L. (1996), Analytic Derivatives and the Computation of
    GARCH Estimates, Journal of Applied Econometrics 11(4), 399-417.

    Bollerslev, T. and Wooldridge, J. M. (1992), Quasi-Maximum Likelihood Estimation and Inference in
    Dynamic Models with Time-Varying Covariances, Econometric Reviews 11(2), 143-172.
    """

    def __init__(self, iterations: int = 200) -> None:
        if iterations < 1:
            raise ValueError(f"iterations must be at least 1, not {iterations}")
        self.iterations = iterations

    def fit(self, returns: ArrayLike) -> GarchFit:
        """Return the estimates of maximum likelihood.

        Parameters
        ----------
        returns : array_like, shape (n_days,)
            Oldest first, in any unit; percent is usual.

        Raises
        ------
        ValueError
            If there are fewer than 50 days, they are not finite or all alike, or they show no such
            clusters of variance: then the optimum lies at the edge, where alpha or beta is 0 or both sum to 1.
        """
        series = _returns(returns, at_least=50)
        unit = float(series.std())
        if not unit > 1e-12 * np.abs(series).max():
            raise ValueError("returns must not be all alike")
        scaled = series / unit
        best = max((self._start(scaled, a, b) for a, b in _STARTS), key=lambda p: _score(p, scaled)[0])
        point = self._climb(best, scaled)
        scale = np.array([unit, unit**2, 1, 1])
        _, days, hessian, variance = _score(point, scaled)
        inverse = np.asarray(np.linalg.inv(-hessian), dtype=np.float64)
        robust: NDArray[np.float64] = inverse @ (days @ days.T) @ inverse
        mu, omega, alpha, beta = map(float, point * scale)
        variance = variance * unit**2
        return GarchFit(
            mu,
            omega,
            alpha,
            beta,
            _errors(inverse, scale),
            _errors(robust, scale),
            self.log_likelihood(series, mu, omega, alpha, beta),
            variance,
            float(omega + alpha * (series[-1] - mu) ** 2 + beta * variance[-1]),
        )

    def log_likelihood(self, returns: ArrayLike, mu: float, omega: float, alpha: float, beta: float) -> float:
        """Return the normal log-likelihood of returns under given parameters, minus infinity outside their bounds."""
        series = _returns(returns, at_least=1)
        point = np.array([mu, omega, alpha, beta])
        return _score(point, series)[0] - len(series) * 0.5 * float(np.log(2 * np.pi)) if _inside(point) else -np.inf

    def forecast(self, fitted: GarchFit, days: int = 1) -> NDArray[np.float64]:
        """Return the variances of the next `days` days: ``v + (alpha + beta)^(k-1) (h - v)``, v the long-run one.

        Returns
        -------
        ndarray, shape (days,)
            In the square of the unit of returns; the sum is that of the return over all days.

        Raises
        ------
        ValueError
            If `days` is less than 1.
        """
        if days < 1:
            raise ValueError(f"days must be at least 1, not {days}")
        long_run = fitted.omega / (1 - fitted.persistence)
        shares = np.power(fitted.persistence, np.arange(days, dtype=np.float64))
        result: NDArray[np.float64] = long_run + shares * (fitted.next_variance - long_run)
        return result

    def signal(self, returns: ArrayLike) -> float:
        """Return the volatility forecast for the day after the last, in the unit of returns."""
        return float(np.sqrt(self.fit(returns).next_variance))

    def _start(self, series: NDArray[np.float64], alpha: float, beta: float) -> NDArray[np.float64]:
        return np.array([series.mean(), (1 - alpha - beta) * series.var(), alpha, beta])

    def _climb(self, point: NDArray[np.float64], series: NDArray[np.float64]) -> NDArray[np.float64]:
        """Maximise by Newton's method; where the Hessian is not negative, along its gradient bent to it."""
        value, days, hessian, _ = _score(point, series)
        for _ in range(self.iterations):
            gradient: NDArray[np.float64] = days.sum(axis=1)
            sizes, axes = np.linalg.eigh(-hessian)
            step = axes @ ((axes.T @ gradient) / np.maximum(np.abs(sizes), 1e-8 * np.abs(sizes).max()))
            # What is still to be gained: below the last digits of the likelihood nothing moves any more.
            if gradient @ step < 1e-14 * len(series) and sizes[0] > 0:
                return point
            length = 1.0
            while length > 1e-12:
                trial: NDArray[np.float64] = point + length * step
                if _inside(trial):
                    found = _score(trial, series)
                    if found[0] >= value + 1e-4 * length * float(gradient @ step) - 1e-12 * abs(value):
                        break
                length /= 2
            else:
                break
            point, (value, days, hessian, _) = trial, found
        raise ValueError("the returns show no GARCH(1,1): the optimum lies at the edge of what the parameters may be")


def _inside(point: NDArray[np.float64]) -> bool:
    _, omega, alpha, beta = point
    return bool(np.all(np.isfinite(point)) and omega > 0 and alpha >= 0 and beta >= 0 and alpha + beta < 1)


def _score(
    point: NDArray[np.float64], series: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return log-likelihood (without its constant), its gradient day by day, its Hessian, and the variances.

    Each derivative of h follows the recursion of h itself, with another input: differentiate
    ``h_t = omega + alpha q_{t-1} + beta h_{t-1}``, where ``q = e^2`` and ``q_0 = h_0 = mean(q)``.
    """
    mu, omega, alpha, beta = map(float, point)
    errors = series - mu
    squares = errors**2
    past, ones = float(squares.mean()), np.ones_like(series)
    lagged = _after(past, squares)
    by_mu = _after(-2 * float(errors.mean()), -2 * errors)  # dq / dmu
    variance = _recursion(omega + alpha * lagged, beta, past)
    first = np.array(
        [
            _recursion(alpha * by_mu, beta, float(by_mu[0])),
            _recursion(ones, beta, 0.0),
            _recursion(lagged, beta, 0.0),
            _recursion(_after(past, variance), beta, 0.0),
        ]
    )
    starts = (float(by_mu[0]), 0.0, 0.0, 0.0)
    lags = np.array([_after(start, row) for start, row in zip(starts, first, strict=True)])
    second = np.zeros((4, 4, len(series)))
    second[0, 0] = _recursion(2 * alpha * ones, beta, 2.0)
    second[0, 2] = second[2, 0] = _recursion(by_mu, beta, 0.0)
    for i in range(3):
        second[i, 3] = second[3, i] = _recursion(lags[i], beta, 0.0)
    second[3, 3] = _recursion(2 * lags[3], beta, 0.0)

    value = -0.5 * float(np.sum(np.log(variance) + squares / variance))
    slope = -0.5 * (1 - squares / variance) / variance  # dl / dh
    days = slope * first
    days[0] += errors / variance
    bend = 0.5 * (1 - 2 * squares / variance) / variance**2  # d2l / dh2
    hessian = np.einsum("t,it,jt->ij", bend, first, first) + np.einsum("t,ijt->ij", slope, second)
    cross = first @ (-errors / variance**2)  # d2l / dh dmu, where mu is in q
    hessian[0] += cross
    hessian[:, 0] += cross
    hessian[0, 0] -= float(np.sum(1 / variance))
    return value, days, hessian, variance


def _recursion(inputs: NDArray[np.float64], beta: float, start: float) -> NDArray[np.float64]:
    """Return ``y_t = inputs_t + beta y_{t-1}`` with ``y_0 = start``."""
    found = accumulate(inputs.tolist(), lambda last, new: new + beta * last, initial=start)
    return np.array(list(found)[1:])


def _after(first: float, series: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([[first], series[:-1]])


def _errors(covariance: NDArray[np.float64], scale: NDArray[np.float64]) -> tuple[float, float, float, float]:
    mu, omega, alpha, beta = map(float, np.sqrt(np.diag(covariance)) * scale)
    return mu, omega, alpha, beta


def _returns(returns: ArrayLike, at_least: int) -> NDArray[np.float64]:
    series = np.asarray(returns, dtype=np.float64)
    if series.ndim != 1 or len(series) < at_least:
        raise ValueError(f"returns must be a series of {at_least} days or more, not of shape {series.shape}")
    if not np.all(np.isfinite(series)):
        raise ValueError("returns must be finite")
    return series
