import re
from pathlib import Path

import numpy as np
import pytest
from momentum import Momentum

NAN = float("nan")


def test_the_best_positive_scores_share_the_whole_equally():
    # From day 0 to day 2: +10 %, +50 %, -20 %, +20 %. Day 3 is skipped.
    prices = [[10.0, 10.0, 10.0, 10.0], [1.0, 1.0, 1.0, 1.0], [11.0, 15.0, 8.0, 12.0], [99.0, 1.0, 99.0, 1.0]]

    weights = Momentum(lookback=3, skip=1, top=2).signal(prices)

    assert weights.tolist() == [0.0, 0.5, 0.0, 0.5]


def test_what_too_few_winners_leave_is_cash():
    prices = [[10.0, 10.0], [12.0, 9.0]]

    weights = Momentum(lookback=1, skip=0, top=4).signal(prices)

    assert weights.tolist() == [0.25, 0.0]


def test_only_the_window_before_the_last_row_counts():
    prices = [[1.0, 99.0], [10.0, 10.0], [11.0, 12.0]]

    assert Momentum(lookback=1, skip=0, top=1).signal(prices).tolist() == [0.0, 1.0]


def test_an_asset_without_full_history_is_not_held():
    prices = [[10.0, NAN], [11.0, 5.0], [12.0, 50.0]]

    assert Momentum(lookback=2, skip=0, top=1).signal(prices).tolist() == [1.0, 0.0]


def test_an_asset_whose_price_is_missing_on_the_last_day_is_not_held():
    prices = [[10.0, 10.0], [11.0, 20.0], [12.0, NAN]]

    assert Momentum(lookback=2, skip=1, top=1).signal(prices).tolist() == [1.0, 0.0]


def test_before_there_is_enough_history_all_is_cash():
    assert Momentum(lookback=2, skip=0).signal([[1.0, 2.0], [2.0, 3.0]]).tolist() == [0.0, 0.0]


def test_of_equal_scores_the_first_is_held():
    assert Momentum(lookback=1, skip=0, top=1).signal([[1.0, 1.0], [2.0, 2.0]]).tolist() == [1.0, 0.0]


def test_the_prices_of_the_caller_are_not_changed():
    prices = np.array([[1.0, NAN], [2.0, 2.0]])
    before = prices.copy()

    Momentum(lookback=1, skip=0).signal(prices)

    np.testing.assert_array_equal(prices, before)


def test_decisions_begin_with_the_first_full_window_and_recur():
    assert Momentum(lookback=126).rebalance_days(200).tolist() == [126, 147, 168, 189]
    assert Momentum(lookback=5, skip=1).rebalance_days(5).tolist() == []


@pytest.mark.parametrize("parameters", [{"skip": 126}, {"skip": -1}, {"lookback": 0, "skip": 0}, {"top": 0}], ids=str)
def test_parameters_without_meaning_are_refused(parameters):
    with pytest.raises(ValueError, match="must be"):
        Momentum(**parameters)


@pytest.mark.parametrize("prices", [[1.0, 2.0], [[1.0], [0.0]], [[1.0], [-2.0]], [[1.0], [float("inf")]]], ids=str)
def test_prices_without_meaning_are_refused(prices):
    with pytest.raises(ValueError, match="prices must"):
        Momentum(lookback=1, skip=0).signal(prices)


def test_a_decision_step_below_one_is_refused():
    with pytest.raises(ValueError, match="every"):
        Momentum().rebalance_days(300, every=0)


def test_the_example_of_the_readme_works():
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)

    exec(block, {})
