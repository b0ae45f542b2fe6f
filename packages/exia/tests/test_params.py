from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

import pydantic
import pytest

import exia
import exia.params
from exia.errors import BackendUnavailable, BadInput, ConfigError, Damaged, InvalidParams, ParamsChanged, ParamsNotFound
from exia.params import Params, Schema, follow, open_params
from exia.testing import ParamsContract

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


@pytest.fixture
def consul_url(tmp_path) -> Iterator[str]:
    pytest.importorskip("consul", reason="pip install 'jiyuan-exia[consul]' to run this")
    given = os.environ["EXIA_TEST_CONSUL_URL"]
    prefix = f"exia-test/{os.getpid()}/{tmp_path.name}"
    yield urlunsplit(urlsplit(given)._replace(path=f"/{prefix}"))
    client = agent()
    client.kv.delete(prefix, recurse=True)
    client.http.session.close()


def agent():
    import consul

    parts = urlsplit(os.environ["EXIA_TEST_CONSUL_URL"])
    return consul.Consul(parts.hostname, parts.port)


@pytest.fixture(params=["file", pytest.param("consul", marks=pytest.mark.consul)])
def url(request, tmp_path) -> str:
    return f"file://{tmp_path}/params" if request.param == "file" else request.getfixturevalue("consul_url")


@pytest.fixture
def params(url) -> Iterator[Params]:
    with open_params(url) as opened:
        yield opened


@pytest.fixture
def store(params):
    return params.store


class TestParams(ParamsContract):
    """All of `ParamsContract`, once per backend."""


def test_defaults_are_in_force_from_the_definition_on(params):
    version = params.define("momentum", WINDOW, {"window": 5}, why="first")

    assert version.values == {"window": 5, "mode": "long", "limits": {}}
    assert params.get("momentum") == version
    assert (version.version, version.why) == (1, "first")
    assert "@" in version.who
    assert version.at.endswith("+00:00")


def test_keys_that_are_set_together_change_together_or_not_at_all(params):
    params.define("momentum", WINDOW)

    params.set("momentum", {"window": 10, "mode": "short"}, why="why not")
    with pytest.raises(InvalidParams):
        params.set("momentum", {"window": 30, "mode": "sideways"})

    assert params.get("momentum").values == {"window": 10, "mode": "short", "limits": {}}
    assert params.get("momentum").version == 2


