"""The rules of a pool, its settings while it runs, and who is named when a lease stays out."""

from __future__ import annotations

import threading

import pytest

import exia
from exia import strategies
from exia.errors import BadInput, FactoryError, PoolClosed, PoolTimeout


class Engine:
    pass


class Asked:
    """A factory that notes when it is asked whether an object is valid."""

    def __init__(self):
        self.asked = 0
        self.valid = True

    def make(self):
        return Engine()

    def validate(self, obj):
        self.asked += 1
        return self.valid


class Never:
    """A growth rule that wants nothing."""

    def wanted(self, idle, size, waiting):
        return 0


def use(pool, n=1):
    leases = [pool.acquire() for _ in range(n)]
    for lease in leases:
        lease.release()


def until(condition):
    tick = threading.Event()
    for _ in range(10_000):
        if condition():
            return
        tick.wait(0.001)
    raise AssertionError("it never came true")


def test_an_order_of_ones_own_decides_what_is_lent():
    class Second:
        def taker(self, idle):
            def take():
                idle.rotate(-1)
                return idle.popleft()

            return take

    with exia.pool(Engine, order=Second()) as pool:
        leases = [pool.acquire() for _ in range(3)]
        second = leases[1].object
        for lease in leases:
            lease.release()

        assert pool.acquire().object is second


@pytest.mark.parametrize(("moment", "asked"), [("create", [1, 1]), ("lease", [0, 1]), ("return", [1, 2])])
def test_validation_is_asked_at_the_moments_chosen(moment, asked):
    factory, counts = Asked(), []
    with exia.pool(factory, validation=strategies.Rested(after=0, at=(moment,))) as pool:
        for _ in range(2):
            pool.acquire().release()
            counts.append(factory.asked)

    assert counts == asked


def test_an_idle_object_that_is_no_longer_valid_is_destroyed():
    factory = Asked()
    with exia.pool(factory, validation=strategies.Rested(after=0, at=("idle",))) as pool:
        use(pool, 2)
        factory.valid = False

        pool.check()

        assert (pool.stats().size, pool.stats().destroyed) == (0, {"validate": 2})


def test_a_new_object_that_is_not_valid_is_never_lent():
    factory = Asked()
    factory.valid = False
    with exia.pool(factory, validation=strategies.Rested(at=("create",))) as pool:
        with pytest.raises(FactoryError, match="not valid"):
            pool.acquire()
        assert pool.stats().size == 0


def test_objects_that_nobody_needed_for_a_window_are_evicted():
    with exia.pool(Engine, eviction=strategies.UnusedMinimum(window=0), min_idle=1) as pool:
        use(pool, 4)
        pool.check()  # begins a window with four idle
        lease = pool.acquire()
        pool.check()
        lease.release()

        assert pool.stats().destroyed["evicted"] >= 2
        assert pool.stats().idle >= 1


def test_eviction_counts_the_least_that_was_idle_and_not_what_is_idle_now():
    asked = []

    class Noted:
        def surplus(self, unused, over):
            asked.append(unused)
            return 0

    with exia.pool(Engine, eviction=Noted(), max_size=3) as pool:
        use(pool, 3)
        pool.check()
        leases = [pool.acquire() for _ in range(3)]
        with pytest.raises(PoolTimeout):
            pool.acquire(timeout=0)
        for lease in leases:
            lease.release()
        pool.check()

    assert asked[-1] == 0


def test_a_growth_rule_decides_how_many_are_made_ahead():
    class Double:
        def wanted(self, idle, size, waiting):
            return 1 if idle < 3 else 0

    with exia.pool(Engine, growth=Double()) as pool:
        pool.check()
        assert pool.stats().idle == 3

        pool.configure(growth=Never())
        pool.clear()
        pool.check()
        assert pool.stats().idle == 0


def test_an_idle_object_that_is_too_old_goes_without_being_asked_for():
    with exia.pool(Engine) as pool:
        pool.configure(max_lifetime=1e-9)
        use(pool)
        pool.configure(max_uses=None)
        pool.check()

        assert pool.stats().destroyed == {"lifetime": 1}


def borrow(pool):
    return pool.acquire()


@pytest.mark.parametrize("track", ["sampled", "full"])
def test_a_leak_names_who_borrowed_and_says_when_the_object_is_back(track, caplog):
    heard = []
    with exia.pool(Engine, leak=strategies.HeldFor(0), track=track) as pool:
        use(pool)
        pool.listen(heard.append)
        lease = borrow(pool)

        pool.check()
        pool.check()

        (leaked,) = [e for e in heard if e.kind == "leaked"]
        assert "test_pool_rules.py" in leaked.facts["stack"][0]
        assert leaked.facts["stack"][0].endswith("in borrow")
        assert "borrowed at" in caplog.text
        assert (pool.stats().leaked, pool.stats().returned) == (1, 0)

        lease.release()
        assert [e.kind for e in heard if e.kind != "leaked"] == ["returned"]
        assert "has come back" in caplog.text
        assert (pool.stats().leaked, pool.stats().returned) == (1, 1)


