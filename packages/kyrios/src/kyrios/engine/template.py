"""Python text from a graph: Jinja2 holds the skeleton, and values enter as literals only."""

from __future__ import annotations

import keyword
import math
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from kyrios.errors import BadInput, KyriosError
from kyrios.graph import Graph

if TYPE_CHECKING:
    from jinja2 import Environment

    from kyrios.engine.port import Target


def render_template(name: str, graph: Graph, target: Target, **more: Any) -> str:
    """Return the text of template `name`; it compiles, or `KyriosError` is raised."""
    if not target.command.strip():
        raise BadInput("the command that tasks call is empty", hint="kyrios config show --origin")
    text = (
        _environment()
        .get_template(name)
        .render(
            graph=graph,
            target=target,
            params={**graph.params, **target.params},
            release=_release(),
            **more,
        )
    )
    try:
        compile(text, name, "exec", dont_inherit=True)
    except SyntaxError as exc:
        raise KyriosError(f"template {name} gave no Python, line {exc.lineno}: {exc.msg}") from exc
    return text


def literal(value: Any) -> str:
    """Return `value` as a Python literal, with double quotes where they read well."""
    if isinstance(value, str):
        text = repr(value)
        return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text and "\\'" not in text else text
    if value is None or isinstance(value, bool | int):
        return repr(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)  # 1.0 stays 1.0: the digest of a run's parameters tells them apart
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(literal(v) for v in value) + "]"
    raise BadInput(f"{value!r} has no place in rendered code", hint="give texts, numbers, lists and mappings")


def identifier(name: str) -> str:
    """Return `name` as a Python name that hides nothing of the template's."""
    name = name.replace("-", "__")
    return f"{name}_" if keyword.iskeyword(name) or name in _TAKEN else name


_TAKEN = {
    *("dag", "datetime", "timedelta", "pendulum", "annotations", "dict", "str", "int", "bool", "list", "print"),
    *("backoff", "hashlib", "json", "os", "resource", "shlex", "signal", "socket", "tempfile"),
}


@cache
def _release() -> str:
    from importlib.metadata import version

    return version("jiyuan-kyrios")


@cache
def _environment() -> Environment:
    from jinja2 import PackageLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        loader=PackageLoader("kyrios.engine", "."),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["literal"] = literal
    environment.filters["identifier"] = identifier
    return environment
