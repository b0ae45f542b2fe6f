"""A fixed rate: when ticks are due, how late they are, and what becomes of those that were missed."""

from __future__ import annotations

import pytest

from kyrios.pace import Pace, Spread


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def pace(clock: Clock, overrun: str = "skip") -> Pace:
    return Pace(0.5, overrun, clock=clock, wall=lambda: clock.now + 1_000_000)


def numbers(pace: Pace, clock: Clock, takes: list[float]) -> list[tuple[int, int]]:
    """Run ticks that take so long, sleeping in between; return the number of each and for how many it stands."""
    found = []
    for seconds in takes:
        clock.now += max(0.0, pace.remaining())
        tick = pace.next()
        found.append((tick.number, tick.merged))
        clock.now += seconds
    return found


def test_ticks_lie_on_a_grid_and_lateness_does_not_add_up(clock):
    rate = pace(clock)

    dues = []
    for late in (0.0, 0.25, 0.0, 0.125):
        clock.now += max(0.0, rate.remaining()) + late
        tick = rate.next()
        dues.append((tick.due - 1_000_000, tick.late))

    assert dues == [(100.0, 0.0), (100.5, 0.25), (101.0, 0.0), (101.5, 0.125)]
    assert rate.late.longest == 0.25


@pytest.mark.parametrize(
    ("overrun", "expected", "skipped", "merged"),
    [
        ("skip", [(0, 1), (3, 1), (4, 1), (5, 1)], 2, 0),
        ("queue", [(0, 1), (1, 1), (2, 1), (3, 1)], 0, 0),
        ("merge", [(0, 1), (3, 3), (4, 1), (5, 1)], 0, 2),
    ],
)
def test_a_tick_that_takes_three_periods_costs_what_the_policy_says(clock, overrun, expected, skipped, merged):
    rate = pace(clock, overrun)

    assert numbers(rate, clock, [1.75, 0.0, 0.0, 0.0]) == expected
    assert (rate.skipped, rate.merged) == (skipped, merged)


def test_a_queue_does_not_grow_without_end(clock):
    rate = pace(clock, "queue")

    assert numbers(rate, clock, [1000.0, 0.0]) == [(0, 1), (1000, 1)]
    assert rate.skipped == 999


def test_another_rate_holds_from_the_next_tick_on(clock):
    rate = pace(clock)
    numbers(rate, clock, [0.0])

    rate.change(2.0, "skip")

    assert rate.remaining() == 2.0


def test_shares_of_what_was_counted_are_told_to_ten_microseconds():
    spread = Spread()
    for i in range(100):
        spread.add(i / 1000)

    assert spread.share(0.5) == pytest.approx(0.049, abs=2e-5)
    assert spread.share(0.99) == pytest.approx(0.098, abs=2e-5)
    assert spread.share(1) == 0.099
    spread.add(7.0)
    assert spread.share(1) == spread.longest == 7.0
    assert Spread().share(0.99) == 0.0
