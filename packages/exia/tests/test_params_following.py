from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from typing import Literal
from urllib.parse import urlsplit

import pydantic
import pytest

import exia
import exia.params
from exia.errors import BackendUnavailable, ParamsNotFound
from exia.params import follow, open_params

WINDOW = {
    "type": "object",
    "properties": {
        "window": {"type": "integer", "minimum": 1, "default": 20},
        "mode": {"enum": ["long", "short"], "default": "long"},
        "limits": {"type": "object", "properties": {"max": {"type": "number"}}, "default": {}},
    },
}


class Momentum(pydantic.BaseModel):
    window: int = pydantic.Field(20, ge=1, le=250)
    decay: float = 0.5
    mode: Literal["long", "short"] = "long"

    @pydantic.model_validator(mode="after")
    def fits(self):
        if self.mode == "short" and self.window > 100:
            raise ValueError("a short mode needs a window of 100 at most")
        return self


class Target:
    """What a pool is to parameters."""

    def __init__(self) -> None:
        self.given: list[dict] = []

    def set_params(self, params):
        if params.get("window") == 13:
            raise ValueError("thirteen is not for us")
        self.given.append(params)


class TestFollowing:
    def test_a_change_reaches_every_target(self, params, params_url):
        params.define("momentum", WINDOW)
        a, b = Target(), Target()
        with follow("momentum", a, b, url=params_url) as live:
            params.set("momentum", {"window": 10, "mode": "short"}, why="faster")

            assert live.wait(2, timeout=20)

            assert live.snapshot.values == {"window": 10, "mode": "short", "limits": {}}
            assert (live.generation, live.snapshot.version, live.snapshot.why) == (1, 2, "faster")
        assert (
            a.given
            == b.given
            == [
                {"window": 20, "mode": "long", "limits": {}},
                {"window": 10, "mode": "short", "limits": {}},
            ]
        )

    def test_a_snapshot_cannot_be_changed(self, params, params_url):
        params.define("momentum", WINDOW, {"limits": {"max": 1}})

        with follow("momentum", url=params_url) as live:
            with pytest.raises(TypeError):
                live.snapshot.values["window"] = 1
            with pytest.raises(TypeError):
                live.snapshot.values["limits"]["max"] = 2

    def test_the_pydantic_model_comes_with_the_values(self, params, params_url):
        params.define("momentum", Momentum)

        with follow("momentum", schema=Momentum, url=params_url) as live:
            params.set("momentum", {"window": 7})
            live.wait(2, timeout=20)

            assert live.snapshot.model == Momentum(window=7)

    def test_a_bad_remote_value_never_reaches_a_target(self, params, params_url):
        params.define("momentum", WINDOW)
        target, events = Target(), []
        with follow("momentum", target, url=params_url, on_event=lambda *e: events.append(e)) as live:
            now = params.get("momentum")
            broken = json.loads(now.body()) | {"version": 2, "values": {"window": -1}}
            params.store.publish("momentum", 2, json.dumps(broken).encode())

            assert live.wait(2, timeout=20)

            assert live.snapshot.version == 1
            assert live.rejected.version == 2
            assert "window is -1" in live.rejected.reason
            params.rollback("momentum", 1)
            assert live.wait(3, timeout=20)
            assert (live.snapshot.version, live.rejected) == (3, None)
        assert [g["window"] for g in target.given] == [20, 20]
        assert [e[0] for e in events][:2] == ["rejected", "changed"]

    @pytest.mark.parametrize("body", [b"no json", b"[]", b'{"name": 1}'])
    def test_bytes_that_are_no_version_never_reach_a_target(self, params, params_url, body):
        params.define("momentum", WINDOW)
        target = Target()
        with follow("momentum", target, url=params_url) as live:
            params.store.publish("momentum", 2, body)
            live.wait(2, timeout=20)

            assert live.snapshot.version == 1
            assert live.rejected.version == 2
        assert len(target.given) == 1

    def test_the_rules_of_the_code_that_runs_here_hold_too(self, params, params_url):
        params.define("momentum", {"type": "object", "additionalProperties": True}, {"window": 20})
        with follow("momentum", schema=Momentum, url=params_url) as live:
            params.set("momentum", {"window": 0})
            live.wait(2, timeout=20)

            assert live.rejected.version == 2

    def test_the_check_of_the_algorithm_may_refuse(self, params, params_url):
        params.define("momentum", WINDOW)
        with follow("momentum", url=params_url, check=lambda values: values["window"] % 2 == 0) as live:
            params.set("momentum", {"window": 3})
            live.wait(2, timeout=20)

            assert "own check" in live.rejected.reason

    def test_what_one_target_refuses_no_target_keeps(self, params, params_url):
        params.define("momentum", WINDOW)
        calm = Target()
        calm.set_params = calm.given.append
        with follow("momentum", calm, Target(), url=params_url) as live:
            params.set("momentum", {"window": 13})
            live.wait(2, timeout=20)

            assert live.snapshot.values["window"] == 20
        assert [g["window"] for g in calm.given] == [20, 13, 20]

    def test_what_is_not_defined_cannot_be_followed(self, params_url):
        with pytest.raises(ParamsNotFound, match="ghost"):
            follow("ghost", url=params_url)

    def test_a_forked_child_follows_too(self, params, params_url):
        params.define("momentum", WINDOW)
        with follow("momentum", url=params_url) as live:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12, of a fork where threads run
                child = os.fork()
            if child == 0:
                os._exit(0 if live.wait(2, timeout=20) else 1)
            params.set("momentum", {"window": 10})

            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_without_inotify_a_change_arrives_all_the_same(tmp_path, monkeypatch):
    from exia.params.watch import FolderWatch

    monkeypatch.setattr(FolderWatch, "__enter__", lambda self: self)
    exia.params.define("momentum", WINDOW)
    with follow("momentum") as live:
        exia.params.set("momentum", {"window": 10})

        assert live.wait(2, timeout=20)


