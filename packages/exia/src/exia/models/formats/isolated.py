"""``isolated``: any pickle; it is loaded in a process of its own, which has no secrets to give away.

Off by default (the setting ``isolate``). What is saved is the object's pickle, or, where bytes are given,
the pickle that they are; none of it is unpickled here.
"""

from __future__ import annotations

import pickle
from typing import Any

from exia.errors import BadInput
from exia.models.isolation.apart import Isolated, refuse_while_off

FILE = "model.pickle"
_PROTOCOL = b"\x80"  # how a pickle of protocol 2 or more begins


def fits(model: Any) -> bool:
    """Tell whether `dump` takes `model`; it is never chosen for that."""
    try:
        dump(model)
    except BadInput:
        return False
    return True


def dump(model: Any) -> bytes:
    """Return the pickle of `model`, or `model` itself where it is the bytes of one."""
    if isinstance(model, bytes | bytearray | memoryview):
        data = bytes(model)
        if not data.startswith(_PROTOCOL) or not data.endswith(b"."):
            raise BadInput("these bytes are no pickle", hint="write them with pickle.dumps(model, protocol=5)")
        return data
    try:
        return pickle.dumps(model, protocol=5)
    except Exception as exc:  # a class may raise anything from its own pickling
        raise BadInput(f"{type(model).__name__} cannot be pickled: {exc}") from None


def load(data: bytes) -> Isolated:
    """Return what stands for the model; its signature and its digest were checked before.

    Raises
    ------
    NotAllowed
        If the configuration does not let it load, or this kernel cannot fence it in.
    LoadError
        If it does not unpickle where it may do nothing else.
    """
    refuse_while_off()
    return Isolated(data, "the isolated model")
