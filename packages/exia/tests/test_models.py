from __future__ import annotations

import threading
import zipfile

import numpy as np
import pytest

import exia.models
from exia.errors import (
    BadInput,
    Conflict,
    ModelExists,
    ModelNotFound,
    NotFound,
    NotTrusted,
)
from exia.models import Keys, open_models

WEIGHTS = {"weights": np.arange(6.0).reshape(2, 3), "bias": np.array([1, 2], dtype="int32")}


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(one[k], other[k]) and one[k].dtype == other[k].dtype and one[k].shape == other[k].shape
        for k in one
    )


@pytest.fixture(
    params=["file", pytest.param("servers", marks=[pytest.mark.postgresql, pytest.mark.minio])], ids=["file", "servers"]
)
def models(request):
    if request.param == "file":
        store = open_models()
    else:
        store = open_models(request.getfixturevalue("postgresql_url"), request.getfixturevalue("minio_url"))
    with store:
        yield store


def test_a_model_of_arrays_comes_back_read_only(models):
    info = models.save("momentum", WEIGHTS)

    loaded = models.load("momentum")

    assert info.ref == "momentum@1"
    assert info.format == "safetensors"
    assert same(loaded, WEIGHTS)
    with pytest.raises(ValueError, match="read-only"):
        loaded["weights"][0, 0] = 9


@pytest.mark.parametrize("model", [{"a": [1, 2.5, None, "甲"]}, [1, 2], "text", 3, None, {}])
def test_a_model_of_json_comes_back_as_it_was(models, model):
    assert models.save("rules", model).format == "json"

    assert models.load("rules") == model


def test_versions_count_up_and_stay_what_they_were(models):
    for n in range(3):
        models.save("momentum", {"n": n}, tags={"desk": "alpha"}, why=f"try {n}")

    assert [models.load(f"momentum@{n + 1}") for n in range(3)] == [{"n": n} for n in range(3)]
    assert [(i.version, i.why, i.tags) for i in models.versions("momentum")] == [
        (n + 1, f"try {n}", {"desk": "alpha"}) for n in range(3)
    ]
    assert models.names() == ["momentum"]


def test_an_alias_moves_and_rolls_back_with_its_history(models):
    for n in range(3):
        models.save("momentum", {"n": n}, alias="champion")
    models.alias("momentum", "canary", "champion", why="try it")
    models.rollback("momentum", why="worse")
    models.alias("momentum", "canary", None)

    assert models.load("momentum@champion") == {"n": 1}
    assert models.family("momentum").aliases == {"champion": 2}
    assert [(m.alias, m.previous, m.version, m.why) for m in models.history("momentum")][:3] == [
        ("canary", 3, None, ""),
        ("champion", 3, 2, "worse"),
        ("canary", None, 3, "try it"),
    ]
    assert len(models.history("momentum", "champion")) == 4
    assert all("@" in m.who and m.at.endswith("+00:00") for m in models.history("momentum"))


def test_a_model_is_found_by_the_beginning_of_its_digest(models):
    first = models.save("momentum", {"n": 1})
    models.save("momentum", {"n": 2})

    assert models.load(f"momentum@{first.digest[:20]}") == {"n": 1}
    with pytest.raises(ModelNotFound, match="no version"):
        models.load("momentum@sha256:0123456789")


