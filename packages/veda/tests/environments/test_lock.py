"""A lock is the newest set of versions that fits, the same bytes on every machine, or a clear refusal."""

from __future__ import annotations

import shutil

import pytest

from veda import BadInput, Lock, NotFound, Unsatisfiable, lock, open_registry, tag
from veda.lock_distributions import find_uv
from veda.registry import Event, Release

needs_uv = pytest.mark.skipif(find_uv() is None, reason="needs uv on PATH: pip install uv")


def test_the_newest_versions_that_fit_together_are_locked(family):
    found = lock(["alpha", "beta"])

    assert [str(p) for p in found.packages] == ["alpha@1.0", "beta@0.9", "common@1.0"]
    assert all(p.digest.startswith("sha256:") for p in found.packages)


def test_a_lock_comes_back_from_its_file_and_the_same_lock_is_the_same_bytes(family, tmp_path):
    found = lock(["alpha"], variables={"OMP_NUM_THREADS": "1"})
    found.write(tmp_path / "veda.lock")

    assert Lock.read(tmp_path / "veda.lock") == found
    assert lock(["alpha"], variables={"OMP_NUM_THREADS": "1"}).to_bytes() == found.to_bytes()
    assert lock(["alpha"]).digest != found.digest


def test_a_clash_names_both_paths_and_the_request_to_change(family):
    with pytest.raises(Unsatisfiable) as caught:
        lock(["alpha", "beta@1.0"])

    assert "alpha -> alpha@1.0 -> common<2" in str(caught.value)
    assert "beta@1.0 -> common>=2" in str(caught.value)
    assert caught.value.hint == "veda lock alpha beta@0.9"
    assert caught.value.exit_code == 5


def test_the_hint_of_a_clash_can_be_locked(family):
    with pytest.raises(Unsatisfiable) as caught:
        lock(["alpha", "beta>=1".replace(">=", "@>=")])

    assert lock(caught.value.hint.removeprefix("veda lock ").split()).packages


def test_a_package_that_nobody_published_is_not_found_and_who_asked_is_named(publish):
    publish("alpha", "1.0", "comon>=1")
    publish("common", "1.0")

    with pytest.raises(NotFound, match=r"no release of comon is registered; asked for by alpha -> alpha@1.0") as caught:
        lock(["alpha"])
    assert caught.value.hint == "did you mean 'common'?"


def test_packages_that_need_each_other_in_a_cycle_are_refused(publish):
    publish("alpha", "1.0", "beta")
    publish("beta", "1.0", "alpha")

    with pytest.raises(BadInput, match=r"cycle: alpha@1.0 -> beta@1.0 -> alpha@1.0|cycle: beta@1.0 -> alpha@1.0"):
        lock(["alpha"])


def test_a_pre_release_is_locked_only_where_it_is_named(publish):
    publish("alpha", "1.0")
    publish("alpha", "2.0rc1")

    assert [str(p) for p in lock(["alpha"]).packages] == ["alpha@1.0"]
    assert [str(p) for p in lock(["alpha@2.0rc1"]).packages] == ["alpha@2.0rc1"]


def test_a_yanked_version_is_locked_only_where_it_is_named(publish):
    publish("alpha", "1.0")
    publish("alpha", "1.1")
    with open_registry() as registry:
        registry.append(Event("yanked", "alpha", "1.1", data={"reason": "wrong sign"}))

    assert [str(p) for p in lock(["alpha"]).packages] == ["alpha@1.0"]
    assert [str(p) for p in lock(["alpha@1.1"]).packages] == ["alpha@1.1"]


def test_what_a_lock_holds_stays_until_it_is_upgraded(publish):
    for name in ("alpha", "beta"):
        publish(name, "1.0")
    old = lock(["alpha", "beta"])
    for name in ("alpha", "beta"):
        publish(name, "2.0")

    assert lock(["alpha", "beta"], keep=old) == old
    assert [str(p) for p in lock(["alpha", "beta"], keep=old, upgrade=["beta"]).packages] == ["alpha@1.0", "beta@2.0"]
    assert [str(p) for p in lock(["alpha", "beta"]).packages] == ["alpha@2.0", "beta@2.0"]


def test_what_a_lock_holds_gives_way_where_it_no_longer_fits(publish):
    publish("common", "1.0")
    publish("alpha", "1.0", "common")
    old = lock(["alpha"])
    publish("common", "2.0")
    publish("beta", "1.0", "common>=2")

    assert [str(p) for p in lock(["alpha", "beta"], keep=old).packages] == ["alpha@1.0", "beta@1.0", "common@2.0"]
    assert [str(p) for p in lock(["alpha@>=1"], keep=old).packages] == ["alpha@1.0", "common@1.0"]


