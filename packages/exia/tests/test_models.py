from __future__ import annotations

import json
import os
import pickle
import struct
import threading
import zipfile
from datetime import date
from pathlib import Path

import numpy as np
import pytest

import exia.models
from exia.errors import (
    BadInput,
    BlobNotFound,
    Conflict,
    Damaged,
    ModelExists,
    ModelNotFound,
    NotAllowed,
    NotFound,
    NotTrusted,
    SchemaMismatch,
)
from exia.models import Keys, open_models
from exia.models.formats import FORMATS, open_format
from exia.objects import open_objects

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


class TestTrust:
    """No byte of what is unsigned, altered or listed nowhere is parsed."""

    def test_a_catalogue_signed_by_a_stranger_is_refused(self, exia_home, tmp_path):
        stranger = Keys(tmp_path / "s.pem", tmp_path / "s")
        with open_models(keys=stranger) as theirs:
            theirs.save("momentum", {"n": 1})

        with pytest.raises(NotTrusted, match="does not trust") as caught:
            exia.models.load("momentum")
        assert caught.value.exit_code == 4

    def test_a_key_taken_out_of_the_folder_is_trusted_no_more(self, exia_home):
        exia.models.save("momentum", {"n": 1})
        assert exia.models.load("momentum") == {"n": 1}
        (key,) = (exia_home / "keys" / "trusted").iterdir()

        key.unlink()

        with pytest.raises(NotTrusted):
            exia.models.load("momentum")

    @pytest.mark.parametrize("field", ["manifest", "signature", "key", "number", "id"])
    def test_an_altered_entry_of_the_catalogue_is_refused(self, field):
        from dataclasses import replace

        exia.models.save("momentum", {"n": 1})
        objects = open_objects()
        good = objects.find("momentum", 1)
        manifest = good.manifest.replace(b'"size":8', b'"size":9')
        bad = {"manifest": manifest, "signature": bytes(64), "key": "", "number": 2, "id": "other"}[field]
        forged = replace(good, **{"number": 2, "id": "other", field: bad})
        objects.add(forged)
        objects.close()

        with pytest.raises(NotTrusted):
            exia.models.load("momentum@2")
        assert exia.models.load("momentum@1") == {"n": 1}

    def test_bytes_that_were_altered_are_refused(self, exia_home):
        exia.models.save("momentum", {"n": 1})
        (blob,) = (exia_home / "models" / "blobs").glob("*")
        blob.chmod(0o644)
        blob.write_bytes(b'{"n": 2}')

        with pytest.raises(Damaged, match="another SHA-256"):
            exia.models.load("momentum")

    def test_bytes_that_are_gone_are_named(self, exia_home):
        exia.models.save("momentum", {"n": 1})
        (blob,) = (exia_home / "models" / "blobs").glob("*")
        blob.unlink()

        with pytest.raises(BlobNotFound):
            exia.models.load("momentum")

    @pytest.mark.parametrize("part", ["manifest.json", "signature.json", "model.json"])
    def test_an_altered_export_is_refused_and_changes_nothing(self, tmp_path, part):
        exia.models.save("momentum", {"n": 1})
        exia.models.export("momentum", tmp_path / "good.zip")
        with zipfile.ZipFile(tmp_path / "good.zip") as good, zipfile.ZipFile(tmp_path / "bad.zip", "w") as bad:
            for name in good.namelist():
                data = good.read(name)
                bad.writestr(name, data.replace(b"1", b"2").replace(b"a", b"b") if name == part else data)

        with open_models(f"file://{tmp_path}/t.fs", f"file://{tmp_path}/t") as target:
            with pytest.raises((NotTrusted, Damaged, BadInput)):
                target.import_(tmp_path / "bad.zip")
            assert target.names() == []
        assert not (tmp_path / "t").exists()

    def test_the_signing_key_is_for_its_owner_alone(self, exia_home):
        exia.models.save("momentum", {"n": 1})

        assert (exia_home / "keys" / "signing.pem").stat().st_mode & 0o777 == 0o600

    def test_a_key_of_another_kind_is_refused(self, exia_home, tmp_path):
        (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nno\n-----END PRIVATE KEY-----\n")
        os.environ["EXIA_SIGNING_KEY"] = str(tmp_path / "key.pem")
        try:
            with pytest.raises(BadInput, match=r"key\.pem"):
                exia.models.save("momentum", {"n": 1})
        finally:
            del os.environ["EXIA_SIGNING_KEY"]
        assert exia.models.names() == []
        with pytest.raises(BadInput, match="no public Ed25519 key"):
            Keys.configured().trust(b"no key")


class TestPickle:
    def test_it_is_off_by_default(self):
        with pytest.raises(NotAllowed, match="switched off"):
            exia.models.save("momentum", date(2026, 1, 2), format="pickle")
        assert exia.models.names() == []

    def test_what_the_configuration_lists_loads(self, monkeypatch):
        monkeypatch.setenv("EXIA_UNPICKLE", "datetime:date")

        exia.models.save("momentum", {"day": date(2026, 1, 2)}, format="pickle")

        assert exia.models.load("momentum") == {"day": date(2026, 1, 2)}

    def test_what_it_does_not_list_is_refused_at_save_and_at_load(self, monkeypatch):
        monkeypatch.setenv("EXIA_UNPICKLE", "datetime:date collections:OrderedDict")
        exia.models.save("momentum", date(2026, 1, 2), format="pickle")
        monkeypatch.setenv("EXIA_UNPICKLE", "collections:OrderedDict")

        with pytest.raises(NotAllowed, match="datetime:date"):
            exia.models.load("momentum")
        with pytest.raises(NotAllowed, match="datetime:date"):
            exia.models.save("momentum", date(2026, 1, 2), format="pickle")

    def test_it_is_never_chosen(self, monkeypatch):
        monkeypatch.setenv("EXIA_UNPICKLE", "datetime:date")

        with pytest.raises(BadInput, match="neither a mapping of arrays nor JSON"):
            exia.models.save("momentum", date(2026, 1, 2))

    @pytest.mark.parametrize(
        "payload",
        [
            b"cos\nsystem\n(S'touch pwned'\ntR.",
            b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0btouch pwned\x85R.",
            b"\x80\x04\x8c\x08datetime\x8c\x0edate.__class__\x93.",
            b"cimportlib\nimport_module\n(S'os'\ntR.",
            b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.",
            b"\x80\x04\x82\x01.",
        ],
    )
    def test_a_payload_runs_nothing(self, monkeypatch, payload):
        monkeypatch.setenv("EXIA_UNPICKLE", "datetime:date")

        with pytest.raises((NotAllowed, Damaged)):
            open_format("pickle").load(payload)
        assert not Path("pwned").exists()

    def test_a_list_that_says_nothing_is_refused(self, monkeypatch):
        monkeypatch.setenv("EXIA_UNPICKLE", "datetime.date")

        with pytest.raises(BadInput, match=r"datetime\.date"):
            exia.models.save("momentum", 1, format="pickle")

    def test_arrays_in_a_pickle_are_read_only_too(self, monkeypatch):
        kinds = "numpy:ndarray numpy:dtype numpy._core.multiarray:_reconstruct numpy._core.numeric:_frombuffer"
        monkeypatch.setenv("EXIA_UNPICKLE", kinds)
        exia.models.save("momentum", {"w": [np.zeros(2)]}, format="pickle")

        with pytest.raises(ValueError, match="read-only"):
            exia.models.load("momentum")["w"][0][0] = 1


class TestFormats:
    @pytest.mark.parametrize("format", ["safetensors", "npz"])
    @pytest.mark.parametrize(
        "array",
        [
            np.float32([[1.5, -0.0], [np.nan, np.inf]]),
            np.array([], dtype="f8"),
            np.array(3, dtype="i8"),
            np.array([True, False]),
            np.arange(24, dtype="u2").reshape(2, 3, 4).T,
            np.array([1, 2], dtype=">i4"),
            np.float16([1]),
            np.complex64([1 + 2j]),
        ],
        ids=lambda a: f"{a.dtype}{list(a.shape)}",
    )
    def test_arrays_of_every_type_and_shape_come_back(self, format, array):
        made = open_format(format)

        (loaded,) = made.load(made.dump({"数": array})).values()

        assert np.array_equal(loaded, array, equal_nan=array.dtype.kind == "f")
        assert loaded.shape == array.shape
        assert loaded.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
        assert not loaded.flags.writeable

    def test_the_file_is_the_one_that_the_safetensors_package_writes(self):
        model = {"w": np.float32([[1, 2]]), "b": np.array([1], dtype="int64"), "a": np.array([True])}

        assert open_format("safetensors").dump(model).hex() == OFFICIAL

    def test_what_a_format_cannot_hold_is_refused(self):
        for format, model, says in [
            ("safetensors", {"a": np.array(["x"])}, "type <U1"),
            ("safetensors", {"a": [1]}, "mapping of names to arrays"),
            ("safetensors", {}, "mapping of names to arrays"),
            ("safetensors", {"__metadata__": np.ones(1)}, "cannot be called"),
            ("npz", {"a": np.array([{}])}, "Python objects"),
            ("npz", {"a/b": np.ones(1)}, "cannot be called"),
            ("json", {"a": float("nan")}, "no JSON"),
            ("json", {1, 2}, "no JSON"),
            ("yaml", {}, "no format"),
        ]:
            with pytest.raises(BadInput, match=says):
                exia.models.save("momentum", model, format=format)
        assert exia.models.names() == []

    def test_what_json_would_change_is_not_saved_as_json(self):
        with pytest.raises(BadInput, match="neither"):
            exia.models.save("momentum", {1: "a key that JSON turns into text"})

    @pytest.mark.parametrize("format", [f for f in FORMATS if f != "pickle"])
    @pytest.mark.parametrize("data", [b"", b"x", b"\xff" * 64, b"PK\x03\x04" + bytes(60)])
    def test_bytes_of_another_kind_are_damaged(self, format, data):
        with pytest.raises(Damaged):
            open_format(format).load(data)

    @pytest.mark.parametrize(
        "entry",
        [
            {"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 8]}},
            {
                "a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
                "b": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
            },
            {"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}},
            {"a": {"dtype": "U8", "shape": [4], "data_offsets": [4, 8]}},
            {"a": {"dtype": "U8", "shape": [-4], "data_offsets": [0, -4]}},
            {"a": {"dtype": "U8", "shape": [4.0], "data_offsets": [0, 4]}},
            {"a": {"dtype": "OBJ", "shape": [4], "data_offsets": [0, 4]}},
            {"a": 1},
            [],
        ],
    )
    def test_a_header_that_lies_is_damaged(self, entry):
        text = json.dumps(entry).encode()

        with pytest.raises(Damaged):
            open_format("safetensors").load(struct.pack("<Q", len(text)) + text + bytes(4))

    def test_a_pickle_in_an_npz_is_not_loaded(self, tmp_path):
        np.savez(tmp_path / "a.npz", a=np.array([{"x": 1}], dtype=object))

        with pytest.raises(Damaged, match="allow_pickle"):
            open_format("npz").load((tmp_path / "a.npz").read_bytes())


#: What safetensors.numpy.save of the package safetensors writes for the model of the test above.
OFFICIAL = (
    "a8000000000000007b2262223a7b226474797065223a22493634222c227368617065223a5b315d2c22646174615f6f666673"
    "657473223a5b302c385d7d2c2277223a7b226474797065223a22463332222c227368617065223a5b312c325d2c2264617461"
    "5f6f666673657473223a5b382c31365d7d2c2261223a7b226474797065223a22424f4f4c222c227368617065223a5b315d2c"
    "22646174615f6f666673657473223a5b31362c31375d7d7d202001000000000000000000803f0000004001"
)


class TestSchema:
    def test_arrays_must_have_the_types_and_shapes_that_it_says(self):
        schema = {"weights": "float64[2, *]", "bias": "int32[2]"}
        exia.models.save("momentum", WEIGHTS, schema=schema)

        assert exia.models.info("momentum").schema == schema
        for wrong, says in [
            ({"weights": "float32[2, *]", "bias": "int32[2]"}, r"'weights' is float64\[2, 3\]"),
            ({"weights": "float64[3, *]", "bias": "int32[2]"}, r"'weights' is float64\[2, 3\]"),
            ({"weights": "float64[2, *]"}, "'bias'"),
            ({**schema, "more": "int8[1]"}, "lacks the array 'more'"),
        ]:
            with pytest.raises(SchemaMismatch, match=says):
                exia.models.save("momentum", WEIGHTS, schema=wrong)
        assert len(exia.models.versions("momentum")) == 1

    def test_json_must_fit_its_json_schema(self):
        schema = {"type": "object", "properties": {"window": {"type": "integer", "minimum": 1}}}
        exia.models.save("rules", {"window": 3}, schema=schema)

        with pytest.raises(SchemaMismatch, match=r"window.*minimum"):
            exia.models.save("rules", {"window": 0}, schema=schema)

    def test_what_is_no_schema_is_refused(self):
        with pytest.raises(BadInput, match="is 'float'"):
            exia.models.save("momentum", {"w": np.ones(1)}, schema={"w": "float"})
        with pytest.raises(BadInput, match="no JSON Schema"):
            exia.models.save("rules", {"w": 1}, schema={"type": "int"})


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


def test_the_pickle_module_is_not_used_for_what_is_data(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("unpickled")

    exia.models.save("momentum", WEIGHTS, format="npz")
    exia.models.save("momentum", WEIGHTS)
    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(pickle, "load", refuse)

    for version in (1, 2):
        assert same(exia.models.load(f"momentum@{version}"), WEIGHTS)
