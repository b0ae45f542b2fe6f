"""``json``: what JSON can hold, without NaN."""

from __future__ import annotations

import json
from typing import Any

from exia.errors import BadInput, Damaged

FILE = "model.json"


def fits(model: Any) -> bool:
    """Tell whether JSON gives back the same."""
    try:
        return bool(json.loads(json.dumps(model, allow_nan=False)) == _listed(model))
    except (TypeError, ValueError, RecursionError):
        return False


def dump(model: Any) -> bytes:
    """Return `model` as UTF-8 text."""
    try:
        return json.dumps(model, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise BadInput(f"the model is no JSON: {exc}", hint="save arrays as safetensors or npz") from None


def load(data: bytes) -> Any:
    """Return what the text says."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise Damaged(f"the model is no JSON: {exc}") from None


def _listed(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_listed(v) for v in value]
    return {k: _listed(v) for k, v in value.items()} if isinstance(value, dict) else value
