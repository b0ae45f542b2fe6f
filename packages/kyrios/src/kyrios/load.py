"""Read a flow's folder, name every mistake in it, and link it into a graph."""

from __future__ import annotations

import copy
import json
import os
import re
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from kyrios._house.errors import nearest
from kyrios.document import Document, read_document
from kyrios.errors import FlowInvalid, NotFound, Problem
from kyrios.graph import Graph, Task, find_cycle, ordered
from kyrios.spec import FITS, FlowSpec, Param, Port, UnitSpec, Use

#: A reference to a parameter of the flow inside a text.
REFERENCE = re.compile(r"\$\{([^}]*)\}")
_Spec = TypeVar("_Spec", bound=BaseModel)
_ARTICLES = {"array": "a list", "object": "a mapping", "integer": "a whole number", "string": "a text"}


def read_flow(folder: Path) -> Graph:
    """Return the graph of the flow in `folder`.

    Raises
    ------
    NotFound
        If there is no ``flow.yaml`` in `folder`.
    FlowInvalid
        With every mistake in the flow's files.
    """
    path = folder / "flow.yaml"
    if not path.is_file():
        raise NotFound(f"{folder} holds no flow: there is no flow.yaml", hint="give the folder of a flow")
    document = read_document(path, _shown(path))
    flow = _judge(document, FlowSpec)
    units = _Units(folder)
    if flow is None:
        units.read_all(document.value)
    graph = None if flow is None else _link(flow, document, units)
    problems = [*sorted(document.problems), *units.problems()]
    if problems or graph is None:
        raise FlowInvalid(_shown(folder), problems)
    return graph


class _Units:
    """The unit files beside a flow, each read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "units"
        self.names = sorted(p.stem for p in self.folder.glob("*.yaml"))
        self._read: dict[str, tuple[Document, UnitSpec | None]] = {}

    def get(self, name: str) -> UnitSpec | None:
        if name not in self._read:
            path = self.folder / f"{name}.yaml"
            document = read_document(path, _shown(path))
            spec = _judge(document, UnitSpec)
            if spec is not None:
                _judge_unit(spec, document, name)
                _judge_code(spec, document, self.folder.parent)
            self._read[name] = document, spec
        return self._read[name][1]

    def read_all(self, flow: Any) -> None:
        """Read the units that a flow names, which is too broken to be linked, for the mistakes in them."""
        uses = flow.get("units") if isinstance(flow, Mapping) else None
        for use in uses.values() if isinstance(uses, Mapping) else ():
            named = str(use.get("use")).partition("@")[0] if isinstance(use, Mapping) else ""
            if named in self.names:
                self.get(named)

    def problems(self) -> list[Problem]:
        return [p for name in sorted(self._read) for p in sorted(self._read[name][0].problems)]


def _judge(document: Document, model: type[_Spec]) -> _Spec | None:
    """Hold `document` to `model`; its mistakes go into ``document.problems``.

    What can be left out is left out and the rest returned, so that one pass finds the mistakes behind it too.
    """
    if document.value is None:
        return None
    if not isinstance(document.value, Mapping):
        document.problem((), "the file must hold keys, as 'kyrios: 1' is one")
        return None
    try:
        return model.model_validate(document.value)
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
    for error in errors:
        _explain(document, model, error)
    rest = copy.deepcopy(document.value)
    for error in errors:
        _leave_out(rest, error["loc"])
    try:
        return model.model_validate(rest)
    except ValidationError:
        return None


def _leave_out(value: Any, path: tuple[str | int, ...]) -> None:
    """Remove what stands at `path`, if it is there."""
    for step in path[:-1]:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(value, dict) and path:
        value.pop(path[-1], None)


def _explain(document: Document, model: type[BaseModel], error: Any) -> None:
    """Say one of pydantic's errors in the words of the file."""
    path = tuple(step for step in error["loc"] if step != "[key]")
    kind, given = error["type"], error.get("input")
    word = str(path[-1]) if path else ""
    if kind == "extra_forbidden":
        known = _keys_at(model, path[:-1])
        hint = nearest(word, known) or f"known: {', '.join(known)}"
        document.problem(path, f"unknown key {word!r}", hint=hint, key=True)
    elif kind == "missing":
        document.problem(path[:-1], f"the key {word!r} is missing", key=True)
    elif error["loc"] and error["loc"][-1] == "[key]":
        document.problem(path, f"{word!r} is no name: small letters, digits and _ only", key=True)
    elif kind == "string_type" and not isinstance(given, Mapping | list):
        document.problem(path, f"{word!r} must be a text, not {given!r}", hint=f'write it in quotes: "{given}"')
    else:
        document.problem(path, f"{word!r} {_reason(kind, error, given)}")


