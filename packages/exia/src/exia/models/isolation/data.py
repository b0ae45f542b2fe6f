"""What may come back from a process that is not trusted: data, read without unpickling anything.

JSON in which an array, a date, a tuple or bytes is an object with one key ``$...``; the bytes of arrays lie behind it.
"""

from __future__ import annotations

import json
import math
from datetime import date, datetime
from typing import Any

#: Kinds of NumPy types whose bytes are values: no objects among them, whose bytes are addresses.
_KINDS = "biufcSUMm"
_DEEP = 100
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def packed(value: Any) -> list[memoryview]:
    """Return `value` as JSON and the buffers of its arrays; raise `TypeError` for what is no data."""
    buffers: list[memoryview] = []
    text = json.dumps(_told(value, buffers, 0), ensure_ascii=False, allow_nan=False).encode(errors="surrogatepass")
    return [memoryview(text), *buffers]


def unpacked(parts: list[bytearray]) -> Any:
    """Return the value; raise `ValueError` if the parts are none."""
    try:
        return _value(json.loads(parts[0].decode(errors="surrogatepass")), parts[1:])
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, OverflowError, AttributeError) as exc:
        raise ValueError(f"no answer: {type(exc).__name__}: {exc}") from None


def _told(value: Any, buffers: list[memoryview], depth: int) -> Any:
    if depth > _DEEP:
        raise TypeError(f"a value nested more than {_DEEP} deep is no data")
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"$float": str(value)}
    if type(value) in (list, tuple):
        inner = [_told(one, buffers, depth + 1) for one in value]
        return inner if type(value) is list else {"$tuple": inner}
    if isinstance(value, dict):
        if all(type(key) is str and not key.startswith("$") for key in value):
            return {key: _told(one, buffers, depth + 1) for key, one in value.items()}
        return {"$dict": [[_told(k, buffers, depth + 1), _told(v, buffers, depth + 1)] for k, v in value.items()]}
    if isinstance(value, bytes | bytearray):
        buffers.append(memoryview(bytes(value)))
        return {"$bytes": len(buffers) - 1}
    if isinstance(value, datetime | date):
        return {"$datetime" if isinstance(value, datetime) else "$date": value.isoformat()}
    return _array_told(value, buffers)


def _array_told(value: Any, buffers: list[memoryview]) -> Any:
    import sys

    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.ndarray | numpy.generic) or value.dtype.kind not in _KINDS:
        raise TypeError(f"{type(value).__name__} is no data; it may return arrays, numbers, text, lists, dicts")
    array = numpy.ascontiguousarray(value)
    buffers.append(memoryview(array.tobytes()))
    kind = "$array" if isinstance(value, numpy.ndarray) else "$scalar"
    return {kind: len(buffers) - 1, "dtype": array.dtype.str, "shape": list(value.shape)}


def _value(told: Any, buffers: list[bytearray]) -> Any:
    if isinstance(told, list):
        return [_value(one, buffers) for one in told]
    if not isinstance(told, dict):
        return told
    word = next((key for key in told if key.startswith("$")), None)
    if word is None:
        return {key: _value(one, buffers) for key, one in told.items()}
    held = told[word]
    if word in ("$array", "$scalar"):
        return _array(buffers[held], told["dtype"], told["shape"], scalar=word == "$scalar")
    if word == "$tuple":
        return tuple(_value(one, buffers) for one in held)
    if word == "$dict":
        return {_value(key, buffers): _value(one, buffers) for key, one in held}
    if word == "$bytes":
        return bytes(buffers[held])
    if word == "$float":
        return _FLOATS[held]
    return {"$datetime": datetime, "$date": date}[word].fromisoformat(held)


def _array(data: bytearray, dtype: str, shape: list[int], *, scalar: bool) -> Any:
    import numpy as np

    kind = np.dtype(str(dtype))
    if kind.kind not in _KINDS or kind.names is not None:
        raise ValueError(f"arrays of {dtype!r} are no data")
    sizes: list[int] = [int(n) for n in shape]
    if not data and 0 not in sizes:
        raise ValueError("an array lacks its bytes")
    array = np.frombuffer(data, kind).reshape(sizes) if data else np.empty(sizes, kind)
    return array[()] if scalar else array
