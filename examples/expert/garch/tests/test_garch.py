from pathlib import Path

import numpy as np
import pytest
from garch import Garch

RETURNS = np.loadtxt(Path(__file__).parents[1] / "data" / "dem-gbp.csv", skiprows=1)

# The benchmark of Fiorentini, Calzolari and Panattoni (1996), by which others judge: McCullough and Renfro (1999),
# Journal of Economic and Social Measurement 25, 59-71; Brooks, Burke and Persand (2001), International Journal of
# Forecasting 17, 45-56. In the order of mu, omega, alpha, beta.
ESTIMATES = (-0.00619041, 0.0107613, 0.153134, 0.805974)
HESSIAN_ERRORS = (0.00846212, 0.00285271, 0.0265228, 0.0335527)
ROBUST_ERRORS = (0.00918935, 0.00649319, 0.0535317, 0.0724614)


@pytest.fixture(scope="module")
def fitted():
    return Garch().fit(RETURNS)


def estimates(fit):
    return np.array([fit.mu, fit.omega, fit.alpha, fit.beta])


def test_the_published_benchmark_is_met_to_five_digits(fitted):
    # Six are printed; the returns here are rounded to six decimals, which moves the sixth.
    np.testing.assert_allclose(estimates(fitted), ESTIMATES, rtol=1e-5)
    np.testing.assert_allclose(fitted.standard_errors, HESSIAN_ERRORS, rtol=1e-5)
    np.testing.assert_allclose(fitted.robust_errors, ROBUST_ERRORS, rtol=1e-5)
    assert fitted.log_likelihood == pytest.approx(-1106.6079, abs=5e-5)


def test_no_point_nearby_is_more_likely(fitted):
    best = estimates(fitted)
    for index in range(4):
        for step in (1e-4, -1e-4):
            moved = best.copy()
            moved[index] *= 1 + step
            assert Garch().log_likelihood(RETURNS, *moved) < fitted.log_likelihood


def test_errors_are_those_of_the_curvature_of_the_likelihood(fitted):
    best, steps = estimates(fitted), np.array([1e-4, 1e-5, 1e-4, 1e-4])

    def value(shift):
        return Garch().log_likelihood(RETURNS, *(best + shift))

    hessian = np.zeros((4, 4))
    for i in range(4):
        for j in range(4):
            a, b = np.eye(4)[i] * steps, np.eye(4)[j] * steps
            hessian[i, j] = (value(a + b) - value(a - b) - value(b - a) + value(-a - b)) / (4 * steps[i] * steps[j])

    np.testing.assert_allclose(np.sqrt(np.diag(np.linalg.inv(-hessian))), fitted.standard_errors, rtol=1e-3)


def test_the_likelihood_of_three_days_is_that_of_a_hand():
    # Mean 0, so q_0 = h_0 = (1 + 4 + 1) / 3 = 2; h = 0.1 + 0.2 q + 0.5 h: 1.5, 1.05, 1.425.
    h = np.array([1.5, 1.05, 1.425])
    expected = -0.5 * np.sum(np.log(2 * np.pi * h) + np.array([1, 4, 1]) / h)

    assert Garch().log_likelihood([1.0, -2.0, 1.0], 0, 0.1, 0.2, 0.5) == pytest.approx(expected, rel=1e-14)
    assert Garch().log_likelihood([1.0, -2.0, 1.0], 0, 0.1, 0.6, 0.5) == -np.inf


def test_variances_follow_the_recursion_and_the_forecast_goes_on_from_them(fitted):
    _, omega, alpha, beta = estimates(fitted)
    squares = (RETURNS - fitted.mu) ** 2

    np.testing.assert_allclose(
        fitted.variance[1:], omega + alpha * squares[:-1] + beta * fitted.variance[:-1], rtol=1e-10
    )
    ahead = Garch().forecast(fitted, 3)
    assert ahead[0] == pytest.approx(omega + alpha * squares[-1] + beta * fitted.variance[-1])
    assert ahead[1:] == pytest.approx(omega + fitted.persistence * ahead[:-1])
    assert Garch().forecast(fitted, 5000)[-1] == pytest.approx(omega / (1 - fitted.persistence))
    assert Garch().signal(RETURNS) == pytest.approx(np.sqrt(ahead[0]))


def test_the_unit_of_returns_changes_nothing_but_the_unit(fitted):
    scaled = Garch().fit(RETURNS * 1e-4)

    assert (scaled.alpha, scaled.beta) == pytest.approx((fitted.alpha, fitted.beta), rel=1e-7)
    assert scaled.omega == pytest.approx(fitted.omega * 1e-8, rel=1e-7)


def test_parameters_that_made_a_series_are_found_within_their_errors():
    rng = np.random.default_rng(17)
    variance, error, returns = 1.0, 0.0, []
    for _ in range(6000):
        variance = 0.05 + 0.08 * error**2 + 0.87 * variance
        error = np.sqrt(variance) * rng.normal()
        returns.append(0.1 + error)

    fit = Garch().fit(returns)

    assert np.all(np.abs(estimates(fit) - [0.1, 0.05, 0.08, 0.87]) < 3 * np.array(fit.standard_errors))


def test_returns_without_clusters_are_refused():
    with pytest.raises(ValueError, match=r"show no GARCH\(1,1\)"):
        Garch().fit(np.random.default_rng(0).normal(size=500))


@pytest.mark.parametrize(
    ("returns", "message"),
    [
        ([1.0] * 49, "50 days"),
        ([[1.0]] * 60, "50 days"),
        ([1.0] * 60, "all alike"),
        ([1.0, -1.0] * 30 + [float("nan")], "finite"),
    ],
)
def test_returns_without_meaning_are_refused(returns, message):
    with pytest.raises(ValueError, match=message):
        Garch().fit(returns)


def test_numbers_without_meaning_are_refused(fitted):
    with pytest.raises(ValueError, match="iterations"):
        Garch(iterations=0)
    with pytest.raises(ValueError, match="days"):
        Garch().forecast(fitted, 0)