def _reason(kind: str, error: Any, given: object) -> str:
    shown = repr(given) if isinstance(given, str | int | float | bool | None) else type(given).__name__
    if kind == "value_error":
        return f"{error['ctx']['error']}, not {shown}"
    if kind == "string_pattern_mismatch":
        pattern = error["ctx"]["pattern"]
        example = next((text for start, text in _PATTERNS if pattern.startswith(start)), pattern)
        return f"must be {example}, not {shown}"
    if kind in ("dict_type", "model_type", "model_attributes_type"):
        return f"must hold keys, not {shown}"
    if kind == "list_type":
        return f"must be a list, not {shown}"
    if kind == "literal_error":
        return f"must be {error['ctx']['expected']}, not {shown}"
    if kind == "too_short":
        return "must not be empty"
    text = str(error["msg"])
    return f"{text[:1].lower()}{text[1:]}".replace("input should be", "must be") + f", not {shown}"


_PATTERNS = (
    (r"^[a-z][a-z0-9_]*@", "a unit with its major version, such as adjust@1"),
    (r"^[a-z][a-z0-9_]{", "a name of small letters, digits and _"),
    (r"^\d", 'a version in quotes, such as "1.0"'),
    (r"^\w+\.", "a unit and its output, such as ingest.listing"),
    (r"^[A-Za-z_][\w.]*:", "module:function, such as units:adjust"),
)


def _keys_at(model: Any, path: tuple[str | int, ...]) -> list[str]:
    """Return the keys that `model` knows at `path`."""
    for step in path:
        model = _inner(model)
        if isinstance(model, type) and issubclass(model, BaseModel):
            fields = {f.alias or name: f for name, f in model.model_fields.items()}
            if step not in fields:
                return []
            model = fields[str(step)].annotation
        else:  # dict[str, X] or list[X]
            model = get_args(model)[-1]
    model = _inner(model)
    return [f.alias or name for name, f in model.model_fields.items()] if hasattr(model, "model_fields") else []


def _inner(annotation: Any) -> Any:
    while get_origin(annotation) in (Annotated, Union, types.UnionType):
        annotation = next(a for a in get_args(annotation) if a is not type(None))
    return annotation


def _judge_unit(spec: UnitSpec, document: Document, name: str) -> None:
    if spec.unit != name:
        document.problem(
            ("unit",), f"the file is called {name}.yaml but the unit {spec.unit!r}", hint="give both one name"
        )
    both = sorted(set(spec.interface.params) & set(spec.interface.inputs))
    for word in both:
        document.problem(("interface", "params", word), f"{word!r} is both an input and a parameter", key=True)
    for word, param in spec.interface.params.items():
        if param.default is not None and not FITS[param.type](param.default):
            document.problem(
                ("interface", "params", word, "default"),
                f"the default of {word!r} must be {_a(param.type)}, not {param.default!r}",
            )
    for side in ("inputs", "outputs"):
        for word, port in getattr(spec.interface, side).items():
            _judge_columns(port, document, ("interface", side, word, "columns"))


def _judge_columns(port: Port, document: Document, path: tuple[str, ...]) -> None:
    from kyrios.tables import arrow_type, known_types

    for column, kind in (port.columns or {}).items():
        if arrow_type(kind) is None:
            hint = nearest(kind, known_types()) or "known: " + ", ".join(known_types())
            document.problem((*path, column), f"no column type is called {kind!r}", hint=hint)


