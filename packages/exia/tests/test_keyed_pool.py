"""Pools by key, with one cap over all of them."""

from __future__ import annotations

import random
import threading

import pytest

import exia
from exia.errors import BadInput, FactoryError, LeaseReturned, PoolBusy, PoolClosed, PoolTimeout


class Model:
    def __init__(self, key):
        self.key = key
        self.taken = threading.Lock()

    def name(self):
        return self.key


class Models:
    """Makes models; of one key it cannot."""

    def __call__(self, key):
        if key == "broken":
            raise OSError("no such model")
        return Model(key)


def until(condition):
    tick = threading.Event()
    for _ in range(10_000):
        if condition():
            return
        tick.wait(0.001)
    raise AssertionError("it never came true")


def test_each_key_has_objects_of_its_own():
    with exia.keyed_pool(Model, max_total=4, max_size=2) as pools:
        with pools.lease("a") as a, pools.lease("b") as b:
            assert (a.key, b.key) == ("a", "b")
        with pools.lease("a") as again:
            assert again is a
        assert {key: stats.idle for key, stats in pools.stats().items()} == {"a": 1, "b": 1}


def test_a_key_that_needs_room_takes_it_from_the_one_used_longest_ago():
    with exia.keyed_pool(Model, max_total=2) as pools:
        for key in ("a", "b", "a", "c"):
            with pools.lease(key):
                pass

        assert sorted(pools.stats()) == ["a", "c"]


def test_the_cap_holds_over_all_keys_and_its_queue_is_in_turn():
    with exia.keyed_pool(Model, max_total=1) as pools:
        lease = pools.acquire("a")
        with pytest.raises(PoolTimeout, match="1 of 1 in all"):
            pools.acquire("b", timeout=0)
        order = []
        threads = []
        for i, key in enumerate("bac"):

            def borrow(key=key):
                with pools.lease(key):
                    order.append(key)

            threads.append(threading.Thread(target=borrow))
            threads[-1].start()
            until(lambda i=i: pools.waiting == i + 1)

        lease.release()
        for thread in threads:
            thread.join()
        assert order == ["b", "a", "c"]


def test_a_busy_key_does_not_keep_others_from_theirs():
    with exia.keyed_pool(Model, max_total=2, max_size=1) as pools:
        held = pools.acquire("busy")
        threads = [threading.Thread(target=lambda: pools.acquire("busy").release()) for _ in range(3)]
        for thread in threads:
            thread.start()
        until(lambda: pools.waiting == 3)

        with pools.lease("other", timeout=0) as other:
            assert other.key == "other"

        held.release()
        for thread in threads:
            thread.join()


def test_leases_are_given_back_once_and_errors_are_judged():
    with exia.keyed_pool(Model, max_total=2) as pools:
        lease = pools.acquire("a")
        assert (lease.call("name"), lease.object.key) == ("a", "a")
        lease.release()
        with pytest.raises(LeaseReturned):
            lease.release()
        with pytest.raises(KeyboardInterrupt), pools.lease("a"):
            raise KeyboardInterrupt
        assert pools.stats() == {}, "an interrupted object is destroyed, and a key without objects forgotten"


def test_a_key_that_cannot_be_made_frees_its_room():
    with exia.keyed_pool(Models(), max_total=1) as pools:
        for _ in range(2):
            with pytest.raises(FactoryError, match="no such model"):
                pools.acquire("broken")
        with pools.lease("fine"):
            pass


def test_the_cap_and_the_settings_change_live():
    with exia.keyed_pool(Model, max_total=1, max_size=1) as pools, pools.lease("a"):
        pools.configure(max_total=2, max_size=2)
        with pools.lease("a", timeout=0):
            assert pools.max_total == 2
        with pytest.raises(BadInput):
            pools.configure(max_total=0)
        with pytest.raises(BadInput):
            pools.configure(max_sise=3)


def test_too_many_that_wait_are_turned_away():
    with exia.keyed_pool(Model, max_total=1, max_waiting=0) as pools, pools.lease("a"), pytest.raises(PoolBusy):
        pools.acquire("b")


def test_closing_fails_those_who_wait():
    pools = exia.keyed_pool(Model, max_total=1)
    lease = pools.acquire("a")
    failed = []

    def wait():
        with pytest.raises(PoolClosed):
            pools.acquire("b")
        failed.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: pools.waiting == 1)
    assert pools.close(timeout=0) == 1
    thread.join()
    lease.release()
    assert failed == [True]
    with pytest.raises(PoolClosed):
        pools.acquire("a")


@pytest.mark.parametrize("options", [{"max_total": 0}, {"max_total": 2, "max_size": 0}])
def test_caps_that_make_no_sense_are_refused(options):
    with pytest.raises(BadInput):
        exia.keyed_pool(Model, **options)
    with pytest.raises(BadInput):
        exia.keyed_pool("a ref", max_total=1)


def test_under_load_the_cap_holds_and_no_object_is_lent_twice():
    models, twice = Models(), []

    with exia.keyed_pool(models, max_total=3, max_size=2) as pools:

        def work(i):
            rng = random.Random(i)
            for _ in range(400):
                try:
                    with pools.lease(rng.choice("abcdef"), rng.choice((None, 0, 0.001))) as model:
                        if not model.taken.acquire(blocking=False):
                            twice.append(model)
                            continue
                        model.taken.release()
                except PoolTimeout:
                    pass

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        stats = pools.stats()
        assert twice == []
        assert sum(s.size for s in stats.values()) <= 3
        assert sum(s.in_use for s in stats.values()) == 0
        assert pools.waiting == 0
