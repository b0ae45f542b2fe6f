from __future__ import annotations

import sys
import time
from datetime import UTC, datetime

import pytest
from tests.faults.tools import clock

PRINT_CLOCKS = "import time; print(time.time(), time.monotonic())"


@pytest.mark.parametrize("skew", clock.SKEWS)
def test_the_wall_clock_is_wrong_and_the_monotonic_one_is_not(skew: float):
    wall, steady = time.time(), time.monotonic()

    with clock.skewed(skew):
        skewed_wall, skewed_date, skewed_steady = time.time(), datetime.now(UTC).timestamp(), time.monotonic()

    passed = time.monotonic() - steady
    assert skew <= skewed_wall - wall <= skew + passed
    assert skew <= skewed_date - wall <= skew + passed
    assert 0 <= skewed_steady - steady <= passed
    assert 0 <= time.time() - wall < passed + 1


def test_a_clock_can_leap_back_in_the_middle():
    with clock.skewed(0) as wall:
        before = time.time()
        wall.leap(-5)
        after = time.time()

    assert -5 <= after - before < -4


def test_a_process_of_its_own_gets_a_wrong_clock_too():
    if reason := clock.available():
        pytest.skip(reason)
    steady, wall = time.monotonic(), time.time()

    done = clock.run_skewed(-clock.DAY, [sys.executable, "-c", PRINT_CLOCKS])

    there, there_steady = map(float, done.stdout.split())
    passed = time.monotonic() - steady
    assert -clock.DAY - 1 <= there - wall <= -clock.DAY + passed + 1
    assert steady <= there_steady <= steady + passed
