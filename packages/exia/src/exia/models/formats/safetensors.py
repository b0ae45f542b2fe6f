"""``safetensors``: named arrays as they lie in memory behind a JSON header; nothing in it can run.

The file is 8 bytes of header length (little-endian), the header, and the arrays one after the other.
Read here and not by the package of that name, because a view of bytes that were just verified is
read-only by nature and needs no copy.
"""

from __future__ import annotations

import json
import math
from typing import Any

from exia.errors import BadInput, Damaged

FILE = "model.safetensors"
_LENGTH = 8
_MOST = 100_000_000  # bytes of header; the format's own limit
_TYPES = {
    "BOOL": "|b1", "U8": "|u1", "I8": "|i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8",
    "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8", "C64": "<c8",
}  # fmt: skip
_NAMES = {kind[1:]: name for name, kind in _TYPES.items()}


def is_arrays(model: Any) -> bool:
    """Tell whether `model` maps at least one text to NumPy arrays."""
    import sys

    numpy = sys.modules.get("numpy")  # without NumPy loaded there is no array
    return (
        numpy is not None
        and isinstance(model, dict)
        and bool(model)
        and all(isinstance(k, str) and isinstance(v, numpy.ndarray) for k, v in model.items())
    )


def fits(model: Any) -> bool:
    """Tell whether `model` maps names to arrays whose types the format has."""
    return is_arrays(model) and all(_name(a.dtype) for a in model.values())


def dump(model: Any) -> bytes:
    """Return the arrays in C order, the widest types first, as the format's own writer lays them."""
    import numpy as np

    if not is_arrays(model):
        raise BadInput("safetensors holds a mapping of names to arrays", hint="save {'weights': array}")
    names = {}
    for key, array in model.items():
        name = _name(array.dtype)
        if name is None:
            raise BadInput(
                f"array {key!r} has the type {array.dtype}, which safetensors does not know",
                hint=f"convert it to one of {', '.join(sorted(_TYPES))}, or save as npz",
            )
        names[key] = name
    if "__metadata__" in model:
        raise BadInput("an array in safetensors cannot be called '__metadata__'", hint="give it another name")
    header: dict[str, Any] = {}
    parts: list[Any] = []
    offset = 0
    for key in sorted(model, key=lambda k: (-model[k].dtype.itemsize, k)):
        # A view of the array itself: the bytes are copied once, by the join below.
        data = np.ascontiguousarray(model[key], dtype=_TYPES[names[key]]).reshape(-1).view("u1").data
        header[key] = {
            "dtype": names[key],
            "shape": list(model[key].shape),
            "data_offsets": [offset, offset + len(data)],
        }
        parts.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # so that the arrays lie where the processor reads them best
    return b"".join([len(text).to_bytes(_LENGTH, "little"), text, *parts])


def load(data: bytes) -> dict[str, Any]:
    """Return the arrays as read-only views of `data`."""
    import numpy as np

    size = int.from_bytes(data[:_LENGTH], "little")
    start = _LENGTH + size
    if len(data) < _LENGTH or size > _MOST or start > len(data):
        raise Damaged("the model is no safetensors file: its header is longer than the file")
    try:
        header = json.loads(data[_LENGTH:start])
        header.pop("__metadata__", None)
        entries = sorted(
            ((k, _TYPES[v["dtype"]], v["shape"], *v["data_offsets"]) for k, v in header.items()), key=_place
        )
        arrays, end = {}, 0
        for key, kind, shape, first, last in entries:
            dtype = np.dtype(kind)
            count = math.prod(shape)
            # No gap and no overlap: the same bytes must not be two arrays, nor bytes be hidden.
            if first != end or last - first != count * dtype.itemsize or any(n < 0 for n in shape):
                raise Damaged(f"the model is no safetensors file: array {key!r} has wrong offsets")
            arrays[key] = np.frombuffer(data, dtype, count, start + first).reshape(shape)
            end = last
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise Damaged(f"the model is no safetensors file: {type(exc).__name__}") from None
    if start + end != len(data):
        raise Damaged("the model is no safetensors file: it holds bytes that belong to no array")
    return {key: arrays[key] for key in header}


def _place(entry: tuple[Any, ...]) -> tuple[int, int]:
    return entry[3], entry[4]


def _name(dtype: Any) -> str | None:
    """Return what the format calls `dtype`, whatever its byte order; None if it does not know it."""
    return _NAMES.get(dtype.str[1:])
