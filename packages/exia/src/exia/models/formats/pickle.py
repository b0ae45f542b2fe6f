"""``pickle``: only what the setting ``unpickle`` names, one by one; off while that is empty.

The list belongs to whoever runs the machine, never to the model. It names what may be *called* while
a model loads, so one careless entry (``builtins:eval``) would undo it.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import Any

from exia._house.config import load_config
from exia.errors import BadInput, Damaged, NotAllowed
from exia.settings import SETTINGS

FILE = "model.pickle"


def fits(model: Any) -> bool:
    """Tell whether the configuration allows to load what `dump` would write."""
    try:
        dump(model)
    except (BadInput, NotAllowed):
        return False
    return True


def dump(model: Any) -> bytes:
    """Return `model` as a pickle, if it names nothing that this configuration does not list."""
    _refuse_while_off()
    try:
        data = pickle.dumps(model, protocol=5)
    except Exception as exc:  # a class may raise anything from its own pickling
        raise BadInput(f"{type(model).__name__} cannot be pickled: {exc}") from None
    load(data)
    return data


def load(data: bytes) -> Any:
    """Return the model; raise `NotAllowed` before anything that is not listed is imported."""
    _refuse_while_off()
    try:
        pickletools.dis(data, out=_Nothing())  # finds a broken stream before a byte of it is acted on
        model = _Restricted(data).load()
    except NotAllowed:
        raise
    except Exception as exc:  # a listed class may raise anything from its own unpickling
        raise Damaged(f"the model does not unpickle: {type(exc).__name__}: {exc}") from None
    _lock(model)
    return model


class _Restricted(pickle.Unpickler):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self._allowed = set(_listed())

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}:{name}" not in self._allowed:
            raise NotAllowed(
                f"the model names {module}:{name}, which the setting unpickle does not list",
                hint=f"if you trust it: EXIA_UNPICKLE='{' '.join([*sorted(self._allowed), f'{module}:{name}'])}'",
            )
        return super().find_class(module, name)


class _Nothing(io.StringIO):
    def write(self, text: str) -> int:
        return len(text)


def _listed() -> list[str]:
    return load_config(SETTINGS).text("unpickle").split()


def _refuse_while_off() -> None:
    listed = _listed()
    if not listed:
        raise NotAllowed(
            "pickled models are switched off, because loading one can run any code",
            hint="save arrays as safetensors, or list what may be loaded: exia config show, setting unpickle",
        )
    for entry in listed:
        module, colon, name = entry.partition(":")
        if not (module and colon and name):
            raise BadInput(f"the setting unpickle lists {entry!r}", hint="write each as module:name")


def _lock(model: Any) -> None:
    """Make the arrays of `model` read-only, as far as dicts, lists and attributes lead to them."""
    import sys

    numpy = sys.modules.get("numpy")
    if numpy is None:
        return
    seen: set[int] = set()
    left = [model]
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, numpy.ndarray):
            one.setflags(write=False)
        elif isinstance(one, dict):
            left += one.values()
        elif isinstance(one, list | tuple):
            left += one
        elif hasattr(one, "__dict__") and not isinstance(one, type):
            left += vars(one).values()
