"""What several threads make comes in order, and never more at once than memory should hold."""

import threading

import pytest

from veda.parallel import in_order

MIB = 1 << 20


def test_results_come_in_the_order_of_the_items():
    assert list(in_order(lambda n: n * n, range(100), lambda n: 1)) == [n * n for n in range(100)]


def test_no_more_is_made_ahead_than_a_quarter_of_a_gigabyte():
    made, most = [], 0
    lock = threading.Lock()

    def work(n):
        with lock:
            made.append(n)
        return n

    for taken, _ in enumerate(in_order(work, range(20), lambda n: 100 * MIB), 1):
        most = max(most, len(made) - taken)

    assert most <= 2


def test_one_item_that_is_larger_than_that_is_made_alone():
    assert list(in_order(lambda n: n, [1, 2], lambda n: 1024 * MIB)) == [1, 2]


def test_an_error_comes_in_its_turn_and_what_had_not_begun_is_not_done():
    made = []

    def work(n):
        made.append(n)
        if n == 3:
            raise ValueError("three")
        return n

    found = in_order(work, range(1000), lambda n: 1)

    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(found)
    assert len(made) < 20