@pytest.mark.consul
class TestConsulDown:
    def test_the_last_good_version_of_this_disk_is_used_and_told_to_be_stale(self, consul_url):
        with open_params(consul_url) as params:
            params.define("momentum", WINDOW, {"window": 7})
        follow("momentum", url=consul_url).close()
        target = Target()

        with follow("momentum", target, url="consul://127.0.0.1:1") as live:
            assert live.snapshot.stale
            assert live.snapshot.values["window"] == 7
        assert target.given == [{"window": 7, "mode": "long", "limits": {}}]

    def test_a_damaged_copy_is_not_used(self, consul_url, exia_home):
        with open_params(consul_url) as params:
            params.define("momentum", WINDOW, {"window": 7})
        follow("momentum", url=consul_url).close()
        (copy,) = exia_home.joinpath("cache", "params").glob("*.json")
        copy.write_bytes(copy.read_bytes().replace(b"7", b"8"))

        with pytest.raises(BackendUnavailable):
            follow("momentum", url="consul://127.0.0.1:1")

    def test_the_doctor_says_how_old_the_copy_is(self, consul_url, exia_home, monkeypatch):
        with open_params(consul_url) as params:
            params.define("momentum", WINDOW)
        follow("momentum", url=consul_url).close()
        env = {**os.environ, "EXIA_PARAMS": "consul://:canary@127.0.0.1:1"}
        command = [sys.executable, "-c", "from exia.cli import main; main()", "doctor"]

        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)

        assert done.returncode == 6
        assert "does not answer" in done.stdout
        assert "momentum version 1 from" in done.stdout
        assert "canary" not in done.stdout + done.stderr

    def test_what_others_wrote_there_is_told(self, consul_url, consul_agent):
        consul_agent.kv.put(f"{urlsplit(consul_url).path.strip('/')}/current/momentum", "no json")

        with open_params(consul_url) as params, pytest.raises(BackendUnavailable, match="no parameters"):
            params.get("momentum")


class Signal:
    """An algorithm that takes new parameters while it lives."""

    made = 0

    def __init__(self, window: int = 20, mode: str = "long", limits: object = None) -> None:
        type(self).made += 1
        self.window = window

    def apply_params(self, snapshot) -> None:
        self.window = snapshot["window"]


class TestPools:
    def test_every_object_has_a_change_at_its_next_lease_and_none_during_one(self, params, params_url):
        Signal.made = 0
        params.define("momentum", WINDOW)
        with exia.pool(Signal, max_size=2) as pool, follow("momentum", pool, url=params_url) as live:
            with pool.lease() as running, pool.lease():
                params.set("momentum", {"window": 10})
                assert live.wait(2, timeout=20)
                assert running.window == 20

            with pool.lease() as one, pool.lease() as other:
                assert (one.window, other.window) == (10, 10)
        assert Signal.made == 2

    def test_objects_of_a_class_that_cannot_take_them_are_made_anew(self, params, params_url):
        class Fixed:
            def __init__(self, window: int = 20, mode: str = "long", limits: object = None) -> None:
                self.window = window

        params.define("momentum", WINDOW)
        with exia.pool(Fixed, max_size=1) as pool, follow("momentum", pool, url=params_url) as live:
            with pool.lease() as old:
                pass
            params.set("momentum", {"window": 10})
            live.wait(2, timeout=20)

            with pool.lease() as new:
                assert new is not old
                assert new.window == 10

    def test_what_the_class_does_not_take_is_refused_and_the_pool_goes_on(self, params, params_url):
        params.define("momentum", {"type": "object", "additionalProperties": True}, {"window": 20})
        with exia.pool(dict, max_size=1) as pool, follow("momentum", pool, url=params_url), pool.lease() as values:
            assert values == {"window": 20}

        class Narrow:
            def __init__(self, window: int) -> None:
                self.window = window

        with exia.pool(Narrow, params={"window": 20}) as pool, follow("momentum", pool, url=params_url) as live:
            params.set("momentum", {"mode": "short"})
            live.wait(2, timeout=20)

            assert live.rejected.version == 2
            with pool.lease() as narrow:
                assert narrow.window == 20
