"""Python text from a graph: Jinja2 holds the skeleton, and values enter as literals only."""

from __future__ import annotations

import keyword
import math
import traceback
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from kyrios.errors import BadInput
from kyrios.graph import Graph

if TYPE_CHECKING:
    from jinja2 import Environment

    from kyrios.engine.port import Target


def render_template(name: str, graph: Graph, target: Target, *, engine: str = "", **more: Any) -> str:
    """Return the text of template `name`, or of the flow's own one that extends it; it compiles.

    Raises
    ------
    BadInput
        If the flow's own template is wrong, or gives no Python; with its line, and ours where that is what failed.
    """
    if not target.command.strip():
        raise BadInput("the command that tasks call is empty", hint="kyrios config show --origin")
    engine = engine or name.partition(".")[0]
    facts = {
        "graph": graph,
        "target": target,
        "params": {**graph.params, **target.params},
        "release": _release(),
        "engine": engine,
        **more,
    }
    own = graph.templates.get(engine)
    text = _own(*own, engine, name, facts) if own else _environment().get_template(name).render(facts)
    try:
        compile(text, name, "exec", dont_inherit=True)
    except SyntaxError as exc:
        place = f"{own[0]}, which extends {name}," if own else f"template {name}"
        line = (text.splitlines()[exc.lineno - 1 : exc.lineno] if exc.lineno else []) or [""]
        raise BadInput(
            f"{place} gives no Python: {exc.msg} in line {exc.lineno} of what it gives: {line[0].strip()}",
            hint="values enter code by the filter literal: {{ value | literal }}",
        ) from exc
    return text


def _own(file: str, text: str, engine: str, name: str, facts: Mapping[str, Any]) -> str:
    """Render the flow's own template; it says ``{% extends "<engine>" %}`` and changes named blocks."""
    import jinja2

    environment = _environment().overlay(loader=jinja2.FunctionLoader({engine: _source(name)}.get))
    try:
        code = environment.compile(text, file, file)
        return environment.template_class.from_code(environment, code, environment.make_globals(None)).render(facts)
    except jinja2.TemplateSyntaxError as exc:
        raise BadInput(f"{file}:{exc.lineno}: {exc.message}") from exc
    except jinja2.TemplateNotFound as exc:
        hint = f'{{% extends "{engine}" %}}'
        raise BadInput(f"{file}: there is no template {str(exc)!r}", hint=hint) from exc
    except Exception as exc:
        # Jinja2 rewrites a traceback so that it shows the lines of templates.
        frames = [f for f in traceback.extract_tb(exc.__traceback__) if f.filename == file]
        ours = [f for f in traceback.extract_tb(exc.__traceback__) if f.filename == _NO_FILE]
        lines = [f"{file}:{frames[-1].lineno}"] if frames else [file]
        lines += [f"{name}:{ours[-1].lineno}"] if ours else []
        raise BadInput(f"{', '.join(lines)}: {type(exc).__name__}: {exc}") from exc


#: How Jinja2 calls a template in a traceback that came without a file.
_NO_FILE = "<template>"


@cache
def _source(name: str) -> str:
    environment = _environment()
    assert environment.loader is not None
    return str(environment.loader.get_source(environment, name)[0])


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
