from __future__ import annotations

import json
import os
import pickle
import socket
import statistics
import subprocess
import sys
import threading
from datetime import date

import numpy as np
import pytest

import exia
import exia.models
from exia.errors import (
    BadInput,
    LoadError,
    MethodFailed,
    MethodNotFound,
    NotAllowed,
    NotTrusted,
    WorkerDied,
    WrongArguments,
)
from exia.models.isolation import fence
from exia.models.isolation.apart import Replies
from exia.models.isolation.data import packed, unpacked
from exia.models.isolation.limits import processors


class Hostile:
    """Pickles itself as a call of `code`, whose value becomes the model."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self):
        return eval, (self.code,)


@pytest.fixture
def isolate(monkeypatch):
    """Let isolated models load, fenced in where this kernel can."""
    monkeypatch.setenv("EXIA_ISOLATE", "unfenced" if fence.missing() else "isolated")


def told(code: str) -> str:
    """Return what a model says that evaluates `code` when it is loaded: its value, or the error."""
    caught = f"(lambda g: (exec({_TRY.format(code)!r}, g), g['said'])[1])({{}})"
    teller = f"type('Teller', (), {{'say': lambda self, said={caught}: said}})()"
    exia.models.save("hostile", Hostile(teller), format="isolated")
    with exia.models.load("hostile") as model:
        return str(model.say())


_TRY = """
try:
    said = {0}
except BaseException as exc:
    said = type(exc).__name__
