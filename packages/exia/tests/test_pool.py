from __future__ import annotations

import math
import threading

import pytest

import exia
from exia.errors import (
    ForeignLease,
    LeaseReturned,
    PoolBusy,
    PoolTimeout,
)


class Engine:
    def __init__(self):
        self.seen = []

    def run(self, load: int, *, gear: int = 1) -> int:
        """Return the work done.

        More text.
        """
        return load * gear

    def broken(self):
        return "a" + 1


class Careful:
    """A factory with every verb, which notes what it is asked."""

    def __init__(self, **answers):
        self.asked = []
        self.answers = answers

    def _note(self, verb, obj, default=None):
        self.asked.append(verb)
        answer = self.answers.get(verb, default)
        if isinstance(answer, BaseException):
            raise answer
        return answer() if callable(answer) else answer

    def make(self):
        return self._note("make", None, Engine)

    def activate(self, obj):
        self._note("activate", obj)

    def passivate(self, obj):
        self._note("passivate", obj)

    def validate(self, obj):
        return self._note("validate", obj, True)

    def destroy(self, obj):
        self._note("destroy", obj)

    def on_error(self, exc):
        return self._note("on_error", None, "keep")


def test_a_lease_gives_the_object_and_takes_it_back():
    with exia.pool(Engine, max_size=2) as pool:
        with pool.lease() as engine:
            assert isinstance(engine, Engine)
            assert pool.stats().in_use == 1

        with pool.lease() as again:
            assert again is engine
        assert (pool.stats().in_use, pool.stats().idle, pool.stats().created, pool.stats().leases) == (0, 1, 1, 2)


def test_an_explicit_lease_gives_the_object_until_it_is_released():
    with exia.pool(Engine) as pool:
        lease = pool.acquire()

        assert isinstance(lease.object, Engine)
        lease.release()

        assert pool.stats().idle == 1
        with pytest.raises(LeaseReturned):
            _ = lease.object


def test_a_pool_at_its_maximum_lets_the_caller_wait_and_then_gives_up():
    with exia.pool(Engine, max_size=1, timeout=0.05) as pool, pool.lease():
        with pytest.raises(PoolTimeout, match="1 of 1 leased"):
            pool.acquire()
        assert pool.stats().timeouts == 1
        assert pool.stats().waiting == 0


def test_a_timeout_of_nothing_does_not_wait():
    with exia.pool(Engine, max_size=1, timeout=math.inf) as pool, pool.lease(), pytest.raises(PoolTimeout):
        pool.acquire(timeout=0)


def test_what_comes_back_goes_to_the_caller_who_waited_longest(in_thread, wait_until_waiting):
    with exia.pool(Engine, max_size=1) as pool:
        lease = pool.acquire()
        order = []
        threads = []
        for i in range(4):

            def borrow(i=i):
                with pool.lease():
                    order.append(i)

            threads.append(in_thread(borrow)[0])
            wait_until_waiting(pool, i + 1)

        lease.release()
        for thread in threads:
            thread.join()

        assert order == [0, 1, 2, 3]


def test_nobody_overtakes_those_who_wait(in_thread, wait_until_waiting):
    with exia.pool(Engine, max_size=1) as pool:
        lease = pool.acquire()
        thread, got = in_thread(lambda: pool.acquire())
        wait_until_waiting(pool, 1)

        lease.release()

        with pytest.raises(PoolTimeout):
            pool.acquire(timeout=0)
        thread.join()
        got[0].release()


def test_more_callers_than_may_wait_are_turned_away_at_once(in_thread, wait_until_waiting):
    with exia.pool(Engine, max_size=1, max_waiting=1) as pool:
        lease = pool.acquire()
        thread, got = in_thread(lambda: pool.acquire())
        wait_until_waiting(pool, 1)

        with pytest.raises(PoolBusy, match="1 waiting"):
            pool.acquire()

        assert pool.stats().refused == 1
        lease.release()
        thread.join()
        got[0].release()


def test_a_lease_is_given_back_once():
    with exia.pool(Engine) as pool:
        lease = pool.acquire()
        lease.release()

        with pytest.raises(LeaseReturned):
            lease.release()
        assert (pool.stats().idle, pool.stats().size) == (1, 1)


def test_an_old_lease_does_not_end_the_new_borrowers():
    with exia.pool(Engine, max_size=1) as pool:
        old = pool.acquire()
        old.release()
        new = pool.acquire()

        with pytest.raises(LeaseReturned):
            old.release()
        assert pool.stats().in_use == 1
        new.release()


def test_the_lease_of_a_with_statement_cannot_be_entered_again():
    with exia.pool(Engine) as pool:
        lease = pool.lease()
        with lease:
            pass

        with pytest.raises(LeaseReturned), lease:
            pass
        assert pool.stats().idle == 1


def test_a_pool_takes_back_only_its_own_leases():
    with exia.pool(Engine, name="a") as a, exia.pool(Engine, name="b") as b:
        lease = a.acquire()

        with pytest.raises(ForeignLease):
            b.release(lease)
        with pytest.raises(ForeignLease):
            a.release(lease.object)

        a.release(lease)
        assert (a.stats().idle, b.stats().size) == (1, 0)


