from pathlib import Path

import numpy as np
import pytest
from factor_regression import FactorRegression

MACRO = np.loadtxt(Path(__file__).parents[1] / "data" / "us-macro.csv", delimiter=",", skiprows=1)

# Longley (1967), Journal of the American Statistical Association 62, 819-841: y, x1 ... x6. The certified values are
# those of the Statistical Reference Datasets of NIST, which are in the public domain; "higher level of difficulty".
LONGLEY = """
60323  83.0 234289 2356 1590 107608 1947
61122  88.5 259426 2325 1456 108632 1948
60171  88.2 258054 3682 1616 109773 1949
61187  89.5 284599 3351 1650 110929 1950
63221  96.2 328975 2099 3099 112075 1951
63639  98.1 346999 1932 3594 113270 1952
64989  99.0 365385 1870 3547 115094 1953
63761 100.0 363112 3578 3350 116219 1954
66019 101.2 397469 2904 3048 117388 1955
67857 104.6 419180 2822 2857 118734 1956
68169 108.4 442769 2936 2798 120445 1957
66513 110.8 444546 4681 2637 121950 1958
68655 112.6 482704 3813 2552 123366 1959
69564 114.2 502601 3931 2514 125368 1960
69331 115.7 518173 4806 2572 127852 1961
70551 116.9 554894 4007 2827 130081 1962
"""
CERTIFIED = (
    -3482258.63459582, 15.0618722713733, -0.358191792925910e-01, -2.02022980381683, -1.03322686717359,
    -0.511041056535807e-01, 1829.15146461355,
)  # fmt: skip
CERTIFIED_ERRORS = (
    890420.383607373, 84.9149257747669, 0.334910077722432e-01, 0.488399681651699, 0.214274163161675,
    0.226073200069370, 455.478499142212,
)  # fmt: skip


def growth(series):
    return 400 * np.diff(np.log(series))


def investment():
    """Growth of investment, and as its factors that of output and last quarter's real interest."""
    return growth(MACRO[:, 3]), np.column_stack([growth(MACRO[:, 2]), MACRO[:-1, 4]])


def test_least_squares_has_the_certified_values_of_longley():
    table = np.array([list(map(float, line.split())) for line in LONGLEY.split("\n") if line])

    fit = FactorRegression().fit(table[:, 0], table[:, 1:])

    np.testing.assert_allclose(fit.coefficients, CERTIFIED, rtol=1e-9)
    np.testing.assert_allclose(fit.plain_errors, CERTIFIED_ERRORS, rtol=1e-9)
    assert fit.r_squared == pytest.approx(0.995479004577296, rel=1e-12)
    assert np.sqrt(fit.residuals @ fit.residuals / 9) == pytest.approx(304.854073561965, rel=1e-10)


@pytest.mark.parametrize(
    ("options", "errors"),
    [
        # Stata, as the tests of statsmodels keep its output: newey g_realinv g_realgdp L.realint, lag(4)
        ({"lags": 4}, (1.1859338087713, 0.33125644884286, 0.29582347593197)),
        # ivreg2 g_realinv g_realgdp L.realint, robust bw(5)
        ({"lags": 4, "small_sample": False}, (1.1770944273439, 0.32878742225811, 0.29361854972141)),
        # regress g_realinv g_realgdp L.realint, vce(robust)
        ({"lags": 0}, (1.3690593206013, 0.32355452428856, 0.32772840315987)),
    ],
)
def test_errors_are_those_of_stata(options, errors):
    fit = FactorRegression(**options).fit(*investment())

    np.testing.assert_allclose(fit.coefficients, [-9.4816727746549, 4.3742216647032, -0.61399696947899], rtol=1e-11)
    np.testing.assert_allclose(fit.standard_errors, errors, rtol=1e-11)
    assert fit.r_squared == pytest.approx(0.6769775594319385, rel=1e-12)


def test_t_statistics_and_covariance_are_those_of_stata():
    fit = FactorRegression(lags=4).fit(*investment())

    np.testing.assert_allclose(fit.t_statistics, [-7.9951112823729, 13.204940401864, -2.0755518727668], rtol=1e-11)
    assert fit.covariance[0, 1] == pytest.approx(-0.31803287070833, rel=1e-11)


def test_the_number_of_lags_is_by_the_rule_of_newey_and_west():
    # 4 (202 / 100)^(2/9) = 4.68
    assert FactorRegression().fit(*investment()).lags == 4


def test_exposures_that_made_returns_are_found_without_the_intercept():
    rng = np.random.default_rng(1)
    factors = rng.normal(size=(5000, 2))
    returns = 0.02 + factors @ [1.1, -0.4] + rng.normal(size=5000) * 0.1

    model = FactorRegression()

    np.testing.assert_allclose(model.signal(returns, factors), [1.1, -0.4], atol=0.01)
    assert model.fit(returns, factors).coefficients[0] == pytest.approx(0.02, abs=0.01)


def test_errors_that_hang_together_widen_the_standard_errors():
    rng = np.random.default_rng(2)
    noise, factor = np.zeros((2, 3000))
    for day in range(1, 3000):
        noise[day], factor[day] = 0.9 * np.array([noise[day - 1], factor[day - 1]]) + rng.normal(size=2)

    fit = FactorRegression(lags=40).fit(noise + factor, factor)

    # For two such series the true ratio is sqrt((1 + 0.81) / (1 - 0.81)) = 3.09.
    assert 2.2 < fit.standard_errors[1] / fit.plain_errors[1] < 3.6


def test_without_an_intercept_the_line_goes_through_nothing():
    fit = FactorRegression(intercept=False, lags=0).fit([2.0, 4.0, 6.5], [1.0, 2.0, 3.0])

    assert fit.coefficients == pytest.approx([29.5 / 14])


@pytest.mark.parametrize(
    ("returns", "factors", "message"),
    [
        ([1.0, 2.0, 3.0], [[1.0], [2.0]], "same days"),
        ([[1.0]], [[1.0]], "same days"),
        ([1.0, float("nan"), 3.0], [1.0, 2.0, 3.0], "finite"),
        ([1.0, 2.0], [1.0, 2.0], "too few"),
        ([1.0] * 9, [5.0] * 9, "line of others"),
        ([1.0] * 9, [0.0] * 9, "0 on every day"),
    ],
)
def test_input_without_meaning_is_refused(returns, factors, message):
    with pytest.raises(ValueError, match=message):
        FactorRegression(lags=0).fit(returns, factors)


def test_lags_without_meaning_are_refused():
    with pytest.raises(ValueError, match="lags"):
        FactorRegression(lags=-1)
