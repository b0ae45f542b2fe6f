"""An object in the process where it lives, and what can be asked of it there."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from exia.methods import MethodTable, call_method, methods_of

#: Whether it went well, and what came of it: a value, or an exception that can be pickled.
Answer = tuple[bool, Any]


class Resident:
    """Makes one object and calls its methods; nothing that the object raises leaves as an exception."""

    def __init__(self) -> None:
        self._make: Callable[..., Any] | None = None
        self.object: Any = None

    def build(self, target: str | bytes, params: Mapping[str, Any]) -> Answer:
        """Make the object; answer with its methods, or with None if there is none."""
        return _answer(partial(self._build, target, params))

    def renew(self, params: Mapping[str, Any]) -> Answer:
        """Give the object new parameters, or make it anew."""
        return _answer(partial(self._renew, params))

    def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Answer:
        """Call the method `name`; answer with what it returned."""
        return _answer(partial(call_method, self.object, methods_of(self.object), name, *args, **kwargs))

    def _build(self, target: str | bytes, params: Mapping[str, Any]) -> MethodTable | None:
        self._make = _maker(target)
        self.object = self._make(**params)
        return None if self.object is None else methods_of(self.object)

    def _renew(self, params: Mapping[str, Any]) -> None:
        if callable(getattr(type(self.object), "apply_params", None)):
            self.object.apply_params(params)
        elif self._make is not None:
            self.object = self._make(**params)


def _answer(work: Callable[[], Any]) -> Answer:
    try:
        return True, work()
    except Exception as exc:
        return False, _portable(exc)


def _maker(target: str | bytes) -> Callable[..., Any]:
    if isinstance(target, str):
        from exia.loading import load

        return load(target).factory
    made: Callable[..., Any] = pickle.loads(target)
    return made


def _portable(exc: Exception) -> Exception:
    """Return `exc` with its traceback as a note, or what can be said of it if it cannot be pickled."""
    text = "".join(traceback.format_exception(exc)).rstrip()
    try:
        pickle.loads(pickle.dumps(exc))
    except Exception:
        exc = RuntimeError(f"{type(exc).__name__}: {exc}")
    exc.add_note(f"in the object's own process:\n{text}")
    return exc
