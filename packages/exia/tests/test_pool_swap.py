"""A pool's version is replaced while it lends: nothing is lost, and a bad version does not get in."""

from __future__ import annotations

import threading

import pytest

import exia
from exia.errors import BadInput, Conflict, PoolClosed, RefNotFound, SwapRefused, SwapUnderWay, WrongArguments


class One:
    version = 1

    def signal(self):
        return self.version


class Two(One):
    version = 2


class Fails(One):
    """Made without complaint, and every call fails."""

    version = 3

    def signal(self):
        raise ValueError("broken")


class Invalid:
    def make(self):
        return Two()

    def validate(self, obj):
        return False


def unmakeable():
    raise OSError("no licence")


def call(pool, n=1):
    """Call `signal` n times; return what came back, errors as their class."""
    results = []
    for _ in range(n):
        try:
            with pool.lease() as obj:
                results.append(obj.signal())
        except ValueError as exc:
            results.append(type(exc))
    return results


def until(condition):
    tick = threading.Event()
    for _ in range(10_000):
        if condition():
            return
        tick.wait(0.001)
    raise AssertionError("it never came true")


def test_new_leases_get_the_new_version_and_running_ones_end_on_the_old():
    with exia.pool(One, max_size=2) as pool:
        old = pool.acquire()

        swap = pool.swap(Two)

        assert (swap.old, swap.new, swap.state, pool.version) == ("One", "Two", "watching", "Two")
        assert call(pool, 3) == [2, 2, 2]
        assert old.call("signal") == 1
        old.release()
        assert call(pool) == [2]


def test_as_many_new_objects_are_ready_as_there_were_old_ones():
    with exia.pool(One, max_size=4) as pool:
        leases = [pool.acquire() for _ in range(3)]
        for lease in leases:
            lease.release()

        pool.swap(Two, watch=0)

        assert (pool.stats().idle, pool.stats().created) == (3, 6)
        assert pool.stats().destroyed == {"swap": 3}


def test_a_pool_whose_objects_are_all_out_is_swapped_and_serves_at_once():
    with exia.pool(One, max_size=1) as pool, pool.lease() as old:
        pool.swap(Two, watch=0)

        with pool.lease(timeout=0) as new:
            assert (old.signal(), new.signal()) == (1, 2)
    assert pool.stats().destroyed == {"swap": 1, "close": 1}


def test_those_who_wait_get_the_new_version():
    with exia.pool(One, max_size=1) as pool:
        lease = pool.acquire()
        got = []
        thread = threading.Thread(target=lambda: got.extend(call(pool)))
        thread.start()
        until(lambda: pool.stats().waiting == 1)

        pool.swap(Two)
        thread.join()

        assert got == [2]
        lease.release()


def test_a_ref_is_swapped_in_under_its_version():
    with exia.pool("python:statistics:NormalDist") as pool:
        swap = pool.swap("python:fractions:Fraction")

        assert swap.new.startswith("Fraction@3.")
        with pool.acquire() as lease:
            assert lease.version == pool.version == swap.new
            assert "limit_denominator" in lease.methods()


@pytest.mark.parametrize(
    ("target", "options", "why"),
    [
        (unmakeable, {}, "no licence"),
        (lambda: None, {}, "returned None"),
        (Invalid(), {}, "validate"),
        (Fails, {"probe": lambda obj: obj.signal()}, "ValueError: broken"),
        (Two, {"probe": lambda obj: False}, "probe returned False"),
    ],
)
def test_a_version_that_fails_its_check_is_refused_and_nothing_changes(target, options, why):
    with exia.pool(One) as pool:
        call(pool)
        before = pool.stats()

        with pytest.raises(SwapRefused, match=why):
            pool.swap(target, **options)

        after = pool.stats()
        assert (after.version, after.generation, after.idle, after.size) == (before.version, 0, 1, 1)
        assert call(pool) == [1]
        assert pool.swap(Two).state == "watching"