def test_a_version_that_was_yanked_after_it_was_locked_stays(publish):
    publish("alpha", "1.0")
    publish("alpha", "1.1")
    old = lock(["alpha"])
    with open_registry() as registry:
        registry.append(Event("yanked", "alpha", "1.1", data={"reason": "wrong sign"}))

    assert lock(["alpha"], keep=old) == old
    assert [str(p) for p in lock(["alpha"], keep=old, upgrade=["Alpha"]).packages] == ["alpha@1.0"]


def test_to_upgrade_what_a_lock_does_not_hold_is_refused(family):
    old = lock(["alpha"])

    with pytest.raises(BadInput, match="the lock has nothing called alhpa") as caught:
        lock(["alpha"], keep=old, upgrade=["alhpa"])
    assert caught.value.hint == "did you mean 'alpha'?"


@pytest.mark.parametrize("tool", [pytest.param("uv", marks=needs_uv), "pip"])
def test_a_distribution_stays_too_until_it_is_upgraded(publish, wheel, tool, monkeypatch):
    if tool == "pip":
        monkeypatch.setattr("veda.lock_distributions.find_uv", lambda: None)
    folder = wheel("lib_a", "1.0")
    publish("alpha", "1.0", requires=("lib-a",))
    old = lock(["alpha"], wheels=folder)
    wheel("lib_a", "2.0")

    assert lock(["alpha"], wheels=folder, keep=old) == old
    (changed,) = lock(["alpha"], wheels=folder, keep=old, upgrade=["lib-a"]).distributions
    assert changed.version == "2.0"
    (forced,) = lock(["alpha"], requirements=["lib-a>=2"], wheels=folder, keep=old).distributions
    assert forced.version == "2.0"


def test_tags_and_digests_are_requests_too(publish):
    publish("alpha", "1.0")
    publish("alpha", "2.0")
    tag("alpha@1.0", "champion")
    digest = lock(["alpha@champion"]).packages[0].digest

    assert lock([f"alpha@{digest}"]).packages == lock(["alpha@1.0"]).packages


def test_a_version_for_another_python_is_passed_over():
    facts = {"requires": [], "entry_points": [], "requires_python": ">=3.11"}
    with open_registry() as registry:
        registry.publish(Release("alpha", "1.0", f"sha256:{1:064x}", facts))
        registry.publish(Release("alpha", "2.0", f"sha256:{2:064x}", {**facts, "requires_python": ">=3.99"}))

    assert [str(p) for p in lock(["alpha"]).packages] == ["alpha@1.0"]


@pytest.mark.parametrize(
    "variables", [{"PATH": "/x"}, {"VEDA_HOME": "/x"}, {"LD_PRELOAD": "x"}, {"A B": "x"}, {"A": "one\ntwo"}]
)
def test_a_variable_that_must_not_be_set_is_refused(family, variables):
    with pytest.raises(BadInput):
        lock(["alpha"], variables=variables)


def test_a_lock_that_was_changed_is_refused(family, tmp_path):
    path = tmp_path / "veda.lock"
    lock(["alpha"]).write(path)
    data = path.read_bytes()

    for damaged in (data.replace(b'"1.0"', b'"1.1"', 1), data[:50], b"[]", b"{}", b"\xff", b"[" * 100_000):
        path.write_bytes(damaged)
        with pytest.raises(BadInput, match="lock"):
            Lock.read(path)


@pytest.mark.parametrize("tool", [pytest.param("uv", marks=needs_uv), "pip"])
def test_distributions_are_locked_with_their_digests(publish, wheel, tool, monkeypatch):
    if tool == "pip":
        monkeypatch.setattr("veda.lock_distributions.find_uv", lambda: None)
    wheel("lib_a", "1.5")
    folder = wheel("lib_a", "2.0")
    publish("alpha", "1.0", requires=("lib-a<2",))

    found = lock(["alpha"], wheels=folder).distributions

    assert [(d.name, d.version, len(d.hashes)) for d in found] == [("lib-a", "1.5", 1)]


def test_distributions_that_do_not_fit_are_one_clear_line(publish, wheel):
    folder = wheel("lib_a", "1.5")
    publish("alpha", "1.0", requires=("lib-a<1",))

    with pytest.raises(Unsatisfiable, match="lib-a") as caught:
        lock(["alpha"], wheels=folder)
    assert "\n" not in str(caught.value)


def test_a_python_that_is_none_is_refused(family, tmp_path):
    with pytest.raises(BadInput, match="not a Python"):
        lock(["alpha"], python=shutil.which("false"))
