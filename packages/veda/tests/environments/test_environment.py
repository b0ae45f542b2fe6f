"""Environments are generations that never change; one rename moves between them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from veda import (
    BadInput,
    Conflict,
    Damaged,
    NotFound,
    ReleaseExists,
    create_environment,
    lock,
    rollback_environment,
    tag,
)
from veda.environment import (
    diff_environments,
    environments,
    find_generation,
    generations,
    remove_environment,
    repair_environment,
)
from veda.environment_export import FORMATS, exported
from veda.environment_garbage import collect, live, remember_lock, roots
from veda.environment_template import template_lock, templates, upload_template
from veda.installed import tree_path
from veda.lock_distributions import find_uv

SAY = "import alpha, common; print(alpha.Algorithm().version(), common.Algorithm().version())"

needs_uv = pytest.mark.skipif(find_uv() is None, reason="needs uv on PATH: pip install uv")


def run(generation, code=SAY, **more):
    done = subprocess.run([generation.python, "-c", code], capture_output=True, text=True, check=True, **more)
    return done.stdout.strip()


def test_an_environment_holds_what_its_lock_says_and_nothing_of_ours(family):
    made = create_environment("research", ["alpha"]).generation

    assert run(made) == "1.0 1.0"
    with pytest.raises(subprocess.CalledProcessError):
        run(made, "import veda")


def test_the_same_lock_again_changes_nothing(family):
    first = create_environment("research", ["alpha"])
    again = create_environment("research", ["alpha"])

    assert (first.made, first.switched) == (True, True)
    assert (again.made, again.switched, again.generation) == (False, False, first.generation)


def test_a_process_that_runs_keeps_the_generation_it_has(family, home):
    create_environment("research", ["beta@0.9", "alpha"])
    link = home / "envs" / "research" / "current" / "bin" / "python"
    code = "input(); import beta; print(beta.Algorithm().version())"
    old = subprocess.Popen([link, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    create_environment("research", ["beta"])
    new = subprocess.run([link, "-c", code], input="\n", capture_output=True, text=True, check=True)

    assert old.communicate("\n")[0] == "0.9\n"
    assert new.stdout == "1.0\n"


def test_going_back_and_forth_between_generations(family):
    for refs in (["alpha"], ["beta"], ["beta", "common"]):
        create_environment("research", refs)

    assert rollback_environment("research").number == 2
    assert rollback_environment("research").number == 1
    with pytest.raises(NotFound, match="first generation"):
        rollback_environment("research")
    assert rollback_environment("research", 3).number == 3
    assert [g.number for g in generations("research")] == [1, 2, 3]
    assert [str(g) for g in environments()] == ["research@3"]
    with pytest.raises(NotFound, match="no generation 9; it has 1, 2, 3"):
        rollback_environment("research", 9)


def test_what_differs_between_generations_is_listed(family):
    create_environment("research", ["alpha"])
    create_environment("research", lock(["beta"], variables={"A": "1"}))

    rows = {
        (r["kind"], r["name"]): (r["before"][:3], r["after"][:3]) for r in diff_environments("research@1", "research")
    }

    assert rows == {
        ("package", "alpha"): ("1.0", ""),
        ("package", "beta"): ("", "1.0"),
        ("package", "common"): ("1.0", "2.0"),
        ("variable", "A"): ("", "1"),
    }


@needs_uv
def test_distributions_are_installed_once_and_their_scripts_run_in_the_environment(publish, wheel, home):
    folder = wheel("lib_a", "1.5", "say-a")
    publish("alpha", "1.0", requires=("lib-a",))
    publish("beta", "1.0", requires=("lib-a",))
    one = create_environment("one", ["alpha"], wheels=folder).generation
    two = create_environment("two", ["beta"], wheels=folder).generation

    said = subprocess.run([two.path / "bin" / "say-a"], capture_output=True, text=True, check=True).stdout

    assert run(one, "import lib_a, alpha; print(lib_a.VERSION)") == "1.5"
    assert said == "lib_a 1.5\n"
    assert len([p for p in (home / "sites").iterdir() if p.is_dir()]) == 1


@needs_uv
def test_a_wheel_with_another_digest_is_refused_and_nothing_is_left(publish, wheel, home, monkeypatch):
    folder = wheel("lib_a", "1.5")
    publish("alpha", "1.0", requires=("lib-a",))
    locked = lock(["alpha"], wheels=folder)
    wheel("lib_a", "1.5", "evil")
    monkeypatch.setenv("UV_NO_CACHE", "1")  # uv remembers the right one

    with pytest.raises(Conflict, match=r"(?i)hash"):
        create_environment("research", locked, wheels=folder)
    assert environments() == []
    assert [p for p in (home / "sites").iterdir() if p.is_dir()] == []


@needs_uv
def test_what_was_damaged_is_named_and_mended(publish, wheel, home):
    folder = wheel("lib_a", "1.5")
    publish("common", "1.0")
    publish("alpha", "1.0", "common", requires=("lib-a",))
    made = create_environment("research", ["alpha"], wheels=folder).generation
    package = made.lock.packages[0]
    tree = tree_path(package.digest)
    victim = tree / "src" / "alpha" / "__init__.py"
    victim.chmod(0o644)
    victim.write_text("evil")
    (made.path / "activate.bash").write_text("evil")
    site = next(p for p in (home / "sites").iterdir() if p.is_dir())
    (site / "lib_a.py").write_text("evil")

    mended = repair_environment("research", wheels=folder)

    assert [word for word in ("alpha@1.0", "lib_a.py", "activate.bash") if not any(word in m for m in mended)] == []
    assert run(made) == "1.0 1.0"
    assert "evil" not in (made.path / "activate.bash").read_text()
    assert repair_environment("research", wheels=folder) == []


def test_a_generation_whose_lock_was_changed_is_damaged(family):
    made = create_environment("research", ["alpha"]).generation
    (made.path / "veda.lock").write_bytes(lock(["beta"]).to_bytes())

    with pytest.raises(Damaged, match="its lock is another"):
        find_generation("research")


def test_the_current_generation_stays_until_the_environment_goes(family, home):
    create_environment("research", ["alpha"])
    create_environment("research", ["beta"])

    with pytest.raises(Conflict, match="current"):
        remove_environment("research@2")
    remove_environment("research@1")
    assert [g.number for g in generations("research")] == [2]
    remove_environment("research")
    assert environments() == []
    assert not list((home / "modules").iterdir())
    with pytest.raises(NotFound):
        find_generation("research")


def test_what_a_process_runs_in_is_not_removed(family):
    made = create_environment("research", ["alpha"]).generation
    process = subprocess.Popen([made.python, "-c", "input()"], stdin=subprocess.PIPE)

    assert process.pid in live()[str(made.path)]
    with pytest.raises(Conflict, match=f"process {process.pid} runs in research@1"):
        remove_environment("research")
    process.communicate(b"\n")
    assert str(made.path) not in live()


def test_what_nothing_holds_goes_and_what_is_held_stays(family, tmp_path, home):
    create_environment("research", ["alpha"])
    create_environment("research", ["beta"])
    create_environment("other", ["alpha"])
    old = find_generation("research@1").lock.packages
    remove_environment("other")

    assert collect() == []
    would = collect(keep=0, dry_run=True)
    lock(["alpha"]).write(tmp_path / "veda.lock")
    remember_lock(tmp_path / "veda.lock")
    held = collect(keep=0)
    (tmp_path / "veda.lock").unlink()
    tag("alpha@1.0", "champion")
    gone = collect(keep=0)

    assert [g.kind for g in would] == ["generation", "tree", "tree"]
    assert [(g.kind, g.path.name) for g in held] == [("generation", "1")]
    assert [(g.kind, g.path.name) for g in gone] == [("tree", old[1].digest.removeprefix("sha256:"))]
    assert "tag alpha@champion" in roots().values()
    assert run(create_environment("research", ["alpha"]).generation) == "1.0 1.0"


def test_a_template_is_published_once_and_makes_the_same_environment_elsewhere(family, tmp_path, monkeypatch):
    store = f"file:{tmp_path}/home/shared"
    made = create_environment("research", ["alpha"]).generation
    up = upload_template("research", "1.0", to=store)
    for package in ("alpha@1.0", "common@1.0"):
        __import__("veda").push(package, store)

    assert (up.name, upload_template("research", "1.0", to=store).digest) == ("research-env", up.digest)
    assert [str(r) for r in templates()] == ["research-env@1.0"]
    create_environment("research", ["beta"])
    with pytest.raises(ReleaseExists):
        upload_template("research", "1.0", to=store)
    monkeypatch.setenv("VEDA_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("VEDA_POLICY", "any")
    there = template_lock("research-env", from_=store)
    assert there == made.lock
    assert run(create_environment("research", there, store=store).generation) == "1.0 1.0"


def test_a_jupyter_kernel_of_each_environment_follows_the_current_generation(family, home):
    create_environment("research", ["alpha"])
    facts = json.loads((home / "share/jupyter/kernels/veda-research/kernel.json").read_bytes())

    assert facts["argv"][0] == str(home / "envs/research/current/bin/python")
    assert facts["env"]["VEDA_ENV"] == "research"
    assert Path(facts["argv"][0]).samefile(find_generation("research").python)


def test_an_environment_is_exported_in_every_format(family):
    made = create_environment("research", ["alpha"]).generation

    found = {f: exported(made, f) for f in FORMATS}

    assert found["lock"] == made.lock.to_bytes()
    assert b"module-whatis" in found["modulefile"]
    with pytest.raises(BadInput):
        exported(made, "tar")


@pytest.mark.parametrize("name", ["a b", "../x", "x@0", "x@y", "", "current/.."])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(BadInput):
        find_generation(name)


def test_a_python_of_another_version_is_refused(family, monkeypatch):
    locked = lock(["alpha"])
    monkeypatch.setattr("veda.environment.python_version", lambda path: "3.99")

    with pytest.raises(BadInput, match="for Python"):
        create_environment("research", locked)
    assert environments() == []