def test_full_tracking_names_the_callers_too_and_the_thread():
    heard = []
    with exia.pool(Engine, leak=strategies.HeldFor(0), track="full") as pool:
        use(pool)
        pool.listen(heard.append)

        with pool.lease():
            pool.check()

    stack = next(e.facts["stack"] for e in heard if e.kind == "leaked")
    thread = next(e.facts["thread"] for e in heard if e.kind == "leaked")
    assert len(stack) >= 2
    assert stack[0].endswith("in test_full_tracking_names_the_callers_too_and_the_thread")
    assert thread == threading.current_thread().name


def test_the_whole_stack_of_a_sampled_lease_is_noted():
    heard = []
    with exia.pool(Engine, leak=strategies.HeldFor(0), sample=1) as pool:
        use(pool)
        pool.listen(heard.append)
        with pool.lease():
            pool.check()

    assert len(next(e.facts["stack"] for e in heard if e.kind == "leaked")) > 2


@pytest.mark.parametrize("options", [{"leak": None}, {"track": "off", "leak": strategies.HeldFor(0)}])
def test_leaks_are_not_reported_where_nobody_wants_to_know(options, caplog):
    with exia.pool(Engine, **options) as pool, pool.lease():
        pool.check()
        pool.check()

        assert pool.stats().leaked == 0
    assert "out for" not in caplog.text


def test_tracking_is_switched_while_the_pool_runs():
    heard = []
    with exia.pool(Engine, leak=strategies.HeldFor(0), track="off") as pool:
        use(pool)
        pool.listen(heard.append)
        pool.configure(track="full")
        with pool.lease():
            pool.check()
        with pool.lease():
            pool.check()
        assert [e.kind for e in heard if e.kind in ("leaked", "returned")] == ["leaked", "returned"] * 2

        pool.configure(track="off")
        with pool.lease():
            pool.check()
        assert pool.stats().leaked == 2


def test_every_setting_is_changed_together_or_not_at_all():
    with exia.pool(Engine, max_size=2) as pool:
        pool.configure(max_size=5, timeout=1.0, order="fifo", max_waiting=3, min_idle=2, sample=7)

        assert (pool.max_size, pool.settings.timeout, pool.settings.min_idle) == (5, 1.0, 2)
        with pytest.raises(BadInput, match="no setting 'max_sise'") as caught:
            pool.configure(max_size=9, max_sise=3)
        assert caught.value.hint == "did you mean 'max_size'?"
        with pytest.raises(BadInput):
            pool.configure(max_size=1)
        assert pool.max_size == 5
        pool.wait(30)
        assert pool.stats().idle == 2


@pytest.mark.parametrize(
    "options",
    [{"track": "some"}, {"order": object()}, {"eviction": 3}, {"growth": "fast"}, {"leak": 60}, {"validation": True}],
)
def test_rules_that_are_none_are_refused(options):
    with pytest.raises(BadInput):
        exia.pool(Engine, **options)


def test_moments_and_windows_that_make_no_sense_are_refused():
    with pytest.raises(BadInput, match="no moment 'lend'"):
        strategies.Rested(at=("lend",))
    with pytest.raises(BadInput):
        strategies.UnusedMinimum(window=-1)


def test_trying_gives_what_is_idle_and_never_waits_or_makes():
    made = threading.Event()

    def make():
        made.set()
        return Engine()

    with exia.pool(make, max_size=1) as pool:
        assert pool.try_acquire() is None
        assert made.wait(30), "one is made in the background"
        until(lambda: pool.stats().idle == 1)

        lease = pool.try_acquire()
        assert lease is not None
        assert pool.try_acquire() is None
        assert pool.stats().timeouts == 0
        lease.release()
    with pytest.raises(PoolClosed):
        pool.try_acquire()


def test_a_pool_warms_up_in_the_background_and_can_be_waited_for():
    go = threading.Event()

    def make():
        go.wait()
        return Engine()

    with exia.pool(make, min_idle=2, background=True) as pool:
        with pytest.raises(PoolTimeout, match="not warm"):
            pool.wait(timeout=0.01)
        go.set()

        pool.wait(timeout=30)

        assert pool.stats().idle == 2


def test_waiting_for_a_pool_that_cannot_warm_up_fails_at_once(caplog):
    def make():
        raise OSError("no licence")

    with exia.pool(make, min_idle=1, background=True) as pool, pytest.raises(FactoryError, match="no licence"):
        pool.wait(timeout=30)


def test_a_listener_hears_what_happens_and_its_failure_harms_nobody(caplog):
    heard = []

    def broken(event):
        raise ValueError("deaf")

    with exia.pool(Engine, max_size=1, max_waiting=0) as pool:
        pool.listen(broken)
        pool.listen(lambda event: heard.append(event.kind))
        with pool.lease(), pytest.raises(PoolTimeout):
            pool.acquire(timeout=0)
        with pool.lease(), pytest.raises(exia.errors.PoolBusy):
            pool.acquire(timeout=1)
        pool.clear()
        pool.drain()
        pool.resize(2)

        assert heard == ["created", "timeout", "refused", "destroyed", "drained", "changed"]
        assert pool.stats().failures == {"listener": 6}


def test_a_dropped_lease_is_reported_and_its_place_is_free(caplog):
    with exia.pool(Engine, max_size=1) as pool:
        pool.acquire()

        assert pool.stats().destroyed == {"lost": 1}
    assert "dropped without a return" in caplog.text
    assert "test_pool_rules.py" in caplog.text
