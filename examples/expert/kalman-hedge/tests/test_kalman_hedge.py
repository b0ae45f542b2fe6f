from pathlib import Path

import numpy as np
import pytest
from kalman_hedge import KalmanHedge

NILE = np.loadtxt(Path(__file__).parents[1] / "data" / "nile.csv", delimiter=",", skiprows=1)[:, 1]


def local_level():
    # With x = 1 and no intercept the hedge ratio is the level of Durbin and Koopman (2012), chapter 2, whose estimates
    # for the Nile are 15099 and 1469.1.
    model = KalmanHedge(hedge_variance=1469.1, noise_variance=15099.0, intercept=False)
    return model.filter(NILE, np.ones_like(NILE))


def test_the_level_of_the_nile_is_that_of_durbin_and_koopman():
    path = local_level()

    # Their figures 2.1 and 2.2 and section 2.2.5: the variance falls to 4032.158, the Kalman gain to 0.2670.
    assert path.variance[-1, 0, 0] == pytest.approx(4032.158, abs=5e-4)
    assert (path.variance[-1, 0, 0] / 15099) == pytest.approx(0.2670, abs=5e-5)
    # As `logLik` of the R package KFAS prints it; levels by UnobservedComponents of statsmodels 0.15, exactly diffuse.
    assert path.log_likelihood == pytest.approx(-632.5456, abs=5e-5)
    assert path.hedge[[0, 1, -1]] == pytest.approx([1120.0, 1140.92783993, 798.37029261], abs=1e-8)


def test_the_variance_settles_where_riccati_says():
    # P = (q + sqrt(q^2 + 4 q r)) / 2 before a day's price, P r / (P + r) after it.
    q, r = 1469.1, 15099.0
    before = (q + np.sqrt(q**2 + 4 * q * r)) / 2

    assert local_level().variance[-1, 0, 0] == pytest.approx(before * r / (before + r), rel=1e-10)


def test_a_line_that_never_moves_is_that_of_least_squares_on_every_day():
    rng = np.random.default_rng(2)
    x = 100 + rng.normal(size=200).cumsum()
    y = 3 + 0.8 * x + rng.normal(size=200) * 0.5
    path = KalmanHedge(hedge_variance=0, intercept_variance=0, noise_variance=0.25).filter(y, x)

    for day in (1, 2, 10, 199):
        design = np.column_stack([x[: day + 1], np.ones(day + 1)])
        hedge, intercept = np.linalg.lstsq(design, y[: day + 1], rcond=None)[0]
        assert path.hedge[day] == pytest.approx(hedge, rel=1e-7)
        assert path.intercept[day] == pytest.approx(intercept, rel=1e-5, abs=1e-5)
    expected = 0.25 * np.linalg.inv(design.T @ design)
    np.testing.assert_allclose(path.variance[-1], expected, rtol=1e-6)


def test_errors_are_as_large_as_the_model_expects():
    rng = np.random.default_rng(5)
    x = 50 + rng.normal(size=4000).cumsum()
    hedge, intercept = 1 + 0.003 * rng.normal(size=4000).cumsum(), 2 + 0.05 * rng.normal(size=4000).cumsum()
    y = intercept + hedge * x + rng.normal(size=4000)

    model = KalmanHedge(hedge_variance=0.003**2, intercept_variance=0.05**2, noise_variance=1.0)
    surprise = model.signal(y, x)[2:]

    assert np.mean(surprise**2) == pytest.approx(1, abs=0.08)
    assert abs(np.corrcoef(surprise[1:], surprise[:-1])[0, 1]) < 0.04
    assert np.mean(np.abs(model.filter(y, x).hedge[100:] - hedge[100:])) < 0.05


def test_nothing_is_said_before_the_line_is_determined():
    path = KalmanHedge().filter([1.0, 2.0, 3.0, 5.0], [4.0, 4.0, 5.0, 6.0])

    assert np.isnan(path.hedge[:2]).all()
    assert np.isfinite(path.hedge[2:]).all()
    assert np.isnan(path.error[:3]).all()
    assert np.isfinite(path.error[3])


def test_only_ratios_of_the_variances_decide_the_line():
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(2, 100)).cumsum(axis=1) + 20

    one = KalmanHedge(1e-4, 1e-2, 1.0).filter(y, x)
    other = KalmanHedge(1e-10, 1e-8, 1e-6).filter(y, x)

    np.testing.assert_allclose(one.hedge[2:], other.hedge[2:], rtol=1e-6)
    np.testing.assert_allclose(one.variance[2:], other.variance[2:] * 1e6, rtol=1e-5)


@pytest.mark.parametrize(
    "parameters", [{"hedge_variance": -1}, {"noise_variance": 0}, {"intercept_variance": float("inf")}], ids=str
)
def test_variances_without_meaning_are_refused(parameters):
    with pytest.raises(ValueError, match="variances must"):
        KalmanHedge(**parameters)


@pytest.mark.parametrize(
    ("y", "x", "message"),
    [
        ([1.0, 2.0], [1.0], "equally long"),
        ([1.0, float("nan")], [1.0, 2.0], "finite"),
        ([1.0, 2.0, 3.0], [5.0, 5.0, 5.0], "never determine"),
        ([], [], "never determine"),
    ],
)
def test_prices_without_meaning_are_refused(y, x, message):
    with pytest.raises(ValueError, match=message):
        KalmanHedge(hedge_variance=0, intercept_variance=0).filter(y, x)
