"""Which methods an object offers, and calling one of them by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypedDict

from exia._house.errors import nearest
from exia.errors import MethodNotFound, WrongArguments


class MethodInfo(TypedDict):
    """One method: its signature without ``self``, and the first line of its docstring."""

    signature: str
    summary: str


MethodTable = Mapping[str, MethodInfo]


def methods_of(obj: object) -> MethodTable:
    """Return the public methods of `obj` by name, sorted; of a module, its public functions."""
    import types

    # An object that stands for one in another process brings the table of that.
    carried: MethodTable | None = getattr(obj, "__dict__", {}).get("__exia_methods__")
    if carried is not None:
        return carried
    return _module_methods(obj) if isinstance(obj, types.ModuleType) else methods_of_class(type(obj))


def methods_of_class(kind: type) -> MethodTable:
    """Return the methods that instances of `kind` have, without making one."""
    found: MethodTable = _class_methods(kind)
    return found


def call_method(obj: object, table: MethodTable, name: str, *args: Any, **kwargs: Any) -> Any:
    """Call the method `name` of `obj`, if `table` lists it.

    Raises
    ------
    MethodNotFound
        If `table` does not list it; the hint names the nearest.
    WrongArguments
        If the method does not take these arguments; nothing ran.
    """
    if name not in table:
        known = ", ".join(sorted(table)) or "none"
        raise MethodNotFound(
            f"{type(obj).__name__} has no method {name!r}", hint=nearest(name, table) or f"it has: {known}"
        )
    method = getattr(obj, name)
    try:
        return method(*args, **kwargs)
    except TypeError as exc:
        # Only a call that the signature itself refuses is the caller's mistake; any other
        # TypeError comes from inside and is not ours to rename.
        if _fits(method, args, kwargs):
            raise
        shown = _signature(method, skip_self=False)  # as it is called, which a loader's table may not say
        raise WrongArguments(f"{name} does not take these arguments: {exc}", hint=f"call it as {name}{shown}") from None


def _fits(method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    import inspect

    try:
        inspect.signature(method).bind(*args, **kwargs)
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return True
    return True


@lru_cache(maxsize=256)
def _class_methods(kind: type) -> MethodTable:
    import inspect

    found: dict[str, MethodInfo] = {}
    for name in sorted(dir(kind)):
        static = inspect.getattr_static(kind, name)
        if name.startswith("_") or isinstance(static, property | type):
            continue
        bound = isinstance(static, staticmethod | classmethod)
        method = getattr(kind, name, None)
        if callable(method):
            found[name] = {"signature": _signature(method, skip_self=not bound), "summary": _summary(method)}
    return found


def _module_methods(module: Any) -> MethodTable:
    names = getattr(module, "__all__", None) or [n for n in dir(module) if not n.startswith("_")]
    functions = {n: getattr(module, n, None) for n in sorted(names)}
    return {
        name: {"signature": _signature(f, skip_self=False), "summary": _summary(f)}
        for name, f in functions.items()
        if callable(f) and not isinstance(f, type)
    }


def _signature(method: Any, *, skip_self: bool) -> str:
    import inspect

    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):
        return "(...)"
    parameters = list(signature.parameters.values())
    return str(signature.replace(parameters=parameters[1:] if skip_self else parameters))


def _summary(method: Any) -> str:
    import inspect

    return (inspect.getdoc(method) or "").strip().partition("\n")[0]
