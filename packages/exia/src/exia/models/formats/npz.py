"""``npz``: NumPy's own archive, never with a pickle in it."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from exia.errors import BadInput, Damaged
from exia.models.formats.safetensors import is_arrays

FILE = "model.npz"


def fits(model: Any) -> bool:
    """Tell whether `model` maps names to arrays of plain numbers."""
    return is_arrays(model)


def dump(model: Any) -> bytes:
    """Return the arrays as an uncompressed archive."""
    import numpy as np

    if not is_arrays(model):
        raise BadInput("npz holds a mapping of names to arrays", hint="save {'weights': array}")
    for name, array in model.items():
        if array.dtype.hasobject:
            raise BadInput(f"array {name!r} holds Python objects, which only a pickle could", hint="use a plain dtype")
        # NumPy's reader takes such a name for a part of the archive.
        if not name or "/" in name or "\\" in name or name.endswith(".npy"):
            raise BadInput(f"an array in npz cannot be called {name!r}", hint="use letters, digits, '.' and '_'")
    out = BytesIO()
    np.savez(out, allow_pickle=False, **{k: np.asarray(v) for k, v in model.items()})
    return out.getvalue()


def load(data: bytes) -> dict[str, Any]:
    """Return the arrays, read-only."""
    import zipfile

    import numpy as np

    try:
        with np.load(BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as exc:
        raise Damaged(f"the model is no npz archive: {exc}") from None
    for array in arrays.values():
        array.setflags(write=False)
    return arrays
