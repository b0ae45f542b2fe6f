import itertools

import numpy as np
import pytest
from minimum_variance import MinimumVariance

# Ten securities of Markowitz and Todd (2000), as printed with their efficient frontier by Bailey, D. H. and
# Lopez de Prado, M. (2013), An Open-Source Implementation of the Critical-Line Algorithm, Algorithms 6(1), 169-196.
LOWER = """
0.40755159
0.03175842 0.90630470
0.05183923 0.03136385 0.19490901
0.05663904 0.02687256 0.04408485 0.19528471
0.03302260 0.01917172 0.03006772 0.02777345 0.34059105
0.00827775 0.00934384 0.01322738 0.00526665 0.00777055 0.15983874
0.02165938 0.02495043 0.03525971 0.01375808 0.02067844 0.02105575 0.68056711
0.01332419 0.00761036 0.01154930 0.00780878 0.00736409 0.00518686 0.01377882 0.95526918
0.03434760 0.02874874 0.04275630 0.02914176 0.02542657 0.01723737 0.04627027 0.01065530 0.31681584
0.02249903 0.01336866 0.02057303 0.01640377 0.01284075 0.00723779 0.01926088 0.00760955 0.01854318 0.11079287
"""
PUBLISHED = [
    0.03696858, 0.02690084, 0.09494243, 0.12577595, 0.07674608, 0.21935567, 0.02998710, 0.03596328, 0.06134984,
    0.29201023,
]  # fmt: skip


def markowitz():
    rows = [list(map(float, line.split())) for line in LOWER.split("\n") if line]
    lower = np.array([row + [0.0] * (10 - len(row)) for row in rows])
    return lower + np.tril(lower, -1).T


@pytest.mark.parametrize("long_only", [True, False])
def test_the_published_portfolio_of_ten_securities_is_found(long_only):
    model = MinimumVariance(long_only=long_only)

    weights = model.weights(markowitz())

    np.testing.assert_allclose(weights, PUBLISHED, atol=6e-9)
    assert np.sqrt(model.variance(weights, markowitz())) == pytest.approx(0.2052, abs=5e-5)


def test_two_assets_have_the_weights_of_the_textbook():
    # w1 = (s2^2 - r s1 s2) / (s1^2 + s2^2 - 2 r s1 s2)
    s1, s2, r = 0.2, 0.3, 0.4
    covariance = [[s1**2, r * s1 * s2], [r * s1 * s2, s2**2]]

    first = (s2**2 - r * s1 * s2) / (s1**2 + s2**2 - 2 * r * s1 * s2)

    np.testing.assert_allclose(MinimumVariance().weights(covariance), [first, 1 - first], rtol=1e-14)


def test_an_asset_that_would_be_sold_short_is_left_out():
    covariance = [[1.0, 1.8], [1.8, 4.0]]

    assert MinimumVariance(long_only=True).weights(covariance).tolist() == [1.0, 0.0]
    np.testing.assert_allclose(MinimumVariance(long_only=False).weights(covariance), [2.2 / 1.4, -0.8 / 1.4])


def test_no_choice_of_assets_does_better_long_only():
    rng = np.random.default_rng(11)
    for _ in range(40):
        factors = rng.normal(size=(6, 2)) + 0.7
        covariance = factors @ factors.T + np.diag(rng.uniform(0.01, 0.5, 6))
        model = MinimumVariance(long_only=True)
        weights = model.weights(covariance)

        best = min(
            _subset_variance(covariance, list(s)) for n in range(1, 7) for s in itertools.combinations(range(6), n)
        )

        assert weights.min() >= 0
        assert weights.sum() == pytest.approx(1, abs=1e-14)
        assert model.variance(weights, covariance) == pytest.approx(best, rel=1e-11)


def test_a_nearly_singular_covariance_gives_weights_or_is_refused_but_never_hangs():
    rng = np.random.default_rng(12)
    for power in range(4, 15):
        shared = rng.normal(size=(8, 3))
        covariance = shared @ shared.T + 10.0**-power * np.eye(8)
        try:
            weights = MinimumVariance().weights(covariance)
        except ValueError:  # it says that it cannot be inverted
            continue
        assert weights.min() >= 0
        assert weights.sum() == pytest.approx(1)


def _subset_variance(covariance, chosen):
    solution = np.linalg.solve(covariance[np.ix_(chosen, chosen)], np.ones(len(chosen)))
    return 1 / solution.sum() if solution.min() > 0 else np.inf


def test_the_intensity_of_shrinkage_is_that_of_ledoit_and_wolf():
    # By hand: S = diag(2, 1/2), m = 5/4, |S - mI|^2 = 9/16, b^2 = 17/32, so d = 17/18.
    returns = [[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]

    covariance = MinimumVariance().covariance(returns)

    np.testing.assert_allclose(covariance, np.diag([17 / 18 * 1.25 + 2 / 18, 17 / 18 * 1.25 + 0.5 / 18]), rtol=1e-14)


def test_fewer_days_than_assets_give_weights_where_the_covariance_is_shrunk():
    returns = np.random.default_rng(3).normal(size=(5, 20))

    assert MinimumVariance().signal(returns).sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="positive definite"):
        MinimumVariance(shrinkage=0.0).signal(returns)


def test_no_shrinkage_is_the_sample_covariance_and_all_of_it_gives_equal_weights():
    returns = np.random.default_rng(4).normal(size=(50, 4))

    np.testing.assert_allclose(MinimumVariance(shrinkage=0.0).covariance(returns), np.cov(returns.T, bias=True))
    np.testing.assert_allclose(MinimumVariance(shrinkage=1.0).signal(returns), [0.25] * 4)


def test_the_unit_of_returns_changes_no_weight():
    returns = np.random.default_rng(5).normal(size=(60, 5)) * 0.01

    np.testing.assert_allclose(MinimumVariance().signal(returns), MinimumVariance().signal(returns * 1e-9), rtol=1e-9)


@pytest.mark.parametrize(
    ("method", "value", "message"),
    [
        ("weights", [[1.0, 0.0]], "square"),
        ("weights", [[1.0, 0.5], [0.0, 1.0]], "symmetric"),
        ("weights", [[float("nan")]], "finite"),
        ("weights", [[1.0, 2.0], [2.0, 1.0]], "positive definite"),
        ("weights", [[0.0]], "positive definite"),
        ("covariance", [[1.0, 2.0]], "two days"),
        ("covariance", [1.0, 2.0], "two days"),
        ("covariance", [[1.0], [float("inf")]], "finite"),
    ],
)
def test_input_without_meaning_is_refused(method, value, message):
    with pytest.raises(ValueError, match=message):
        getattr(MinimumVariance(), method)(value)


def test_a_shrinkage_without_meaning_is_refused():
    with pytest.raises(ValueError, match="from 0 to 1"):
        MinimumVariance(shrinkage=1.5)