def test_two_who_set_at_once_lose_nothing(params):
    params.define("momentum", {"type": "object", "properties": {f"k{n}": {"type": "integer"} for n in range(4)}})

    def change(n: int) -> None:
        params.set("momentum", {f"k{n}": n})

    threads = [threading.Thread(target=change, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert params.get("momentum").values == {f"k{n}": n for n in range(4)}
    assert params.get("momentum").version == 5


def test_who_expects_another_version_is_refused(params):
    params.define("momentum", WINDOW)
    params.set("momentum", {"window": 10}, expect=1)

    with pytest.raises(ParamsChanged, match="at version 2, not 1"):
        params.set("momentum", {"window": 30}, expect=1)
    assert params.get("momentum").values["window"] == 10


def test_the_history_says_who_when_and_why_and_a_rollback_is_a_part_of_it(params):
    params.define("momentum", WINDOW)
    params.set("momentum", {"window": 10}, why="faster", who="wang")
    params.set("momentum", {"window": 11, "mode": "short"})

    params.rollback("momentum", 2)
    params.rollback("momentum")

    told = [(v.version, v.values["window"], v.why) for v in params.history("momentum")]
    assert told == [
        (5, 11, "rollback to version 3"),
        (4, 10, "rollback to version 2"),
        (3, 11, ""),
        (2, 10, "faster"),
        (1, 20, "define"),
    ]
    assert params.get("momentum", 2).who == "wang"
    assert [v.version for v in params.history("momentum", limit=2)] == [5, 4]


def test_a_difference_names_each_key_with_both_values(params):
    params.define("momentum", WINDOW)
    params.set("momentum", {"window": 10, "limits": {"max": 1.5}})

    assert params.diff("momentum") == [("limits", {}, {"max": 1.5}), ("window", 20, 10)]
    assert params.diff("momentum", 2, 2) == []


def test_a_set_of_a_megabyte_is_kept_and_followed(params, url):
    params.define("weights", {"type": "object", "properties": {"w": {"type": "array", "default": []}}})

    params.set("weights", {"w": [0.125] * 150_000})

    with follow("weights", url=url) as live:
        assert len(live.snapshot.values["w"]) == 150_000


class TestRules:
    @pytest.mark.parametrize(
        ("values", "field", "rule", "value"),
        [
            ({"window": 0}, "window", "minimum 1", 0),
            ({"window": 1.5}, "window", "type 'integer'", 1.5),
            ({"window": True}, "window", "type 'integer'", True),
            ({"mode": "up"}, "mode", "enum ['long', 'short']", "up"),
            ({"limits": {"max": "x"}}, "limits.max", "type 'number'", "x"),
            ({"windw": 3}, "windw", "unknown name", 3),
        ],
    )
    def test_what_breaks_one_is_refused_with_field_rule_and_value(self, values, field, rule, value):
        exia.params.define("momentum", WINDOW)

        with pytest.raises(InvalidParams) as caught:
            exia.params.set("momentum", values)

        assert caught.value.problems == [{"field": field, "rule": rule, "value": value}]
        assert field in str(caught.value)
        assert exia.params.get("momentum").version == 1

    def test_a_mistyped_name_gets_the_nearest(self):
        exia.params.define("momentum", WINDOW)

        with pytest.raises(InvalidParams) as caught:
            exia.params.set("momentum", {"windw": 3})
        assert caught.value.hint == "did you mean 'window'?"

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"x"])
    def test_what_json_cannot_say_is_refused(self, value):
        exia.params.define("free", {"type": "object", "additionalProperties": True})

        with pytest.raises(BadInput):
            exia.params.set("free", {"x": value})
        assert exia.params.get("free").version == 1

    def test_a_pydantic_model_brings_its_own(self):
        exia.params.define("momentum", Momentum)

        with pytest.raises(InvalidParams, match="maximum 250"):
            exia.params.set("momentum", {"window": 300})
        with pytest.raises(InvalidParams, match="100 at most"):
            exia.params.define("momentum", Momentum, {"window": 200, "mode": "short"})

    def test_a_class_says_by_its_constructor_what_it_takes(self):
        class Ema:
            def __init__(self, span: int, alpha: float = 0.5, *, name=None, adjust=True):
                pass

        exia.params.define("ema", Ema, {"span": 3})

        assert exia.params.get("ema").values == {"span": 3, "alpha": 0.5, "name": None, "adjust": True}
        for wrong in ({"span": "x"}, {"adjust": "yes"}, {"beta": 1}):
            with pytest.raises(InvalidParams):
                exia.params.set("ema", wrong)
        with pytest.raises(InvalidParams, match=r"span is None.*required"):
            exia.params.define("other", Ema)

    def test_a_ref_says_what_its_algorithm_takes(self):
        exia.params.define("normal", "python:statistics:NormalDist", {"sigma": 2.0})

        with pytest.raises(InvalidParams):
            exia.params.set("normal", {"sigma": "wide"})

    def test_a_new_schema_must_fit_the_values_in_force(self):
        exia.params.define("momentum", WINDOW, {"window": 500})

        with pytest.raises(InvalidParams, match="window is 500"):
            exia.params.define("momentum", Momentum)
        assert exia.params.get("momentum").version == 1

    @pytest.mark.parametrize("schema", [{"type": "array"}, {"type": "object", "properties": 3}, {}, 3, object()])
    def test_what_is_no_schema_is_refused(self, schema):
        with pytest.raises(BadInput):
            exia.params.define("momentum", schema)
        assert exia.params.names() == []


