from __future__ import annotations

import math
import statistics

import pytest

import exia
from exia.errors import (
    BadInput,
    MethodNotFound,
    PoolExists,
    PoolNotFound,
    WrongArguments,
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


def test_a_pool_is_found_by_its_name_until_it_is_closed():
    with exia.pool(Engine, name="engines") as pool:
        assert exia.get_pool("engines") is pool
        with pytest.raises(PoolExists):
            exia.pool(Engine, name="engines")
        with pytest.raises(PoolNotFound) as caught:
            exia.get_pool("engine")
        assert caught.value.hint == "did you mean 'engines'?"

    with pytest.raises(PoolNotFound):
        exia.get_pool("engines")


def test_two_pools_of_one_class_need_no_names():
    with exia.pool(Engine) as first, exia.pool(Engine) as second:
        assert first is not second
        assert exia.get_pool("Engine") is first


def test_a_ref_is_pooled_under_its_name():
    with exia.pool("python:statistics:NormalDist", max_size=1) as pool, pool.lease() as normal:
        assert isinstance(normal, statistics.NormalDist)
        assert exia.get_pool("NormalDist") is pool


def test_a_lease_calls_methods_by_name():
    with exia.pool(Engine) as pool, pool.acquire() as lease:
        assert lease.methods()["run"] == {
            "signature": "(load: 'int', *, gear: 'int' = 1) -> 'int'",
            "summary": "Return the work done.",
        }
        assert lease.call("run", 2, gear=3) == 6


def test_a_method_that_is_not_there_names_the_nearest():
    with exia.pool(Engine) as pool, pool.acquire() as lease:
        with pytest.raises(MethodNotFound) as caught:
            lease.call("rum")
        assert caught.value.hint == "did you mean 'run'?"
        with pytest.raises(MethodNotFound):
            lease.call("__init__")


def test_wrong_arguments_show_the_signature_and_nothing_runs():
    with exia.pool(Engine) as pool, pool.acquire() as lease:
        with pytest.raises(WrongArguments) as caught:
            lease.call("run", speed=3)
        assert caught.value.hint is not None
        assert "run(load: 'int', *, gear: 'int' = 1)" in caught.value.hint


def test_a_type_error_from_inside_a_method_stays_what_it_is():
    with exia.pool(Engine) as pool, pool.acquire() as lease:
        with pytest.raises(TypeError) as caught:
            lease.call("broken")
        assert not isinstance(caught.value, WrongArguments)


@pytest.mark.parametrize(
    "options",
    [
        {"max_size": 0},
        {"max_size": True},
        {"max_size": 2.0},
        {"min_idle": -1},
        {"max_idle": -1},
        {"min_idle": 3, "max_size": 2},
        {"min_idle": 1, "max_idle": 0},
        {"max_waiting": -1},
        {"timeout": -1},
        {"timeout": math.nan},
        {"timeout": None},
        {"max_uses": 0},
        {"max_lifetime": 0},
        {"sample": -1},
        {"order": "random"},
        {"fork": "maybe"},
        {"name": ""},
        {"name": "a\nb"},
    ],
)
def test_limits_that_make_no_sense_are_refused_with_a_way_out(options):
    with pytest.raises(BadInput) as caught:
        exia.pool(Engine, **options)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_objects_are_made_with_params():
    with exia.pool(statistics.NormalDist, params={"mu": 3}) as pool, pool.lease() as normal:
        assert normal.mean == 3


def test_params_that_the_target_does_not_take_are_refused_before_the_first_lease():
    with pytest.raises(WrongArguments, match="unexpected keyword argument 'mean'"):
        exia.pool(statistics.NormalDist, params={"mean": 3})
    with pytest.raises(BadInput, match="params are for a class"):
        exia.pool(Careful(), params={"mu": 3})
    with pytest.raises(PoolNotFound):
        exia.get_pool("NormalDist")


@pytest.mark.parametrize("target", [None, 3, Engine()])
def test_what_cannot_be_pooled_is_refused(target):
    with pytest.raises(BadInput, match="cannot pool"):
        exia.pool(target)


def test_a_negative_timeout_is_refused_even_when_an_object_is_free():
    with exia.pool(Engine) as pool:
        pool.acquire().release()

        with pytest.raises(BadInput):
            pool.acquire(timeout=-1)
        with pytest.raises(BadInput):
            pool.resize(0)
        assert (pool.stats().idle, pool.max_size) == (1, 8)