"""


def test_isolated_models_are_off_by_default():
    exia.models.save("normal", statistics.NormalDist(3.0), format="isolated")

    with pytest.raises(NotAllowed, match="switched off"):
        exia.models.load("normal")
    with pytest.raises(NotAllowed, match="switched off"):
        exia.pool("model:normal")


def test_a_setting_of_another_word_is_refused(monkeypatch):
    exia.models.save("normal", statistics.NormalDist(3.0), format="isolated")
    monkeypatch.setenv("EXIA_ISOLATE", "yes")

    with pytest.raises(BadInput, match="isolate is 'yes'"):
        exia.models.load("normal")


def test_an_isolated_model_is_called_through_its_methods(isolate):
    info = exia.models.save("normal", statistics.NormalDist(3.0), format="isolated")

    with exia.models.load("normal") as model:
        assert info.format == "isolated"
        assert model.cdf(3.0) == 0.5
        with pytest.raises(MethodNotFound, match="no method 'cfd'") as caught:
            model.cfd(3.0)
        assert caught.value.hint == "did you mean 'cdf'?"
        with pytest.raises(WrongArguments, match="cdf"):
            model.cdf()
        with pytest.raises(MethodFailed, match="StatisticsError") as failed:
            model.inv_cdf(2.0)
        assert "in the model's own process" in failed.value.__notes__[0]

    with pytest.raises(WorkerDied):
        model.cdf(3.0)


def test_a_pool_lends_isolated_models_by_ref(isolate):
    exia.models.save("normal", statistics.NormalDist(3.0), format="isolated", alias="champion")

    with exia.pool("model:normal@champion", max_size=2) as pool:
        with pool.lease() as one, pool.lease() as other:
            assert (one.cdf(3.0), other.cdf(3.0)) == (0.5, 0.5)
            assert one is not other
        lease = pool.acquire()
        os.kill(lease.object._pid, 9)
        with pytest.raises(WorkerDied):
            lease.call("cdf", 3.0)
        lease.release()
        with pool.lease() as one:
            assert one.cdf(3.0) == 0.5
        assert pool.version == "normal@1"
        assert "cdf" in pool.methods()

    with pytest.raises(BadInput, match="params are for"):
        exia.pool("model:normal", params={"mu": 1})


def test_arrays_go_there_and_come_back(isolate):
    exia.models.save("weights", np.poly1d([2.0, 1.0]), format="isolated")

    with exia.models.load("weights") as model:
        values = model(np.arange(50_000.0))

    assert values.dtype == np.float64
    assert values[-1] == 2.0 * 49_999 + 1


class TestFence:
    """What a hostile model may not do, where the kernel has the fences."""

    pytestmark = pytest.mark.skipif(bool(fence.missing()), reason=f"no fences here: {fence.missing()}")

    def test_it_cannot_read_the_environment_of_its_parent(self, isolate, monkeypatch):
        monkeypatch.setenv("SECRET_TOKEN", "canary")

        assert "canary" not in told("str(dict(__import__('os').environ))")
        assert told("open('/proc/%d/environ' % __import__('os').getppid()).read()") == "PermissionError"

    def test_it_does_not_run_in_its_parent(self, isolate):
        assert told("__import__('os').getpid()") != str(os.getpid())
        assert told("__import__('os').getppid()") == str(os.getpid())

    def test_it_cannot_read_keys_nor_write_anywhere(self, isolate, tmp_path, exia_home):
        (tmp_path / "secret").write_text("canary")

        assert told(f"open({str(tmp_path / 'secret')!r}).read()") == "PermissionError"
        assert told(f"open({str(exia_home / 'keys' / 'signing.pem')!r}).read()") == "PermissionError"
        assert told("__import__('os').listdir('/')") == "PermissionError"
        assert told("open('/etc/passwd').read()") == "PermissionError"
        assert told("open('/tmp/exia-hostile', 'w')") == "PermissionError"
        assert told(f"open({str(np.__file__)!r}, 'a')") == "PermissionError"

    def test_it_has_no_network(self, isolate):
        with socket.create_server(("127.0.0.1", 0)) as server:
            at = server.getsockname()

            assert told(f"__import__('socket').create_connection({at!r}, 5)") == "PermissionError"

    def test_it_starts_no_program_and_touches_no_process(self, isolate):
        assert told("__import__('subprocess').run(['/bin/true'])") == "PermissionError"
        assert told("__import__('os').kill(__import__('os').getppid(), 0)") == "PermissionError"
        assert told("__import__('resource').prlimit(__import__('os').getppid(), 7, (9, 9))") == "PermissionError"

    def test_it_leaves_no_process_behind_but_may_have_threads(self, isolate):
        assert told("__import__('os').fork()") == "PermissionError"
        assert told("(lambda t: (t.start(), t.join(), 'ran')[2])(__import__('threading').Thread(target=len))") == "ran"

    def test_it_inherits_no_open_file(self, isolate, tmp_path):
        (tmp_path / "secret").write_text("canary")
        with (tmp_path / "secret").open() as file:
            os.set_inheritable(file.fileno(), True)

            read = told(f"__import__('os').pread({file.fileno()}, 6, 0)")
        assert read == "OSError"

    def test_a_kernel_without_fences_is_refused_unless_told_otherwise(self, isolate, monkeypatch):
        exia.models.save("normal", statistics.NormalDist(3.0), format="isolated")
        monkeypatch.setattr("exia.models.isolation.apart.missing", lambda: "the kernel has no Landlock")

        with pytest.raises(NotAllowed, match="cannot be fenced in here: the kernel has no Landlock"):
            exia.models.load("normal")
        monkeypatch.setenv("EXIA_ISOLATE", "unfenced")
        with exia.models.load("normal") as model:
            assert model.cdf(3.0) == 0.5


class TestLimits:
    """How much of the machine a model may take."""

    def test_its_memory_is_bounded_and_the_next_call_is_served(self, isolate, monkeypatch):
        monkeypatch.setenv("EXIA_ISOLATE_MEMORY", str(1 << 30))
        eater = "type('M', (), {'eat': lambda self, n: len(bytearray(n))})()"
        exia.models.save("eater", Hostile(eater), format="isolated")

        with exia.models.load("eater") as model:
            with pytest.raises(MethodFailed, match="MemoryError") as caught:
                model.eat(2 << 30)
            assert caught.value.hint.startswith("EXIA_ISOLATE_MEMORY")
            assert model.eat(1000) == 1000

    def test_it_cannot_raise_a_limit_again(self, isolate):
        assert told("__import__('resource').setrlimit(9, (1 << 40, 1 << 40))") in ("ValueError", "PermissionError")

    @pytest.mark.parametrize(("setting", "most"), [("1", 1), ("0", None)])
    def test_its_processors_are_bounded(self, isolate, monkeypatch, setting, most):
        monkeypatch.setenv("EXIA_ISOLATE_PROCESSORS", setting)

        may = int(told("len(__import__('os').sched_getaffinity(0))"))
        assert may == (most or len(os.sched_getaffinity(0)))

    @pytest.mark.skipif(bool(fence.missing()), reason=f"no fences here: {fence.missing()}")
    def test_it_cannot_choose_its_processors(self, isolate):
        assert told("__import__('os').sched_setaffinity(0, range(64))") == "PermissionError"

    def test_those_that_are_started_one_after_the_other_share_no_processor(self, monkeypatch):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {2, 3, 5, 7})

        assert {tuple(processors(1)) for _ in range(4)} == {(2,), (3,), (5,), (7,)}
        assert {tuple(processors(2)) for _ in range(2)} == {(2, 3), (5, 7)}
        assert processors(9) == [2, 3, 5, 7]
        assert processors(0) == []

    def test_a_call_that_takes_too_long_is_ended_and_the_pool_makes_another(self, isolate, monkeypatch):
        sleeper = "type('M', (), {'wait': lambda self, s: __import__('time').sleep(s), 'one': lambda self: 1})()"
        exia.models.save("sleeper", Hostile(sleeper), format="isolated")

        with exia.pool("model:sleeper", max_size=1) as pool:
            lease = pool.acquire()
            lease.object._channel.bound(0, 0.2)
            with pytest.raises(WorkerDied, match="gave no answer within") as caught:
                lease.call("wait", 60)
            lease.release()
            assert caught.value.hint.startswith("EXIA_ISOLATE_TIMEOUT")
            with pool.lease() as one:
                assert one.one() == 1

    def test_an_answer_that_comes_byte_by_byte_does_not_begin_the_time_anew(self):
        here, there = socket.socketpair()
        with here, there:
            replies = Replies(here, 0, 0)
            replies.bound(0, 0.3)
            stop = threading.Event()

            def trickle():
                while not stop.wait(0.05):
                    there.send(b"\0")

            thread = threading.Thread(target=trickle)
            there.sendall(b"\0\0\0\2")
            thread.start()
            with pytest.raises(TimeoutError):
                replies.receive()
            stop.set()
            thread.join()

    @pytest.mark.parametrize(
        ("setting", "value"), [("MEMORY", "-1"), ("PROCESSORS", "-1"), ("TIMEOUT", "-1"), ("TIMEOUT", "inf")]
    )
    def test_a_limit_that_makes_no_sense_is_refused(self, isolate, monkeypatch, setting, value):
        exia.models.save("normal", statistics.NormalDist(3.0), format="isolated")
        monkeypatch.setenv(f"EXIA_ISOLATE_{setting}", value)

        with pytest.raises(BadInput, match=f"isolate_{setting.lower()} must be 0 or more"):
            exia.models.load("normal")


def test_without_fences_the_environment_is_clean_all_the_same(monkeypatch):
    monkeypatch.setenv("EXIA_ISOLATE", "unfenced")
    monkeypatch.setenv("SECRET_TOKEN", "canary")

    assert "canary" not in told("str(dict(__import__('os').environ))")


def test_what_it_answers_is_never_unpickled(isolate):
    exia.models.save(
        "hostile",
        Hostile("type('M', (), {'__reduce__': lambda s: (print, ('x',)), 'me': lambda s: s})()"),
        format="isolated",
    )

    with exia.models.load("hostile") as model, pytest.raises(MethodFailed, match="M is no data"):
        model.me()


def test_what_it_says_cannot_act_on_a_terminal(isolate):
    escape = "exec('raise ValueError(chr(27) + chr(91) + chr(50) + chr(74) + chr(10) + chr(10))', {})"
    exia.models.save("hostile", Hostile(escape), format="isolated")

    with pytest.raises(LoadError) as caught:
        exia.models.load("hostile")
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("reply", ["5", "[]", "[1, 2, 3]", '{"a": 1}'])
def test_an_answer_of_another_shape_ends_it(reply):
    here, there = socket.socketpair()
    with here, there:
        replies = Replies(here, 0, 0)

        with pytest.raises(EOFError):
            replies._unpack([bytearray(reply.encode())])


@pytest.mark.parametrize(
    "code",
    ["1 / 0", "__import__('os')._exit(3)", "__import__('no_such_module')", "__import__('sys').exit(0)"],
)
def test_a_model_that_does_not_load_says_so(isolate, code):
    exia.models.save("broken", Hostile(code), format="isolated")

    with pytest.raises(LoadError, match="does not load"):
        exia.models.load("broken")


def test_an_unsigned_one_starts_no_process(isolate, exia_home, monkeypatch):
    exia.models.save("normal", statistics.NormalDist(3.0), format="isolated")
    for key in (exia_home / "keys" / "trusted").glob("*.pub"):
        key.unlink()
    monkeypatch.setattr("subprocess.Popen", None)

    with pytest.raises(NotTrusted):
        exia.models.load("normal")


def test_saving_one_runs_nothing_of_it(tmp_path):
    harm = pickle.dumps(Hostile(f"open({str(tmp_path / 'ran')!r}, 'w')"))
    (tmp_path / "ranker.pickle").write_bytes(harm)
    command = [sys.executable, "-c", "from exia.cli import main; main()"]

    done = subprocess.run(
        [*command, "models", "save", "ranker", "ranker.pickle", "--json"], capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout)["format"] == "isolated"
    assert not (tmp_path / "ran").exists()
    with pytest.raises(BadInput, match="no pickle"):
        exia.models.save("ranker", b"not one", format="isolated")
    with pytest.raises(BadInput, match="has no schema"):
        exia.models.save("ranker", harm, format="isolated", schema={"type": "object"})


def test_two_of_them_differ_in_facts_alone(isolate):
    exia.models.save("normal", statistics.NormalDist(3.0), format="isolated")
    exia.models.save("normal", statistics.NormalDist(4.0), format="isolated")

    assert "digest" in {d.field for d in exia.models.diff("normal@1", "normal@2")}


def test_data_comes_back_as_it_was():
    value = {
        "a": [1, 2.5, None, True, "甲"],
        1: (float("inf"), -float("inf")),
        "$odd": b"bytes",
        "when": date(2026, 1, 5),
        "array": np.arange(6, dtype="int32").reshape(2, 3),
        "empty": np.zeros((0, 3)),
        "scalar": np.float32(0.5),
    }

    back = unpacked([bytearray(part) for part in packed(value)])

    assert {k: v for k, v in back.items() if k not in ("array", "empty")} == {
        k: v for k, v in value.items() if k not in ("array", "empty")
    }
    assert np.array_equal(back["array"], value["array"])
    assert back["empty"].shape == (0, 3)
    with pytest.raises(TypeError, match="object is no data"):
        packed(object())
    with pytest.raises(TypeError, match="is no data"):
        packed(np.array([object()]))


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        '{"$array": 5, "dtype": "<f8", "shape": [1]}',
        '{"$array": 0, "dtype": "O", "shape": [1]}',
        '{"$array": 0, "dtype": "<f8", "shape": [9]}',
        '{"$array": 0, "dtype": "f8,O", "shape": [1]}',
        '{"$array": 1, "dtype": "<f8", "shape": [1000000000000]}',
        '{"$what": 0}',
        '{"$dict": [[[1], 2]]}',
        "[" * 100_000,
    ],
)
def test_an_answer_that_lies_is_refused(text):
    with pytest.raises(ValueError, match="no answer"):
        unpacked([bytearray(text.encode()), bytearray(8), bytearray()])


def test_the_fence_names_what_the_kernel_lacks(monkeypatch):
    fence.missing.cache_clear()
    monkeypatch.setattr(fence.platform, "machine", lambda: "riscv64")
    try:
        assert "riscv64" in fence.missing()
    finally:
        monkeypatch.undo()
        fence.missing.cache_clear()


@pytest.mark.parametrize(
    ("setting", "lacks", "says"),
    [
        ("off", "", "they do not load"),
        ("isolated", "", "without files, network or secrets"),
        ("isolated", "no Landlock", "no Landlock"),
        ("unfenced", "no Landlock", "can read files"),
    ],
)
def test_the_doctor_says_how_they_load(monkeypatch, setting, lacks, says):
    from exia._house.config import load_config
    from exia._house.doctor import examine
    from exia.doctor import checks
    from exia.settings import SETTINGS

    monkeypatch.setenv("EXIA_ISOLATE", setting)
    monkeypatch.setattr("exia.models.isolation.fence.missing", lambda: lacks)

    (found,) = (f for f in examine(checks(load_config(SETTINGS))) if f.name == "isolated models")

    assert says in f"{found.detail} {found.hint}"
    assert found.ok == ("Landlock" not in says)
