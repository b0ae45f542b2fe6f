"""Read a flow's folder, name every mistake in it, and link it into a graph."""

from __future__ import annotations

import copy
import types
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from kyrios._house.errors import nearest
from kyrios.document import Document, read_document, shown
from kyrios.errors import FlowInvalid, NotFound, Problem
from kyrios.graph import Graph
from kyrios.link import link
from kyrios.pieces import Piece, flow_piece, unit_piece
from kyrios.registry import REGISTRY, registered
from kyrios.sources import Sources
from kyrios.spec import FITS, Extension, FlowSpec, Port, UnitSpec, in_words

if TYPE_CHECKING:
    import ast

_Spec = TypeVar("_Spec", bound=BaseModel)


def read_flow(folder: Path) -> Graph:
    """Return the graph of the flow in `folder`.

    Raises
    ------
    NotFound
        If there is no ``flow.yaml`` in `folder`.
    FlowInvalid
        With every mistake in the flow's files.
    """
    return read_with_sources(folder)[0]


def read_with_sources(folder: Path) -> tuple[Graph, Mapping[str, str]]:
    """Return the graph of the flow in `folder` and what it was read from, see `kyrios.sources`."""
    path = folder / "flow.yaml"
    if not path.is_file():
        raise NotFound(f"{folder} holds no flow: there is no flow.yaml", hint="give the folder of a flow")
    units = Units(folder)
    return link_document(units.document(path), folder, units), units.sources.found


def link_document(document: Document, folder: Path, units: Units | None = None) -> Graph:
    """Return the graph of the flow in `document`, whose units are `units`, or else those in `folder`."""
    units = units or Units(folder)
    _, graph = _linked(document, units)
    problems = [*sorted(document.problems), *units.problems()]
    if problems or graph is None:
        raise FlowInvalid(shown(folder), problems)
    return graph


def _linked(document: Document, units: Units) -> tuple[FlowSpec | None, Graph | None]:
    flow = _judge(document, FlowSpec)
    if flow is None:
        units.read_all(document.value)
        return None, None
    return flow, link(flow, document, units)


class Units:
    """The units beside a flow, each read once: files, folders that are flows themselves, and those that were built."""

    def __init__(self, folder: Path, within: tuple[Path, ...] = (), sources: Sources | None = None) -> None:
        self.folder = folder / "units"
        self.sources = sources or Sources(folder)
        self._within = (*within, folder)
        self._read: dict[str, tuple[Document, UnitSpec | None]] = {}
        self._flows: dict[str, tuple[Document, Units | None, Piece | None]] = {}
        self._pieces: dict[tuple[str, str], Piece | None] = {}
        self._kinds: dict[str, str] = {}

    @property
    def names(self) -> list[str]:
        """Every unit that a flow here may use, sorted."""
        files = {p.stem for p in self.folder.glob("*.yaml")}
        return sorted(files | {p.parent.name for p in self.folder.glob("*/flow.yaml")} | set(registered()))

    def __contains__(self, name: str) -> bool:
        return bool(self._kind(name))

    def _kind(self, name: str) -> str:
        """Return what `name` is made of: ``file``, ``flow``, ``built``, or nothing."""
        if name not in self._kinds:
            self._kinds[name] = self._found(name)
        return self._kinds[name]

    def _found(self, name: str) -> str:
        if self.sources.has(self.folder / f"{name}.yaml"):
            return "file"
        if self.sources.has(self.folder / name / "flow.yaml"):
            return "flow"
        built = registered().get(name)
        self.sources.note_built(name, built)
        return "built" if built else ""

    def document(self, path: Path) -> Document:
        """Read one of the files."""
        document = read_document(path, shown(path))
        self.sources.note(path, document.digest)
        return document

    def piece(self, name: str, ref: str) -> Piece | None:
        """Return the unit `name`, which was asked for as `ref`; None where there is a mistake in it."""
        if (name, ref) not in self._pieces:
            self._pieces[name, ref] = self._piece(name, ref)
        return self._pieces[name, ref]

    def _piece(self, name: str, ref: str) -> Piece | None:
        kind = self._kind(name)
        if kind == "flow":
            return self._flow(name, ref)
        if kind == "built":
            built = registered()[name]
            spec = self._spec(name, built / f"{name}.yaml", built)
            return None if spec is None else unit_piece(ref, spec, f"{REGISTRY}{name}/{built.name}")
        spec = self.get(name)
        return None if spec is None else unit_piece(ref, spec, "")

    def _flow(self, name: str, ref: str) -> Piece | None:
        if name not in self._flows:
            folder = self.folder / name
            document = self.document(folder / "flow.yaml")
            if folder.resolve() in [outer.resolve() for outer in self._within]:
                document.problem((), f"the flow {name!r} holds itself")
                self._flows[name] = document, None, None
                return None
            units = Units(folder, self._within, self.sources)
            spec, graph = _linked(document, units)
            if spec is not None and spec.flow != name:
                document.problem(("flow",), f"the folder is called {name} but the flow {spec.flow!r}")
            piece = None
            if spec is not None and graph is not None:
                piece = flow_piece(ref, spec, graph, f"units/{name}")
            self._flows[name] = document, units, piece
        return self._flows[name][2]

    def get(self, name: str) -> UnitSpec | None:
        return self._spec(name, self.folder / f"{name}.yaml", self.folder.parent)

    def _spec(self, name: str, path: Path, folder: Path) -> UnitSpec | None:
        if name not in self._read:
            self._read[name] = judged_unit(self.document(path), name, folder, self.sources)
        return self._read[name][1]

    def read_all(self, flow: Any) -> None:
        """Read the units that a flow names, which is too broken to be linked, for the mistakes in them."""
        uses = flow.get("units") if isinstance(flow, Mapping) else None
        for use in uses.values() if isinstance(uses, Mapping) else ():
            named = str(use.get("use")).partition("@")[0] if isinstance(use, Mapping) else ""
            if named in self:
                self.piece(named, named)

    def problems(self) -> list[Problem]:
        found = [p for name in sorted(self._read) for p in sorted(self._read[name][0].problems)]
        for name in sorted(self._flows):
            document, units, _ = self._flows[name]
            found += [*sorted(document.problems), *(units.problems() if units else ())]
        return found


