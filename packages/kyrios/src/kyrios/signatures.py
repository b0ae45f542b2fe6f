"""What a Python function says of the unit that it is: its ports, its parameters and their types."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from kyrios.errors import BadInput

_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object"}


def table_port(columns: Mapping[str, str] | None) -> dict[str, Any]:
    """Return the port of a table with `columns` (name to Arrow type), of any where it is None."""
    return {"type": "table", "columns": dict(columns)} if columns is not None else {"type": "table"}


def module_of(function: Callable[..., Any]) -> str:
    """Return the module by which a run imports `function`."""
    if function.__module__ == "__main__" or function.__module__.startswith("_kyrios_"):
        return Path(inspect.getfile(function)).stem
    return function.__module__


def ports_and_params(function: Callable[..., Any]) -> tuple[list[str], dict[str, Any]]:
    """Return the input ports (positional words) and the parameters (keyword-only words) that `function` takes."""
    ports: list[str] = []
    params: dict[str, Any] = {}
    hints = inspect.get_annotations(function, eval_str=False)
    for word, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            params[word] = {"type": _type(word, hints.get(word), function)}
            if parameter.default is not parameter.empty:
                params[word]["default"] = parameter.default
        elif parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            ports.append(word)
        else:
            raise BadInput(f"{function.__name__} takes {parameter}, which no unit may", hint="name what it takes")
    return ports, params


def _type(word: str, hint: Any, function: Callable[..., Any]) -> str:
    if isinstance(hint, str):
        hint = {t.__name__: t for t in _TYPES}.get(hint.partition("[")[0].partition(" |")[0].strip())
    if isinstance(hint, types.UnionType):
        hint = next(a for a in get_args(hint) if a is not types.NoneType)
    found = _TYPES.get(get_origin(hint) or hint)
    if found is None:
        raise BadInput(
            f"the parameter {word!r} of {function.__name__} has no type that a flow knows",
            hint=f"annotate it with one of {', '.join(t.__name__ for t in _TYPES)}",
        )
    return found