def test_a_version_that_does_not_exist_changes_nothing():
    with exia.pool(One) as pool:
        with pytest.raises(RefNotFound):
            pool.swap("python:statistics:NormalDits")
        assert call(pool) == [1]


def test_a_canary_gets_its_share_of_the_leases_and_is_promoted_after_its_trial():
    with exia.pool(One, max_size=4) as pool:
        call(pool)
        swap = pool.swap(Two, canary=0.25, trial=10)

        assert (swap.state, pool.version) == ("canary", "One")
        assert call(pool, 36).count(2) == 9
        call(pool, 4)
        until(lambda: swap.state == "watching")

        assert set(call(pool, 10)) == {2}
        assert pool.version == "Two"


def test_a_canary_whose_calls_fail_is_taken_back_by_itself():
    with exia.pool(One, max_size=4) as pool:
        swap = pool.swap(Fails, canary=0.5, max_errors=0.05)

        results = call(pool, 50)

        assert swap.state == "undone"
        assert "2 of 2 leases failed" in swap.reason
        assert results.count(ValueError) == swap.errors == 2
        assert call(pool, 10) == [1] * 10
        until(lambda: pool.stats().size == pool.stats().idle == 1)


def test_a_version_whose_calls_fail_after_the_switch_is_taken_back_by_itself():
    with exia.pool(One, max_size=4) as pool:
        call(pool)
        swap = pool.swap(Fails, max_errors=0.1)

        results = call(pool, 10)

        assert results == [ValueError] * 3 + [1] * 7
        assert (swap.state, pool.version) == ("undone", "One")
        assert pool.stats().created == 2, "the old object was kept for the way back"


def test_errors_below_the_threshold_keep_the_new_version():
    with exia.pool(One) as pool:
        swap = pool.swap(Two, max_errors=0.5)
        for _ in range(5):
            with pytest.raises(ValueError, match="mine"), pool.lease():
                raise ValueError("mine")

        assert (swap.state, swap.errors, swap.calls) == ("watching", 5, 5)


def test_a_swap_is_undone_and_promoted_by_hand():
    with exia.pool(One) as pool:
        first = pool.swap(Two)
        first.undo()
        assert (first.wait(0), first.reason, call(pool)) == ("undone", "by request", [1])
        with pytest.raises(Conflict, match="no way back"):
            first.undo()

        second = pool.swap(Two, canary=0.1)
        second.promote()
        assert (second.state, call(pool)) == ("watching", [2])
        with pytest.raises(Conflict, match="not on trial"):
            second.promote()


def test_the_next_swap_closes_the_way_back_of_the_one_before():
    with exia.pool(One) as pool:
        call(pool)
        first = pool.swap(Two)
        pool.swap(One)

        assert first.wait(0) == "done"
        with pytest.raises(Conflict):
            first.undo()
        assert call(pool) == [1]


def test_a_swap_waits_for_nobody_while_another_is_on_trial():
    with exia.pool(One) as pool:
        pool.swap(Two, canary=0.1)

        with pytest.raises(SwapUnderWay):
            pool.swap(Fails)


def test_the_way_back_closes_when_the_watch_is_over():
    with exia.pool(One) as pool:
        call(pool)
        swap = pool.swap(Two, watch=0.001)

        assert swap.wait(30) == "done"
        until(lambda: pool.stats().destroyed == {"swap": 1})


def test_a_closed_pool_is_not_swapped():
    pool = exia.pool(One)
    pool.close()

    with pytest.raises(PoolClosed):
        pool.swap(Two)


def test_closing_destroys_what_a_swap_keeps():
    pool = exia.pool(One, max_size=2)
    call(pool)
    pool.swap(Two, canary=0.5)
    assert pool.close() == 0
    assert pool.stats().destroyed == {"close": 2}

    pool = exia.pool(One, max_size=2)
    call(pool)
    pool.swap(Two)
    assert pool.close() == 0
    assert pool.stats().destroyed == {"close": 2}