def judged_unit(
    document: Document, name: str, folder: Path, sources: Sources | None = None
) -> tuple[Document, UnitSpec | None]:
    """Return `document` with the mistakes in it, and the unit `name` that it describes; its code is in `folder`."""
    spec = _judge(document, UnitSpec)
    if spec is not None:
        _judge_unit(spec, document, name)
        _judge_code(spec, document, folder, sources or Sources(folder))
    return document, spec


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
                f"the default of {word!r} must be {in_words(param.type)}, not {param.default!r}",
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


def _judge_code(spec: UnitSpec, document: Document, folder: Path, sources: Sources) -> None:
    """Compare the function with the interface where it can be read without running it."""
    judge_extension(spec.extension, document, folder, sources)
    if spec.run.call is None:
        return
    place = ("run", "call")
    found = _function(spec.run.call, document, place, folder, sources)
    if found is None:
        return
    function, where = found
    arguments = function.args
    names = [a.arg for a in (*arguments.args, *arguments.kwonlyargs)]
    wanted = {*spec.interface.inputs, *spec.interface.params}
    for word in sorted(wanted - set(names)) if arguments.kwarg is None else []:
        hint = nearest(word, set(names) - wanted)
        document.problem(place, f"{function.name} at {where} takes no {word!r}", hint=hint)
    plain = len(arguments.args) - len(arguments.defaults)
    needed = {a.arg for a in arguments.args[:plain]}
    needed |= {a.arg for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is None}
    for word in sorted(needed - wanted):
        text = f"{function.name} at {where} needs {word!r}, which the interface does not name"
        document.problem(place, text)


def judge_extension(given: Extension, document: Document, folder: Path, sources: Sources) -> None:
    """Judge the hooks and plugins of a unit or a flow, whose code is in `folder`."""
    from kyrios.extension import MOMENTS, plugin_names

    for moment in MOMENTS:
        for i, call in enumerate(getattr(given, moment)):
            place = ("extension", moment, i)
            found = _function(call, document, place, folder, sources)
            arguments = found[0].args if found else None
            if found and arguments and not (arguments.args or arguments.posonlyargs or arguments.vararg):
                text = f"{found[0].name} at {found[1]} takes nothing, but a hook is given the call"
                document.problem(place, text, hint=f"def {found[0].name}(call: kyrios.UnitCall) -> None")
    known = plugin_names() if given.plugins else []
    for i, name in enumerate(given.plugins):
        if name not in known:
            hint = nearest(name, known) or f"installed: {', '.join(known) or 'none'}"
            document.problem(("extension", "plugins", i), f"no plugin {name!r} is installed", hint=hint)


def _function(
    call: str, document: Document, place: tuple[str | int, ...], folder: Path, sources: Sources
) -> tuple[ast.FunctionDef, str] | None:
    """Return the function that `call` names and its file and line, where it is written beside the flow."""
    import ast

    module, _, function = call.partition(":")
    source = folder / f"{module.replace('.', '/')}.py"
    code = sources.read(source)
    if code is None:
        return None  # an installed module, which is met when it runs
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError) as exc:
        line = getattr(exc, "lineno", None) or 1
        document.problem(place, f"{shown(source)}:{line} is not Python: {getattr(exc, 'msg', exc)}")
        return None
    found = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
    others = {a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom | ast.Import) for a in n.names}
    others |= {t.id for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
    if function in found:
        return found[function], f"{shown(source)}:{found[function].lineno}"
    if function not in others:
        document.problem(place, f"{shown(source)} has no function {function!r}", hint=nearest(function, found))
    return None