def _judge_code(spec: UnitSpec, document: Document, folder: Path) -> None:
    """Compare the function with the interface where it can be read without running it."""
    import ast

    module, _, function = spec.run.call.partition(":")
    source = folder / f"{module.replace('.', '/')}.py"
    if not source.is_file():
        return  # an installed module, which is met when it runs
    place = ("run", "call")
    try:
        tree = ast.parse(source.read_bytes())
    except (SyntaxError, ValueError) as exc:
        line = getattr(exc, "lineno", None) or 1
        document.problem(place, f"{_shown(source)}:{line} is not Python: {getattr(exc, 'msg', exc)}")
        return
    found = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
    others = {a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom | ast.Import) for a in n.names}
    others |= {t.id for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
    if function not in found:
        if function not in others:
            document.problem(place, f"{_shown(source)} has no function {function!r}", hint=nearest(function, found))
        return
    arguments = found[function].args
    names = [a.arg for a in (*arguments.args, *arguments.kwonlyargs)]
    wanted = {*spec.interface.inputs, *spec.interface.params}
    where = f"{_shown(source)}:{found[function].lineno}"
    for word in sorted(wanted - set(names)) if arguments.kwarg is None else []:
        document.problem(place, f"{function} at {where} takes no {word!r}", hint=nearest(word, set(names) - wanted))
    plain = len(arguments.args) - len(arguments.defaults)
    needed = {a.arg for a in arguments.args[:plain]}
    needed |= {a.arg for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is None}
    for word in sorted(needed - wanted):
        document.problem(place, f"{function} at {where} needs {word!r}, which the interface does not name")


def _link(flow: FlowSpec, document: Document, units: _Units) -> Graph | None:
    for name, value in flow.params.items():
        if not _is_plain(value):
            hint = "write a date or a special number in quotes"
            document.problem(("params", name), f"the parameter {name!r} must be JSON, not {value!r}", hint=hint)
    specs = {name: _resolve(name, use, document, units) for name, use in flow.units.items()}
    for name, use in flow.units.items():
        _judge_use(name, use, specs, flow, document)
    upstream = {
        name: {source.partition(".")[0] for source in use.inputs.values()} | set(use.after)
        for name, use in flow.units.items()
    }
    cycle = find_cycle(upstream)
    if cycle:
        document.problem(("units", cycle[0]), f"the units form a cycle: {' -> '.join(cycle)}", key=True)
    if document.problems or any(spec is None for spec in specs.values()):
        return None
    return Graph(
        flow=flow.flow,
        version=flow.info.version,
        summary=flow.info.summary,
        owner=flow.info.owner,
        tags=tuple(flow.info.tags),
        cron=flow.schedule.cron if flow.schedule else None,
        tz=flow.schedule.tz if flow.schedule else "UTC",
        params=dict(flow.params),
        tasks=ordered(_task(name, flow.units[name], spec) for name, spec in specs.items() if spec),
    )


def _task(name: str, use: Use, spec: UnitSpec) -> Task:
    defaults = {word: p.default for word, p in spec.interface.params.items() if "default" in p.model_fields_set}
    return Task(
        name=name,
        unit=spec.unit,
        version=spec.info.version,
        call=spec.run.call,
        summary=spec.info.summary,
        params={**defaults, **use.params},
        types={word: p.type for word, p in spec.interface.params.items()},
        inputs=dict(use.inputs),
        outputs={word: port.columns for word, port in spec.interface.outputs.items()},
        after=tuple(sorted(set(use.after))),
        retries=spec.run.retries,
        retry_delay=spec.run.retry_delay,
        timeout=spec.run.timeout,
    )


def _resolve(name: str, use: Use, document: Document, units: _Units) -> UnitSpec | None:
    unit, _, version = use.use.partition("@")
    place = ("units", name, "use")
    if unit not in units.names:
        hint = nearest(unit, units.names) or f"write {_shown(units.folder / (unit + '.yaml'))}"
        document.problem(place, f"there is no unit {unit!r}", hint=hint)
        return None
    spec = units.get(unit)
    wanted = version.split(".")
    if spec is not None and spec.info.version.split(".")[: len(wanted)] != wanted:
        document.problem(place, f"{use.use} is asked for, but {unit} is {spec.info.version}")
    return spec


def _judge_use(name: str, use: Use, specs: Mapping[str, UnitSpec | None], flow: FlowSpec, document: Document) -> None:
    at = ("units", name)
    for i, before in enumerate(use.after):
        if before not in specs:
            document.problem(
                (*at, "after", i), f"there is no unit {before!r} in this flow", hint=nearest(before, specs)
            )
    spec = specs[name]
    for port, source in use.inputs.items():
        if spec is not None and port not in spec.interface.inputs:
            hint = nearest(port, spec.interface.inputs)
            document.problem((*at, "in", port), f"{use.use} has no input {port!r}", hint=hint, key=True)
        else:
            _judge_edge(at, port, source, spec.interface.inputs[port] if spec else None, specs, document)
    for word, value in use.params.items():
        declared = spec.interface.params.get(word) if spec else None
        if spec is not None and declared is None:
            hint = nearest(word, spec.interface.params)
            document.problem((*at, "with", word), f"{use.use} has no parameter {word!r}", hint=hint, key=True)
        else:
            _judge_value((*at, "with", word), word, value, declared, flow, document)
    if spec is None:
        return
    for port in sorted(set(spec.interface.inputs) - set(use.inputs)):
        document.problem(
            at, f"the input {port!r} of {use.use} is not connected", hint=f"in: {{{port}: unit.output}}", key=True
        )
    for word, param in sorted(spec.interface.params.items()):
        if "default" not in param.model_fields_set and word not in use.params:
            document.problem(
                at, f"the parameter {word!r} of {use.use} has no value", hint=f"with: {{{word}: ...}}", key=True
            )


def _judge_edge(
    at: tuple[str, ...],
    port: str,
    source: str,
    wanted: Port | None,
    specs: Mapping[str, UnitSpec | None],
    document: Document,
) -> None:
    unit, _, output = source.partition(".")
    place = (*at, "in", port)
    if unit not in specs:
        document.problem(place, f"there is no unit {unit!r} in this flow", hint=nearest(unit, specs))
        return
    producer = specs[unit]
    if producer is None:
        return
    outputs = producer.interface.outputs
    if output not in outputs:
        hint = nearest(output, outputs) or f"its outputs: {', '.join(outputs) or 'none'}"
        document.problem(place, f"the unit {unit!r} has no output {output!r}", hint=hint)
        return
    given = outputs[output].columns
    if wanted is None or wanted.columns is None or given is None:
        return
    for column, kind in wanted.columns.items():
        if column not in given:
            document.problem(
                place, f"{source} has no column {column!r}, which {port} needs", hint=nearest(column, given)
            )
        elif given[column] != kind:
            document.problem(place, f"column {column!r} of {source} is {given[column]}, but {port} needs {kind}")


def _judge_value(
    place: tuple[str, ...], word: str, value: Any, declared: Param | None, flow: FlowSpec, document: Document
) -> None:
    if not _is_plain(value):
        document.problem(
            place, f"{word!r} must be JSON, not {value!r}", hint="write a date or a special number in quotes"
        )
        return
    missing = False
    for reference in references(value):
        known = reference.removeprefix("params.") if reference.startswith("params.") else None
        if known is None:
            document.problem(place, f"'${{{reference}}}' is not understood", hint="write ${params.<name>}")
        elif known not in flow.params:
            document.problem(place, f"the flow has no parameter {known!r}", hint=nearest(known, flow.params))
        missing = missing or known not in flow.params
    if missing or declared is None:
        return
    filled = fill(value, flow.params)
    # A flow's parameter whose default is null is given when the flow is run, and judged then.
    if filled is not None and not FITS[declared.type](filled):
        document.problem(place, f"{word!r} must be {_a(declared.type)}, not {filled!r}")


def references(value: Any) -> list[str]:
    """Return what the texts in `value` refer to, in order."""
    if isinstance(value, str):
        return REFERENCE.findall(value)
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [found for item in items for found in references(item)]


def fill(value: Any, params: Mapping[str, Any]) -> Any:
    """Put the flow's parameters into `value`; a text that is one reference takes the parameter's own type."""
    if isinstance(value, str):
        whole = REFERENCE.fullmatch(value)
        if whole:
            return params[whole[1].removeprefix("params.")]
        return REFERENCE.sub(lambda m: _plain_text(params[m[1].removeprefix("params.")]), value)
    if isinstance(value, Mapping):
        return {key: fill(item, params) for key, item in value.items()}
    return [fill(item, params) for item in value] if isinstance(value, list) else value


def _plain_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _a(kind: str) -> str:
    return _ARTICLES.get(kind, f"a {kind}")


def _shown(path: Path) -> str:
    """Return `path` as the user would write it: relative where it is below the working folder."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
