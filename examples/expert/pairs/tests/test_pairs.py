import numpy as np
import pytest
from pairs import Cointegration, Pairs


def simulated():
    """Two of the four series that statsmodels tests its `coint` on, against egranger of Stata."""
    rng = np.random.RandomState(123)
    wandering = rng.randn(200).cumsum()
    series = rng.randn(200, 4)
    series[:, :2] += wandering[:, None]
    return np.round(series + np.array([1, 0, 0.5, 0]), 4)


def test_statistic_and_critical_values_are_those_of_egranger_in_stata():
    series = simulated()

    found = Pairs(lags=4).test(series[:, 0], series[:, 1])

    assert found.statistic == pytest.approx(-5.760696844656, abs=1e-11)
    assert list(found.critical.values()) == pytest.approx([-3.952043522638, -3.367006313729, -3.065831247948], abs=1e-6)
    assert found.holds(0.01)


def test_critical_values_are_the_quantiles_of_pairs_that_share_nothing():
    rng = np.random.default_rng(1)
    y, x = (rng.standard_normal((60_000, 25)).cumsum(axis=1) for _ in range(2))
    y, x = y - y.mean(axis=1, keepdims=True), x - x.mean(axis=1, keepdims=True)
    e = y - ((x * y).sum(axis=1) / (x * x).sum(axis=1))[:, None] * x
    level, step = e[:, :-1], np.diff(e, axis=1)
    square = (level * level).sum(axis=1)
    slope = (level * step).sum(axis=1) / square
    rest = step - slope[:, None] * level
    statistics = slope / np.sqrt((rest * rest).sum(axis=1) / 23 / square)

    critical = Pairs().test(y[0], x[0]).critical

    for share, value in critical.items():
        assert np.mean(statistics < value) == pytest.approx(share, rel=0.07)
    assert Pairs().test(y[0], x[0]).statistic == pytest.approx(statistics[0], rel=1e-9)


def test_the_power_of_the_test_is_that_of_a_known_spread():
    rng = np.random.default_rng(8)
    x = rng.normal(size=2000).cumsum()
    spread = np.zeros(2000)
    for day in range(1, 2000):
        spread[day] = 0.9 * spread[day - 1] + rng.normal()

    found = Pairs(level=0.01).test(3 + 1.5 * x + spread, x)

    assert found.holds(0.01)
    assert found.hedge == pytest.approx(1.5, abs=0.05)
    assert found.half_life == pytest.approx(np.log(2) / -np.log(0.9), rel=0.15)
    assert found.deviation == pytest.approx(1 / np.sqrt(1 - 0.81), rel=0.1)


FITTED = Cointegration(2.0, 1.0, 0.5, -9.0, {0.01: -4.0, 0.05: -3.4, 0.1: -3.1}, 5.0)


def prices(distances):
    x = np.linspace(10, 11, len(distances))
    return 1 + 2 * x + 0.5 * np.array(distances), x


def test_a_position_is_opened_at_the_entry_held_to_the_exit_and_turned_at_the_other_entry():
    distances = [0.0, 1.9, 2.1, 1.0, 0.6, 0.4, -1.0, -2.5, -0.6, 2.2, 0.0]

    positions = Pairs(entry=2.0, exit=0.5).signal(*prices(distances), FITTED)

    assert positions.tolist() == [0, 0, -1, -1, -1, 0, 0, 1, 1, -1, 0]


def test_the_spread_counts_in_standard_deviations():
    np.testing.assert_allclose(Pairs().spread(*prices([0.5, -2.0]), FITTED), [0.5, -2.0], atol=1e-12)


def test_what_is_not_cointegrated_is_not_traded():
    loose = Cointegration(2.0, 1.0, 0.5, -3.2, FITTED.critical, 5.0)

    assert not Pairs(level=0.05).signal(*prices([3.0, -3.0]), loose).any()
    assert Pairs(level=0.1).signal(*prices([3.0, -3.0]), loose).tolist() == [-1.0, 1.0]


@pytest.mark.parametrize("parameters", [{"entry": 1, "exit": 1}, {"exit": -1}, {"level": 0.2}, {"lags": -1}], ids=str)
def test_parameters_without_meaning_are_refused(parameters):
    with pytest.raises(ValueError, match="must be"):
        Pairs(**parameters)


@pytest.mark.parametrize(
    ("y", "x", "message"),
    [
        ([1.0] * 20, [1.0] * 19, "equally long"),
        ([[1.0]] * 20, [[1.0]] * 20, "equally long"),
        ([1.0] * 9, [2.0] * 9, "10 days"),
        ([1.0] * 19 + [float("nan")], [2.0] * 20, "finite"),
        (list(range(20)), [2.0] * 20, "constant"),
        ([2.0 * n for n in range(20)], list(range(20)), "a line of x"),
    ],
)
def test_prices_without_meaning_are_refused(y, x, message):
    with pytest.raises(ValueError, match=message):
        Pairs().test(y, x)
