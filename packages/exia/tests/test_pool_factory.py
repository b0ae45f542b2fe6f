from __future__ import annotations

import threading

import pytest

import exia
from exia.errors import (
    FactoryError,
    PoolClosed,
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


def test_every_verb_of_the_factory_is_asked_in_its_place():
    factory = Careful()
    with exia.pool(factory, validate_after=0) as pool:
        pool.acquire().release()
        pool.acquire().release()

    assert factory.asked == ["make", "activate", "passivate", "validate", "activate", "passivate", "destroy"]


def test_an_object_that_is_no_longer_valid_is_replaced():
    factory = Careful(validate=False)
    with exia.pool(factory, validate_after=0) as pool:
        pool.acquire().release()
        with pool.lease() as engine:
            assert isinstance(engine, Engine)

        assert (pool.stats().destroyed, pool.stats().created) == ({"validate": 1}, 2)


def test_an_object_used_just_now_is_not_validated():
    factory = Careful()
    with exia.pool(factory, validate_after=3600) as pool:
        pool.acquire().release()
        pool.acquire().release()

    assert "validate" not in factory.asked


def test_a_factory_that_raises_reaches_the_borrower_and_frees_the_place():
    factory = Careful(make=ValueError("no licence"))
    with exia.pool(factory, max_size=1) as pool:
        for _ in range(2):
            with pytest.raises(FactoryError, match=r"make .* raised ValueError: no licence") as caught:
                pool.acquire()
            assert isinstance(caught.value.__cause__, ValueError)

        assert (pool.stats().size, pool.stats().failures) == (0, {"make": 2})


def test_a_factory_that_fails_for_one_serves_the_next_who_waits(in_thread, wait_until_waiting):
    answers = iter([Engine(), ValueError("once"), Engine()])
    entered, go = threading.Event(), threading.Event()

    def make():
        answer = next(answers)
        if isinstance(answer, ValueError):
            entered.set()
            go.wait()
            raise answer
        return answer

    with exia.pool(make, max_size=1) as pool:
        pool.acquire().release()
        pool.clear()
        failing, failed = in_thread(lambda: pool.acquire())
        entered.wait()
        waiting, got = in_thread(lambda: pool.acquire())
        wait_until_waiting(pool, 1)

        go.set()
        failing.join()
        waiting.join()

        assert isinstance(failed[0], FactoryError)
        got[0].release()


def test_a_factory_that_returns_nothing_is_refused():
    with exia.pool(lambda: None) as pool:
        with pytest.raises(FactoryError, match="returned None"):
            pool.acquire()
        assert pool.stats().size == 0


def test_an_object_that_fails_to_activate_is_destroyed():
    factory = Careful(activate=ValueError("cold"))
    with exia.pool(factory) as pool:
        with pytest.raises(FactoryError, match=r"activate .* cold"):
            pool.acquire()
        assert (pool.stats().size, pool.stats().destroyed) == (0, {"activate": 1})


def test_an_object_that_fails_to_passivate_is_destroyed():
    with exia.pool(Careful(passivate=ValueError("stuck"))) as pool:
        pool.acquire().release()

        assert (pool.stats().size, pool.stats().destroyed, pool.stats().failures) == (
            0,
            {"passivate": 1},
            {"passivate": 1},
        )


def test_a_failing_destroy_frees_the_place_all_the_same():
    with exia.pool(Careful(destroy=ValueError("held")), max_size=1) as pool:
        pool.acquire().release()

        pool.clear()

        assert (pool.stats().size, pool.stats().failures) == (0, {"destroy": 1})


@pytest.mark.parametrize(
    ("verdict", "size", "verbs"),
    [
        ("keep", 1, ["on_error", "passivate"]),
        ("reset", 1, ["on_error", "passivate", "activate", "validate", "passivate"]),
        ("destroy", 0, ["on_error", "destroy"]),
    ],
)
def test_the_factory_decides_what_becomes_of_an_object_after_an_error(verdict, size, verbs):
    factory = Careful(on_error=verdict)
    with exia.pool(factory) as pool:
        lease = pool.acquire()
        factory.asked.clear()
        with pytest.raises(ZeroDivisionError), lease:
            _ = 1 / 0

        assert pool.stats().size == size
        assert factory.asked == verbs


def test_a_plain_object_is_kept_after_an_error_and_destroyed_after_an_interrupt():
    with exia.pool(Engine) as pool:
        with pytest.raises(ValueError, match="mine"), pool.lease():
            raise ValueError("mine")
        assert pool.stats().size == 1

        with pytest.raises(KeyboardInterrupt), pool.lease():
            raise KeyboardInterrupt
        assert pool.stats().destroyed == {"error": 1}


def test_an_interrupt_while_making_frees_the_place():
    def make():
        raise KeyboardInterrupt

    with exia.pool(make, max_size=1) as pool:
        with pytest.raises(KeyboardInterrupt):
            pool.acquire()
        assert pool.stats().size == 0


def test_a_closed_pool_gives_nothing():
    pool = exia.pool(Engine)
    pool.acquire().release()
    assert pool.close() == 0

    with pytest.raises(PoolClosed):
        pool.acquire()
    with pytest.raises(PoolClosed):
        pool.lease(timeout=0)
    assert pool.stats().destroyed == {"close": 1}
    assert pool.close() == 0


def test_closing_fails_those_who_wait_and_destroys_what_comes_back(in_thread, wait_until_waiting):
    factory = Careful()
    pool = exia.pool(factory, max_size=1)
    lease = pool.acquire()
    thread, got = in_thread(lambda: pool.acquire())
    wait_until_waiting(pool, 1)

    assert pool.close(timeout=0) == 1
    thread.join()

    assert isinstance(got[0], PoolClosed)
    assert "destroy" not in factory.asked
    lease.release()
    assert factory.asked[-1] == "destroy"
    assert pool.close() == 0


def test_closing_waits_for_what_is_out(in_thread):
    pool = exia.pool(Engine)
    lease = pool.acquire()
    thread, left = in_thread(lambda: pool.close(timeout=30))
    while not pool.closed:
        threading.Event().wait(0.001)

    lease.release()
    thread.join()

    assert left == [0]
