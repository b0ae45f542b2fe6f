"""Pooled objects in processes and in Ray actors: the same lease, calls that cross, and what dies is replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import exia
from exia.errors import BadInput, FactoryError, MethodNotFound, MissingExtra, WorkerDied, WrongArguments

_MODULE = """
import os, threading, time

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
        return threading.Lock()

    def die(self):
        os.kill(os.getpid(), 9)


class Live(Model):
    def apply_params(self, snapshot):
        self.factor = snapshot["factor"] * 100


def nothing():
    return None
"""


@pytest.fixture
def models(tmp_path, monkeypatch):
    import importlib

    (tmp_path / "crossing_models.py").write_text(_MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("crossing_models")
    del sys.modules["crossing_models"]


@pytest.fixture(params=["process", pytest.param("ray", marks=pytest.mark.ray)])
def apart(request):
    """The setting of a pool whose objects live elsewhere."""
    return {request.param: True}


def test_an_object_lives_elsewhere_behind_the_same_lease(models, apart):
    with exia.pool(models.Model, params={"factor": 3}, **apart, max_size=2) as pool:
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


def test_a_ref_lives_elsewhere(apart):
    with exia.pool("python:statistics:NormalDist", **apart) as pool, pool.lease() as normal:
        assert normal.cdf(0.0) == 0.5
        assert pool.version.startswith("NormalDist@")


def test_arrays_of_every_size_cross_unchanged_and_can_be_written():
    numpy = pytest.importorskip("numpy")
    with exia.pool("python:copy", process=True, max_size=1) as pool, pool.lease() as copy:
        for n in (0, 1, 8_000, 8_192, 8_193, 500_000):
            array = numpy.arange(n, dtype="float64")
            back = copy.deepcopy(array)
            assert (back == array).all()
            back += 1  # it is the caller's own
            again = copy.deepcopy([array, array[::2], "text"])
            assert (back == array + 1).all()
            assert (again[1] == array[::2]).all()


def test_large_bytes_cross_too(models, apart):
    with exia.pool(models.Model, **apart) as pool, pool.lease() as model:
        assert model.double(b"x" * 1_000_000) == b"x" * 2_000_000


def test_an_error_elsewhere_is_raised_here_with_its_traceback(models, apart):
    with exia.pool(models.Model, **apart) as pool:
        with pytest.raises(ValueError, match="wrong model") as caught, pool.lease() as model:
            model.fails()
        assert "in fails" in "".join(caught.value.__notes__)
        assert pool.stats().size == 1, "a failed call does not end the process"


def test_wrong_calls_are_named_as_in_any_pool(models, apart):
    with exia.pool(models.Model, **apart) as pool, pool.acquire() as lease:
        with pytest.raises(MethodNotFound) as missing:
            lease.call("scal")
        assert missing.value.hint == "did you mean 'scale'?"
        with pytest.raises(MethodNotFound):
            _ = lease.object.factor
        with pytest.raises(WrongArguments) as wrong:
            lease.call("scale", speed=1)
        assert "scale(values)" in str(wrong.value.hint)
        with pytest.raises(BadInput, match="cannot be sent"):
            lease.call("scale", threading.Lock())
        with pytest.raises(TypeError, match="cannot leave its"):
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


def test_parameters_and_versions_change_live_elsewhere(models, apart):
    with exia.pool(models.Model, params={"factor": 2}, **apart, max_size=1) as pool:
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


def test_what_cannot_be_made_elsewhere_is_refused(models, apart):
    class Local:
        pass

    for target in (Local, lambda: 1, 3):
        with pytest.raises(BadInput):
            exia.pool(target, **apart)
    with exia.pool(models.nothing, **apart) as pool, pytest.raises(FactoryError):
        pool.acquire()
    with exia.pool(models.Model, params={"colour": 1}, **apart) as pool:
        with pytest.raises(FactoryError, match="colour"):
            pool.acquire()
        assert pool.stats().size == 0


@pytest.mark.ray
def test_large_arrays_cross_to_an_actor_unchanged_and_come_back_read_only():
    numpy = pytest.importorskip("numpy")
    with exia.pool("python:copy", ray=True, max_size=1) as pool, pool.lease() as copy:
        for n in (0, 1, 8_193, 500_000):
            array = numpy.arange(n, dtype="float64")
            assert (copy.deepcopy(array) == array).all()
        with pytest.raises(ValueError, match="read-only"):
            copy.deepcopy(array)[0] = 1


@pytest.mark.ray
def test_an_actor_that_dies_in_a_call_is_replaced(models):
    with exia.pool(models.Model, ray=True, max_size=1) as pool:
        with pytest.raises(WorkerDied, match="has died"), pool.lease() as model:
            model.dies()
        with pool.lease() as model:
            assert model.scale([1]) == [1]
        assert pool.stats().destroyed == {"error": 1}


@pytest.mark.ray
def test_an_actor_that_dies_idle_is_replaced(models):
    with exia.pool(models.Model, ray=True, max_size=1, validate_after=0) as pool:
        with pool.lease() as model:
            pid = model.pid()
        os.kill(pid, signal.SIGKILL)
        wait_until_gone(pid)

        with pool.lease() as model:
            assert model.pid() != pid


@pytest.mark.ray
def test_a_pool_is_swapped_to_another_version_in_actors_while_it_is_called(models):
    with exia.pool(models.Model, ray=True, max_size=2, min_idle=2) as pool:
        answers, stop = [], threading.Event()

        def work():
            while not stop.is_set():
                with pool.lease() as model:
                    answers.append(model.scale([1]))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        pool.swap(models.Live, params={"factor": 3})
        with pool.lease() as model:
            answers.append(model.scale([1]))
        stop.set()
        for thread in threads:
            thread.join()

        assert [3] in answers
        assert all(answer in ([1], [3]) for answer in answers)
        assert pool.stats().errors == 0


@pytest.mark.ray
def test_closing_ends_every_actor(models):
    with exia.pool(models.Model, ray=True, max_size=2) as pool:
        leases = [pool.acquire(), pool.acquire()]
        pids = [lease.call("pid") for lease in leases]
        for lease in leases:
            lease.release()
    for pid in pids:
        wait_until_gone(pid)


@pytest.mark.ray
def test_the_node_of_the_actors_asks_for_a_token_and_listens_on_loopback_alone():
    with exia.pool("python:statistics:NormalDist", ray=True, max_size=1) as pool, pool.lease() as normal:
        assert normal.cdf(0.0) == 0.5
        import ray

        address = ray.get_runtime_context().gcs_address
        stranger = "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1]).get_all_node_info()"
        done = subprocess.run(
            [sys.executable, "-c", stranger, address],
            env={**os.environ, "RAY_AUTH_TOKEN": "0" * 64},
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert (done.returncode, "InvalidAuthToken" in done.stderr) == (1, True)
    assert _listening_on(int(address.rpartition(":")[2])) == {"127.0.0.1"}


def _listening_on(port):
    """Return the addresses on which somebody listens at `port`; Linux lists them in hexadecimal."""
    found = set()
    for table, size in (("tcp", 8), ("tcp6", 32)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            if state == "0A" and int(local.partition(":")[2], 16) == port:
                found.add(".".join(str(byte) for byte in reversed(bytes.fromhex(local[size - 8 : size]))))
    return found


@pytest.mark.ray
def test_a_node_without_tokens_is_not_used():
    script = """
import os; os.environ["RAY_AUTH_MODE"] = "disabled"
import exia
try:
    with exia.pool(dict, ray=True) as pool:
        pool.acquire()
except exia.ExiaError as exc:
    print(type(exc.__cause__).__name__, exc.__cause__.hint)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)

    assert done.stdout == "BadInput set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN before Python starts\n", done.stderr


def test_an_object_lives_in_one_place():
    with pytest.raises(BadInput, match="not in both"):
        exia.pool(dict, process=True, ray=True)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "exia.pooling.ray", None)
    monkeypatch.delitem(sys.modules, "exia.pooling.ray")
    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(MissingExtra) as caught:
        exia.pool("python:statistics:NormalDist", ray=True)

    assert caught.value.hint == "pip install 'jiyuan-exia[ray]'"


def wait_until_gone(pid):
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        threading.Event().wait(0.02)
    pytest.fail(f"process {pid} still runs")