def test_many_savers_at_once_get_a_number_each(models):
    def save(n: int) -> None:
        models.save("momentum", {"n": n})

    threads = [threading.Thread(target=save, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(models.load(f"momentum@{n}")["n"] for n in range(1, 5)) == [0, 1, 2, 3]


def test_gc_deletes_what_no_version_refers_to_and_nothing_young(models):
    models.save("momentum", {"n": 1})
    models.save("momentum", {"n": 2})
    models.remove("momentum@1")

    young = models.gc()
    dry = models.gc(grace=-1)
    kept = models.gc(dry_run=False, grace=-1)

    assert young.blobs == 0
    assert dry == (1, 7 + 1, False)
    assert kept == (1, 8, True)
    assert models.gc(grace=-1).blobs == 0
    assert models.load("momentum") == {"n": 2}


def test_a_removed_version_is_gone_and_its_number_is_not_given_again(models):
    models.save("momentum", {"n": 1})
    models.remove("momentum@1")

    assert models.save("momentum", {"n": 2}).version == 2
    with pytest.raises(ModelNotFound):
        models.load("momentum@1")


def test_what_an_alias_names_is_not_removed(models):
    models.save("momentum", {"n": 1}, alias="champion")

    with pytest.raises(Conflict, match="champion names it"):
        models.remove("momentum@1")
    with pytest.raises(BadInput, match="which version to remove"):
        models.remove("momentum@champion")
    assert models.load("momentum")


def test_an_exported_model_is_taken_by_who_trusts_its_key(models, tmp_path):
    models.save("momentum", {"n": 1})
    models.save("momentum", WEIGHTS)
    models.export("momentum@2", tmp_path / "m.zip")
    there = Keys(tmp_path / "there.pem", tmp_path / "there")
    with open_models(f"file://{tmp_path}/there.fs", f"file://{tmp_path}/there", there) as other:
        with pytest.raises(NotTrusted, match="does not trust"):
            other.import_(tmp_path / "m.zip")
        assert other.names() == []

        there.trust(Keys.configured().public_key().encode())
        other.import_(tmp_path / "m.zip")
        other.import_(tmp_path / "m.zip")

        assert same(other.load("momentum@2"), WEIGHTS)
        assert other.save("momentum", {"n": 3}).version == 3


def test_an_export_of_a_version_that_was_removed_does_not_bring_it_back(models, tmp_path):
    models.save("momentum", {"n": 1})
    models.export("momentum", tmp_path / "m.zip")
    models.remove("momentum@1")

    with pytest.raises(ModelExists):
        models.import_(tmp_path / "m.zip")


def test_packing_keeps_every_model(models):
    models.save("momentum", {"n": 1}, alias="champion")

    models.pack()

    assert models.load("momentum@champion") == {"n": 1}


class TestDiff:
    def test_numbers_are_compared_by_their_largest_difference(self):
        exia.models.save("momentum", {"w": np.zeros(4), "b": np.ones(2)}, tags={"desk": "a"})
        exia.models.save(
            "momentum", {"w": np.array([0, 0, 0.5, 0.25]), "b": np.ones(2), "c": np.ones(1)}, tags={"desk": "b"}
        )

        found = {d.field: d for d in exia.models.diff("momentum@1", "momentum@2")}

        assert found["w"].other == "2 of 4 values differ, by 0.5 at most"
        assert found["c"] == ("c", None, "float64[1]")
        assert found["tags"] == ("tags", {"desk": "a"}, {"desk": "b"})
        assert "b" not in found

    def test_values_are_compared_by_their_path(self):
        exia.models.save("rules", {"a": {"b": 1}, "c": 2})
        exia.models.save("rules", {"a": {"b": 3}, "d": None})

        found = {d.field: (d.one, d.other) for d in exia.models.diff("rules@1", "rules@2")}

        assert found["a.b"] == (1, 3)
        assert found["c"] == (2, None)

    def test_the_same_model_twice_differs_in_facts_alone(self):
        exia.models.save("rules", [1])
        exia.models.save("rules", [1])

        assert {d.field for d in exia.models.diff("rules@1", "rules@2")} <= {"version", "id", "saved"}


@pytest.mark.parametrize("name", ["", "../evil", "a/b", "a..b", ".hidden", "a b", "a@b", "x" * 101, None, "a\n"])
def test_a_name_that_could_be_a_path_is_refused(exia_home, name):
    with pytest.raises(BadInput, match="cannot be called"):
        exia.models.save(name, 1)
    assert not (exia_home / "models").exists()


@pytest.mark.parametrize("alias", ["", "1", "latest", "../x", "a b"])
def test_an_alias_that_could_be_a_version_or_a_path_is_refused(alias):
    with pytest.raises(BadInput):
        exia.models.save("momentum", 1, alias=alias)
    assert exia.models.names() == []


@pytest.mark.parametrize("ref", ["momentum@", "momentum@0", "momentum@-1", "momentum@a/b", "momentum@sha256:xyz"])
def test_a_ref_that_names_no_version_is_told(ref):
    exia.models.save("momentum", 1)

    with pytest.raises(BadInput):
        exia.models.load(ref)


def test_a_name_near_the_one_meant_is_given():
    exia.models.save("momentum", 1, alias="champion")

    for call in (exia.models.load, exia.models.versions):
        with pytest.raises(ModelNotFound) as caught:
            call("momentun")
        assert caught.value.hint == "did you mean 'momentum'?"
    with pytest.raises(ModelNotFound) as caught:
        exia.models.load("momentum@champoin")
    assert caught.value.hint == "did you mean 'champion'?"


def test_there_is_nothing_to_roll_back_to_before_a_second_version():
    exia.models.save("momentum", 1, alias="champion")

    with pytest.raises(Conflict, match="no other version"):
        exia.models.rollback("momentum")
    with pytest.raises(Conflict, match="no other version"):
        exia.models.rollback("momentum", "ghost")


@pytest.mark.parametrize("tags", [{"a": 1}, {1: "a"}, {"": "a"}])
def test_tags_are_text(tags):
    with pytest.raises(BadInput, match="must be text"):
        exia.models.save("momentum", 1, tags=tags)


def test_a_manifest_too_long_for_the_catalogue_is_refused():
    with pytest.raises(BadInput, match="more than"):
        exia.models.save("momentum", 1, tags={"a": "x" * 20_000})
    assert exia.models.names() == []


def test_a_file_that_is_no_export_is_refused(tmp_path):
    (tmp_path / "text").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("../evil", "x")

    for name in ("text", "other.zip"):
        with pytest.raises(BadInput, match="no exported model"):
            exia.models.import_(tmp_path / name)
    with pytest.raises(NotFound):
        exia.models.import_(tmp_path / "ghost")


def test_what_is_saved_is_there_for_another_process(exia_home):
    import subprocess
    import sys

    exia.models.save("momentum", {"n": 1}, alias="champion")
    code = "import exia.models; print(exia.models.load('momentum@champion'))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "{'n': 1}\n"
