"""Pooled objects in processes of their own: the same lease, calls that cross, and processes that die."""

from __future__ import annotations

import os
import signal

import pytest

import exia
from exia.errors import BadInput, FactoryError, MethodNotFound, WorkerDied, WrongArguments

_MODULE = """
import os, time

class Model:
    def __init__(self, factor=1):
        self.factor = factor
        self.calls = 0

    def scale(self, values):
        "Return the values times the factor."
        self.calls += 1
        return [v * self.factor for v in values]

    def pid(self):
        return os.getpid()

    def double(self, buffer):
        return bytes(buffer) * 2

    def same(self, array):
        return array

    def fails(self):
        raise ValueError("wrong model")

    def dies(self):
        os._exit(3)

    def odd(self):
        return lambda: None


class Live(Model):
    def apply_params(self, snapshot):
        self.factor = snapshot["factor"] * 100


def nothing():
    return None
"""


@pytest.fixture
def models(tmp_path, monkeypatch):
    import importlib
    import sys

    (tmp_path / "crossing_models.py").write_text(_MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("crossing_models")
    del sys.modules["crossing_models"]


def test_an_object_lives_in_a_process_of_its_own_behind_the_same_lease(models):
    with exia.pool(models.Model, params={"factor": 3}, process=True, max_size=2) as pool:
        with pool.lease() as model:
            assert model.scale([1, 2]) == [3, 6]
            assert model.pid() != os.getpid()
        with pool.acquire() as lease:
            assert lease.call("scale", [1]) == [3]
            assert lease.methods()["scale"] == {
                "signature": "(values)",
                "summary": "Return the values times the factor.",
            }
        assert pool.stats().created == 1


def test_a_ref_lives_in_a_process_of_its_own():
    with exia.pool("python:statistics:NormalDist", process=True) as pool, pool.lease() as normal:
        assert normal.cdf(0.0) == 0.5
        assert pool.version.startswith("NormalDist@")


def test_arrays_of_every_size_cross_unchanged_and_can_be_written():
    numpy = pytest.importorskip("numpy")
    with (
        exia.pool("python:crossing_arrays", process=True, max_size=1)
        if False
        else exia.pool("python:copy", process=True, max_size=1) as pool,
        pool.lease() as copy,
    ):
        for n in (0, 1, 8_000, 8_192, 8_193, 500_000):
            array = numpy.arange(n, dtype="float64")
            back = copy.deepcopy(array)
            assert (back == array).all()
            back += 1  # it is the caller's own
            again = copy.deepcopy([array, array[::2], "text"])
            assert (back == array + 1).all()
            assert (again[1] == array[::2]).all()


def test_large_bytes_cross_too(models):
    with exia.pool(models.Model, process=True) as pool, pool.lease() as model:
        assert model.double(b"x" * 1_000_000) == b"x" * 2_000_000


def test_an_error_in_the_other_process_is_raised_here_with_its_traceback(models):
    with exia.pool(models.Model, process=True) as pool:
        with pytest.raises(ValueError, match="wrong model") as caught, pool.lease() as model:
            model.fails()
        assert "in fails" in "".join(caught.value.__notes__)
        assert pool.stats().size == 1, "a failed call does not end the process"


def test_wrong_calls_are_named_as_in_any_pool(models):
    with exia.pool(models.Model, process=True) as pool, pool.acquire() as lease:
        with pytest.raises(MethodNotFound) as missing:
            lease.call("scal")
        assert missing.value.hint == "did you mean 'scale'?"
        with pytest.raises(MethodNotFound):
            _ = lease.object.factor
        with pytest.raises(WrongArguments) as wrong:
            lease.call("scale", speed=1)
        assert "scale(values)" in str(wrong.value.hint)
        with pytest.raises(BadInput, match="cannot be sent"):
            lease.call("scale", lambda: None)
        with pytest.raises(TypeError, match="cannot leave its process"):
            lease.call("odd")
        assert lease.call("scale", [1]) == [1]


def test_a_process_that_dies_in_a_call_is_replaced(models):
    with exia.pool(models.Model, process=True, max_size=1) as pool:
        with pytest.raises(WorkerDied, match="exit code 3"), pool.lease() as model:
            model.dies()
        with pool.lease() as model:
            assert model.scale([1]) == [1]
        assert pool.stats().destroyed == {"error": 1}


def test_a_process_that_dies_idle_is_replaced(models):
    with exia.pool(models.Model, process=True, max_size=1, validate_after=0) as pool:
        with pool.lease() as model:
            pid = model.pid()
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

        with pool.lease() as model:
            assert model.pid() != pid


def test_parameters_and_versions_change_live_in_other_processes(models):
    with exia.pool(models.Model, params={"factor": 2}, process=True, max_size=1) as pool:
        with pool.lease() as model:
            before = model.pid()
        pool.set_params({"factor": 5})
        with pool.lease() as model:
            assert (model.scale([1]), model.pid()) == ([5], before)

        pool.swap(models.Live, params={"factor": 1})
        with pool.lease() as model:
            assert model.scale([1]) == [1]
        pool.set_params({"factor": 2})
        with pool.lease() as model:
            assert model.scale([1]) == [200]


def test_closing_ends_every_process(models):
    with exia.pool(models.Model, process=True, max_size=2) as pool:
        leases = [pool.acquire(), pool.acquire()]
        pids = [lease.call("pid") for lease in leases]
        for lease in leases:
            lease.release()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_what_cannot_be_made_elsewhere_is_refused(models):
    class Local:
        pass

    for target in (Local, lambda: 1, 3):
        with pytest.raises(BadInput):
            exia.pool(target, process=True)
    with exia.pool(models.nothing, process=True) as pool, pytest.raises(FactoryError):
        pool.acquire()
    with exia.pool(models.Model, params={"colour": 1}, process=True) as pool:
        with pytest.raises(FactoryError, match="colour"):
            pool.acquire()
        assert pool.stats().size == 0
