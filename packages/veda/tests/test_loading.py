"""Load a package: isolated from the caller and from its other versions."""

import pickle
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import veda
from veda import BadInput, MissingRequirement, NotFound

TOML = """\
[package]
name = "small"
version = "1.0"
license = "MIT"
requires = {requires}
[entry-points]
{points}
"""
MOMENTUM = Path(__file__).parents[3] / "examples" / "momentum"


@pytest.fixture
def publish(workspace, tmp_path):
    """Give a function that packs, pushes and pulls a version of the small package."""

    def publish(version="1.0", word="one", **files):
        package = veda.pack(workspace(version, word, folder=f"small-{version}", **files))
        veda.push(package)
        return veda.pull(f"small@{version}")

    return publish


def test_a_loaded_class_works_and_says_where_it_is_from(publish):
    pulled = publish()

    small = veda.load("small")

    assert small(step=2).signal(1.5) == 3.5
    assert (small.package.name, small.package.version, small.package.digest) == ("small", "1.0", pulled.digest)


def test_two_versions_are_loaded_at_once(publish):
    publish("1.0", "one")
    publish("2.0", "two")

    old, new = veda.load("small@1.0"), veda.load("small@2.0")

    assert (old().word(), new().word()) == ("one", "two")
    assert veda.load("small@1.0") is old


def test_modules_of_a_package_and_of_the_caller_do_not_meet(publish, monkeypatch):
    mine = types.ModuleType("small")
    monkeypatch.setitem(sys.modules, "small", mine)
    publish()

    assert veda.load("small")().word() == "one"
    assert sys.modules["small"] is mine
    assert "small.parts" not in sys.modules


def test_imports_of_every_form_find_the_package_itself(publish):
    source = """\
import json
import small.parts
import small.parts as parts
from small import parts as again
from . import parts as relative
from .parts import WORD

class Small:
    def same(self):
        import small.parts as late
        assert json.loads("1") == 1
        return {small.parts, parts, again, relative, late}, WORD
"""
    publish(**{"src/small/__init__.py": source})

    modules, word = veda.load("small")().same()

    assert len(modules) == 1
    assert word == "one"


def test_loading_leaves_the_tree_as_it_was(publish):
    from veda.verifying import verify_any

    publish()
    veda.load("small")().word()

    assert verify_any("small").name == "small"


def test_an_object_can_be_pickled_where_it_was_made(publish):
    publish()
    small = veda.load("small")(step=3)

    assert pickle.loads(pickle.dumps(small)).signal(1) == 4


def test_many_threads_load_the_same_class(publish):
    publish()

    with ThreadPoolExecutor(8) as pool:
        classes = set(pool.map(lambda _: veda.load("small"), range(16)))

    assert len(classes) == 1


def test_a_registered_file_is_installed_when_it_is_first_loaded(workspace):
    veda.register(veda.pack(workspace()))

    assert veda.load("small")().word() == "one"


def test_a_registered_release_that_nothing_holds_is_not_found(workspace):
    package = veda.pack(workspace())
    veda.register(package)
    package.path.unlink()

    with pytest.raises(NotFound, match="neither its file nor the store"):
        veda.load("small")


def test_exia_finds_a_loader_with_what_it_needs(publish):
    pulled = publish()
    (point,) = entry_points(group="exia.loaders", name="veda")

    loaded = point.load()("small@~=1.0")

    assert (loaded.name, loaded.version, loaded.digest) == ("small", "1.0", pulled.digest)
    assert loaded.factory(step=5).signal(1) == 6
    assert loaded.methods["signal"] == {
        "signature": "(value: float) -> float",
        "summary": "Return `value` plus the step.",
    }
    with pytest.raises(NotFound):
        point.load()("unknown")


@pytest.mark.parametrize("requirement", ["no-such-distribution-at-all", "click>=9000"])
def test_a_missing_requirement_is_named(publish, requirement):
    toml = TOML.format(requires=f'["{requirement}"]', points='a = "small:Small"')
    publish(**{"veda.toml": toml})

    with pytest.raises(MissingRequirement) as caught:
        veda.load("small")
    assert caught.value.hint == f"pip install '{requirement}'"


def test_a_requirement_for_other_machines_is_not_asked_for(publish):
    requires = "[\"nothing; sys_platform == 'nowhere'\"]"
    toml = TOML.format(requires=requires, points='a = "small:Small"')
    publish(**{"veda.toml": toml})

    assert veda.load("small").package.version == "1.0"


def test_code_that_fails_on_import_is_named(publish):
    publish(**{"src/small/__init__.py": "class Small: ...\n1 / 0\n"})

    with pytest.raises(BadInput, match=r"small@1\.0 fails on import: ZeroDivisionError"):
        veda.load("small")


def test_one_of_several_entry_points_is_chosen_by_name(publish):
    toml = TOML.format(requires="[]", points='a = "small:Small"\nb = "small:make"')
    source = "class Small: ...\ndef make(step: int = 2):\n    return step\n"
    publish(**{"veda.toml": toml, "src/small/__init__.py": source})

    assert veda.load("small", "b")() == 2
    with pytest.raises(BadInput, match="several entry points: a, b"):
        veda.load("small")
    with pytest.raises(NotFound, match="no entry point 'c'"):
        veda.load("small", "c")


def test_the_momentum_example_goes_the_whole_way(tmp_path):
    np = pytest.importorskip("numpy")
    package = veda.pack(MOMENTUM, tmp_path / "momentum-1.2.0-any.vedapkg")
    veda.register(package, home=tmp_path / "author")
    veda.push("momentum@1.2.0", f"file:{tmp_path}/shared", home=tmp_path / "author")
    veda.pull("momentum@~=1.2", f"file:{tmp_path}/shared", home=tmp_path / "reader")

    momentum = veda.load("momentum", home=tmp_path / "reader")

    prices = np.array([[10.0, 20.0], [11.0, 19.0], [12.0, 18.0]])
    assert momentum(lookback=2, skip=0, top=1).signal(prices).tolist() == [1.0, 0.0]
    assert set(veda.inspect(package.path)["entry_points"][0]["methods"]) == {"signal", "rebalance_days"}
