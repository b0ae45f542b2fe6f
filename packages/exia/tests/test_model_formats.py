from __future__ import annotations

import json
import pickle
import struct

import numpy as np
import pytest

import exia.models
from exia.errors import (
    BadInput,
    Damaged,
    SchemaMismatch,
)
from exia.models.formats import FORMATS, open_format

WEIGHTS = {"weights": np.arange(6.0).reshape(2, 3), "bias": np.array([1, 2], dtype="int32")}


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(one[k], other[k]) and one[k].dtype == other[k].dtype and one[k].shape == other[k].shape
        for k in one
    )


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

    @pytest.mark.parametrize("format", [f for f in FORMATS if f not in ("pickle", "isolated")])
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


def test_the_pickle_module_is_not_used_for_what_is_data(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("unpickled")

    exia.models.save("momentum", WEIGHTS, format="npz")
    exia.models.save("momentum", WEIGHTS)
    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(pickle, "load", refuse)

    for version in (1, 2):
        assert same(exia.models.load(f"momentum@{version}"), WEIGHTS)