class Target:
    """What a pool is to parameters."""

    def __init__(self) -> None:
        self.given: list[dict] = []

    def set_params(self, params):
        if params.get("window") == 13:
            raise ValueError("thirteen is not for us")
        self.given.append(params)


class TestFollowing:
    def test_a_change_reaches_every_target(self, params, url):
        params.define("momentum", WINDOW)
        a, b = Target(), Target()
        with follow("momentum", a, b, url=url) as live:
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

    def test_a_snapshot_cannot_be_changed(self, params, url):
        params.define("momentum", WINDOW, {"limits": {"max": 1}})

        with follow("momentum", url=url) as live:
            with pytest.raises(TypeError):
                live.snapshot.values["window"] = 1
            with pytest.raises(TypeError):
                live.snapshot.values["limits"]["max"] = 2

    def test_the_pydantic_model_comes_with_the_values(self, params, url):
        params.define("momentum", Momentum)

        with follow("momentum", schema=Momentum, url=url) as live:
            params.set("momentum", {"window": 7})
            live.wait(2, timeout=20)

            assert live.snapshot.model == Momentum(window=7)

    def test_a_bad_remote_value_never_reaches_a_target(self, params, url):
        params.define("momentum", WINDOW)
        target, events = Target(), []
        with follow("momentum", target, url=url, on_event=lambda *e: events.append(e)) as live:
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
    def test_bytes_that_are_no_version_never_reach_a_target(self, params, url, body):
        params.define("momentum", WINDOW)
        target = Target()
        with follow("momentum", target, url=url) as live:
            params.store.publish("momentum", 2, body)
            live.wait(2, timeout=20)

            assert live.snapshot.version == 1
            assert live.rejected.version == 2
        assert len(target.given) == 1

    def test_the_rules_of_the_code_that_runs_here_hold_too(self, params, url):
        params.define("momentum", {"type": "object", "additionalProperties": True}, {"window": 20})
        with follow("momentum", schema=Momentum, url=url) as live:
            params.set("momentum", {"window": 0})
            live.wait(2, timeout=20)

            assert live.rejected.version == 2

    def test_the_check_of_the_algorithm_may_refuse(self, params, url):
        params.define("momentum", WINDOW)
        with follow("momentum", url=url, check=lambda values: values["window"] % 2 == 0) as live:
            params.set("momentum", {"window": 3})
            live.wait(2, timeout=20)

            assert "own check" in live.rejected.reason

    def test_what_one_target_refuses_no_target_keeps(self, params, url):
        params.define("momentum", WINDOW)
        calm = Target()
        calm.set_params = calm.given.append
        with follow("momentum", calm, Target(), url=url) as live:
            params.set("momentum", {"window": 13})
            live.wait(2, timeout=20)

            assert live.snapshot.values["window"] == 20
        assert [g["window"] for g in calm.given] == [20, 13, 20]

    def test_what_is_not_defined_cannot_be_followed(self, url):
        with pytest.raises(ParamsNotFound, match="ghost"):
            follow("ghost", url=url)

    def test_a_forked_child_follows_too(self, params, url):
        params.define("momentum", WINDOW)
        with follow("momentum", url=url) as live:
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


def test_what_a_killed_writer_left_before_the_pointer_moved_is_replaced(exia_home):
    exia.params.define("momentum", WINDOW)
    (exia_home / "params" / "momentum" / "v00000002.json").write_text("half a vers")

    assert exia.params.get("momentum").version == 1
    assert exia.params.set("momentum", {"window": 3}).version == 2
    assert exia.params.get("momentum").values["window"] == 3