def test_an_empty_pool_is_swapped_too():
    with exia.pool(One, max_idle=0) as pool:
        call(pool)
        pool.swap(Two, watch=0)

        assert call(pool, 2) == [2, 2]


def test_swaps_are_told_to_whoever_listens():
    heard = []
    with exia.pool(One) as pool:
        end = pool.listen(lambda event: heard.append((event.kind, event.facts.get("new"))))
        pool.swap(Two).undo()
        end()
        pool.swap(Two)

    assert ("swapped", "Two") in heard
    assert ("undone", "Two") in heard
    assert len([kind for kind, _ in heard if kind == "swapped"]) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"canary": 1},
        {"canary": -0.1},
        {"canary": True},
        {"trial": 0},
        {"max_errors": 1.5},
        {"watch": -1},
        {"probe": 3},
    ],
)
def test_rules_that_make_no_sense_are_refused(options):
    with exia.pool(One) as pool:
        with pytest.raises(BadInput):
            pool.swap(Two, **options)
        assert call(pool) == [1]


def test_drain_replaces_every_object_and_counts_a_generation():
    with exia.pool(One) as pool:
        lease = pool.acquire()
        call(pool)

        assert pool.drain() == pool.generation == 1

        assert pool.stats().destroyed == {"drain": 1}
        lease.release()
        assert pool.stats().destroyed == {"drain": 2}
        assert (call(pool), pool.stats().created) == ([1], 3)


class Tuned:
    def __init__(self, window=1):
        self.window = window


class Live(Tuned):
    def apply_params(self, snapshot):
        if snapshot["window"] < 0:
            raise ValueError("negative")
        self.window = snapshot["window"]


def test_new_parameters_reach_every_object_at_its_next_lease_and_none_during_one():
    with exia.pool(Live, params={"window": 2}) as pool:
        held, idle = pool.acquire(), pool.acquire()
        objects = {held.object, idle.object}
        idle.release()

        pool.set_params({"window": 5})

        assert held.object.window == 2
        held.release()
        leases = [pool.acquire(), pool.acquire()]
        assert {lease.object for lease in leases} == objects
        assert [lease.object.window for lease in leases] == [5, 5]
        for lease in leases:
            lease.release()
        assert pool.params == {"window": 5}


def test_objects_that_take_no_parameters_live_are_made_anew():
    with exia.pool(Tuned, params={"window": 2}) as pool:
        with pool.lease() as before:
            assert before.window == 2

        pool.set_params({"window": 3})

        with pool.lease() as after:
            assert (after.window, after is before) == (3, False)
        assert pool.stats().destroyed == {"params": 1}


def test_the_factory_takes_parameters_for_its_objects():
    class Maker:
        def make(self):
            return Tuned()

        def apply_params(self, obj, snapshot):
            obj.window = snapshot["window"]

    with exia.pool(Maker(), params={"window": 7}) as pool:
        with pool.lease() as obj:
            assert obj.window == 7
        pool.set_params({"window": 8})
        with pool.lease() as again:
            assert (again.window, again is obj) == (8, True)


def test_parameters_that_nobody_takes_are_refused_and_nothing_changes():
    with exia.pool(Tuned) as pool:
        with pytest.raises(WrongArguments, match="unexpected keyword argument 'widow'"):
            pool.set_params({"widow": 1})
        assert (pool.generation, pool.params) == (0, {})


def test_an_object_that_refuses_new_parameters_is_destroyed():
    with exia.pool(Live) as pool:
        pool.acquire().release()
        pool.set_params({"window": -1})

        with pool.lease() as obj:
            assert obj.window == -1, "made with them: the constructor does not check"
        assert pool.stats().destroyed == {"params": 1}
        assert pool.stats().failures == {"apply_params": 1}


def test_a_swap_keeps_the_parameters_of_the_pool():
    with exia.pool(Tuned, params={"window": 4}) as pool:
        pool.swap(Live)
        with pool.lease() as obj:
            assert obj.window == 4

        pool.swap(Tuned, params={"window": 6})
        with pool.lease() as obj:
            assert obj.window == 6
