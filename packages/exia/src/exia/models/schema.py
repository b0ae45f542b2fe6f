"""What a model must look like: the types and shapes of its arrays, or a JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from exia.errors import BadInput, SchemaMismatch
from exia.models.formats.safetensors import is_arrays

_ARRAY = re.compile(r"([a-z]+\d*)\[((?:\d+|\*)(?:, ?(?:\d+|\*))*|)\]")


def checked_model(model: Any, schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return `schema` if `model` is as it says.

    For a mapping of arrays it maps each name to ``"float64[20, *]"``: the type, and the length of
    each axis, ``*`` for any. For anything else it is a JSON Schema.

    Raises
    ------
    SchemaMismatch
        If the model is not as it says.
    BadInput
        If it is no schema.
    """
    if schema is None:
        return None
    if is_arrays(model):
        _arrays(model, schema)
    else:
        _document(model, schema)
    return dict(schema)


def _arrays(model: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    for name in sorted(schema.keys() ^ model.keys()):
        has = "has an array" if name in model else "lacks the array"
        raise SchemaMismatch(f"the model {has} {name!r}, unlike its schema", hint=f"the schema has {', '.join(schema)}")
    for name, wanted in schema.items():
        match = _ARRAY.fullmatch(wanted) if isinstance(wanted, str) else None
        if match is None:
            raise BadInput(f"the schema of array {name!r} is {wanted!r}", hint="write it as 'float64[20, *]'")
        axes = [part.strip() for part in match[2].split(",")] if match[2] else []
        array = model[name]
        fits = len(axes) == array.ndim and all(a in ("*", str(n)) for a, n in zip(axes, array.shape, strict=True))
        if array.dtype.name != match[1] or not fits:
            found = f"{array.dtype.name}[{', '.join(map(str, array.shape))}]"
            raise SchemaMismatch(f"array {name!r} is {found}, and its schema says {wanted}")


def _document(model: Any, schema: Mapping[str, Any]) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError, best_match

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as exc:
        raise BadInput(
            f"the schema is no JSON Schema: {exc.message}", hint="for arrays, map names to 'float64[20]'"
        ) from None
    found = best_match(Draft202012Validator(schema).iter_errors(model))
    if found is not None:
        raise SchemaMismatch(f"the model at {found.json_path} breaks its schema: {found.message}")