def test_an_altered_version_is_damaged_and_rolled_back(exia_home):
    exia.params.define("momentum", WINDOW)
    exia.params.set("momentum", {"window": 3})
    path = exia_home / "params" / "momentum" / "v00000002.json"
    path.write_bytes(path.read_bytes().replace(b"3", b"4", 1))

    with pytest.raises(Damaged, match="version 2 of momentum"):
        exia.params.get("momentum")


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

    def test_what_others_wrote_there_is_told(self, consul_url):
        client = agent()
        client.kv.put(f"{urlsplit(consul_url).path.strip('/')}/current/momentum", "no json")
        client.http.session.close()

        with open_params(consul_url) as params, pytest.raises(BackendUnavailable, match="no parameters"):
            params.get("momentum")


@pytest.mark.parametrize("name", ["../evil", "a/b", "", "a b"])
def test_a_name_that_could_be_a_path_is_refused(exia_home, name):
    with pytest.raises(BadInput, match="cannot be called"):
        exia.params.define(name, WINDOW)
    assert not (exia_home / "params").exists()


def test_a_name_near_the_one_meant_is_given():
    exia.params.define("momentum", WINDOW)

    with pytest.raises(ParamsNotFound) as caught:
        exia.params.set("momentun", {"window": 3})
    assert caught.value.hint == "did you mean 'momentum'?"
    with pytest.raises(ParamsNotFound, match="there are 1 to 1"):
        exia.params.get("momentum", 2)
    with pytest.raises(ParamsNotFound, match="no earlier version"):
        exia.params.rollback("momentum")


def test_a_schema_is_made_once_of_what_is_one_already():
    made = Schema.of(WINDOW)

    assert Schema.of(made) is made


def test_an_unknown_setting_is_an_error(tmp_path):
    (tmp_path / "jiyuan.toml").write_text("[exia]\nparam = 'file://'\n")

    with pytest.raises(ConfigError, match="param"):
        exia.params.names()


class Signal:
    """An algorithm that takes new parameters while it lives."""

    made = 0

    def __init__(self, window: int = 20, mode: str = "long", limits: object = None) -> None:
        type(self).made += 1
        self.window = window

    def apply_params(self, snapshot) -> None:
        self.window = snapshot["window"]


class TestPools:
    def test_every_object_has_a_change_at_its_next_lease_and_none_during_one(self, params, url):
        Signal.made = 0
        params.define("momentum", WINDOW)
        with exia.pool(Signal, max_size=2) as pool, follow("momentum", pool, url=url) as live:
            with pool.lease() as running, pool.lease():
                params.set("momentum", {"window": 10})
                assert live.wait(2, timeout=20)
                assert running.window == 20

            with pool.lease() as one, pool.lease() as other:
                assert (one.window, other.window) == (10, 10)
        assert Signal.made == 2

    def test_objects_of_a_class_that_cannot_take_them_are_made_anew(self, params, url):
        class Fixed:
            def __init__(self, window: int = 20, mode: str = "long", limits: object = None) -> None:
                self.window = window

        params.define("momentum", WINDOW)
        with exia.pool(Fixed, max_size=1) as pool, follow("momentum", pool, url=url) as live:
            with pool.lease() as old:
                pass
            params.set("momentum", {"window": 10})
            live.wait(2, timeout=20)

            with pool.lease() as new:
                assert new is not old
                assert new.window == 10

    def test_what_the_class_does_not_take_is_refused_and_the_pool_goes_on(self, params, url):
        params.define("momentum", {"type": "object", "additionalProperties": True}, {"window": 20})
        with exia.pool(dict, max_size=1) as pool, follow("momentum", pool, url=url), pool.lease() as values:
            assert values == {"window": 20}

        class Narrow:
            def __init__(self, window: int) -> None:
                self.window = window

        with exia.pool(Narrow, params={"window": 20}) as pool, follow("momentum", pool, url=url) as live:
            params.set("momentum", {"mode": "short"})
            live.wait(2, timeout=20)

            assert live.rejected.version == 2
            with pool.lease() as narrow:
                assert narrow.window == 20