@pytest.mark.parametrize(("order", "expected"), [("lifo", "second"), ("fifo", "first")])
def test_the_order_decides_which_idle_object_is_lent(order, expected):
    with exia.pool(Engine, order=order) as pool:
        leases = {"first": pool.acquire(), "second": pool.acquire()}
        objects = {name: lease.object for name, lease in leases.items()}
        leases["first"].release()
        leases["second"].release()

        with pool.lease() as engine:
            assert engine is objects[expected]


def test_an_empty_pool_keeps_nothing_and_holds_its_limits():
    with exia.pool(Engine, max_size=1, max_idle=0) as pool:
        with pool.lease() as first, pytest.raises(PoolTimeout):
            pool.acquire(timeout=0)
        with pool.lease() as second:
            assert second is not first

        assert pool.stats().idle == 0
        assert pool.stats().destroyed == {"idle": 2}


def test_an_empty_pool_hands_an_object_on_to_who_waits(in_thread, wait_until_waiting):
    with exia.pool(Engine, max_size=1, max_idle=0) as pool:
        lease = pool.acquire()
        engine = lease.object
        thread, got = in_thread(lambda: pool.acquire())
        wait_until_waiting(pool, 1)

        lease.release()
        thread.join()

        assert got[0].object is engine
        got[0].release()


def test_a_pool_becomes_an_empty_pool_while_it_runs_and_back():
    with exia.pool(Engine) as pool:
        pool.acquire().release()

        pool.set_max_idle(0)

        assert pool.stats().idle == 0
        pool.set_max_idle(None)
        pool.acquire().release()
        assert pool.stats().idle == 1


def test_clear_destroys_what_is_idle_and_leaves_what_is_leased():
    factory = Careful()
    with exia.pool(factory) as pool:
        kept, other = pool.acquire(), pool.acquire()
        other.release()

        assert pool.clear() == 1

        assert factory.asked.count("destroy") == 1
        kept.release()
        assert (pool.stats().idle, pool.stats().destroyed) == (1, {"clear": 1})


def test_resize_up_serves_who_waits(in_thread, wait_until_waiting):
    with exia.pool(Engine, max_size=1) as pool, pool.lease():
        thread, got = in_thread(lambda: pool.acquire())
        wait_until_waiting(pool, 1)

        pool.resize(2)
        thread.join()

        assert pool.stats().size == 2
        got[0].release()


def test_resize_down_lets_idle_objects_go_now_and_leased_ones_when_they_return():
    with exia.pool(Engine, max_size=3) as pool:
        leases = [pool.acquire() for _ in range(3)]
        leases.pop().release()

        pool.resize(1)
        assert pool.stats().size == 2

        leases.pop().release()
        leases.pop().release()
        assert (pool.stats().size, pool.stats().idle, pool.stats().destroyed) == (1, 1, {"resize": 2})


def test_an_object_is_replaced_after_its_uses():
    with exia.pool(Engine, max_uses=2) as pool:
        seen = set()
        for _ in range(4):
            with pool.lease() as engine:
                seen.add(id(engine))
                engine.seen.append(1)
                assert len(engine.seen) <= 2

        assert pool.stats().destroyed == {"uses": 2}
        assert (pool.stats().created, pool.stats().leases) == (2, 4)


def test_an_object_is_replaced_after_its_lifetime():
    with exia.pool(Engine, max_lifetime=1e-9) as pool:
        pool.acquire().release()
        pool.acquire().release()

        assert pool.stats().destroyed == {"lifetime": 2}


def test_min_idle_objects_are_ready_at_once_and_made_again_in_the_background():
    made = threading.Semaphore(0)

    def make():
        made.release()
        return Engine()

    with exia.pool(make, min_idle=2, max_uses=1) as pool:
        assert pool.stats().idle == 2
        made.acquire()
        made.acquire()

        pool.acquire().release()

        assert made.acquire(timeout=10)


def test_a_dropped_lease_is_found_when_the_pool_runs_short():
    with exia.pool(Engine, max_size=1) as pool:
        pool.acquire()
        pool.lease()

        with pool.lease(timeout=10) as engine:
            assert isinstance(engine, Engine)
        assert pool.stats().destroyed == {"lost": 2}


def test_waits_and_holds_are_measured_on_choice():
    with exia.pool(Engine, sample=2) as pool:
        for _ in range(10):
            pool.acquire().release()
        stats = pool.stats()

    assert stats.wait is not None
    assert stats.hold is not None
    assert (stats.wait.count, stats.hold.count) == (5, 5)
    assert 0 < stats.hold.quantile(0.5) <= stats.hold.quantile(1.0)


@pytest.mark.parametrize("options", [{"sample": 0}, {"track": "off"}])
def test_a_pool_that_does_not_sample_has_no_histograms(options):
    with exia.pool(Engine, **options) as pool:
        assert pool.stats().wait is None
