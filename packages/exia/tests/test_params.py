from __future__ import annotations

import threading
from typing import Literal

import pydantic
import pytest

import exia
import exia.params
from exia.errors import BadInput, ConfigError, Damaged, InvalidParams, ParamsChanged, ParamsNotFound
from exia.params import Schema, follow
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


def test_a_set_of_a_megabyte_is_kept_and_followed(params, params_url):
    params.define("weights", {"type": "object", "properties": {"w": {"type": "array", "default": []}}})

    params.set("weights", {"w": [0.125] * 150_000})

    with follow("weights", url=params_url) as live:
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
