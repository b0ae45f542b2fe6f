"""Write units and flows in Python: the same graph, with the same digest, as their YAML gives.

::

    @kyrios.unit(outputs={"numbers": {"n": "int64"}})
    def numbers(*, first: int = 1) -> pa.Table: ...

    with kyrios.flow("sums", params={"first": 1}) as sums:
        a = numbers(first=sums.params.first)
        b = double(numbers=a).retry(2)
        a >> b
    sums.run()
"""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from kyrios._house.errors import nearest
from kyrios.document import Document
from kyrios.errors import BadInput
from kyrios.expressions import Column, Expression, Output, Parameter
from kyrios.load import Units, judged_unit, link_document
from kyrios.pieces import Piece, unit_piece
from kyrios.signatures import module_of, ports_and_params, table_port

if TYPE_CHECKING:
    from kyrios.flows import Flow
    from kyrios.run import Run

_open: ContextVar[FlowBuilder | None] = ContextVar("kyrios_flow", default=None)


class Sequenced:
    """Something with a beginning and an end in a flow: ``a >> b`` is one after the other, ``a | b`` both at once."""

    _first: tuple[Node, ...]
    _last: tuple[Node, ...]

    def __rshift__(self, other: Sequenced) -> Sequenced:
        for node in other._first:
            after = node.use.setdefault("after", [])
            after += [before.name for before in self._last if before.name not in after]
        return _Part(self._first, other._last)

    def __or__(self, other: Sequenced) -> Sequenced:
        return _Part(self._first + other._first, self._last + other._last)


class _Part(Sequenced):
    def __init__(self, first: tuple[Node, ...], last: tuple[Node, ...]) -> None:
        self._first, self._last = first, last


class Node(Sequenced):
    """A unit in its place in a flow; an attribute is an output of it."""

    def __init__(self, flow: FlowBuilder, name: str, use: dict[str, Any], outputs: Sequence[str] | None) -> None:
        self._flow, self.name, self.use, self._outputs = flow, name, use, outputs
        self._first = self._last = (self,)

    def __getattr__(self, name: str) -> Output:
        if name.startswith("_"):
            raise AttributeError(name)
        return Output(f"{self.name}.{name}")

    def output(self) -> Output:
        """Return its one output; raise `BadInput` if it has several."""
        if self._outputs is None or len(self._outputs) != 1:
            known = ", ".join(self._outputs or ()) or "those of its file"
            raise BadInput(f"{self.name} has no single output", hint=f"name one of them: {known}")
        return Output(f"{self.name}.{self._outputs[0]}")

    def retry(
        self, retries: int, *, delay: str | None = None, backoff: float | None = None, timeout: str | None = None
    ) -> Self:
        """Try it again `retries` times, after `delay` (such as ``"2s"``), each time `backoff` times as long."""
        given = {"retries": retries, "retry_delay": delay, "backoff": backoff, "timeout": timeout}
        return self._with(**{key: value for key, value in given.items() if value is not None})

    def fallback(self, *units: Unit) -> Self:
        """Run one of `units` in its place where it fails, with the same inputs and parameters."""
        return self._with(fallback=[self._flow.known(unit) for unit in units])

    def loop(self, times: int, *, until: Expression | str | None = None) -> Self:
        """Run it again with what it gave, `times` times at most, until ``output.column`` is as it should."""
        found: dict[str, Any] = {"times": times}
        if until is not None:
            # Inside its own loop a unit is not named.
            found["until"] = str(until).replace(f"{self.name}.", "")
        return self._with(loop=found)

    def when(self, ends: str) -> Self:
        """Run after ``all_succeeded``, ``all_done``, ``any_succeeded`` or ``any_failed`` of those before it."""
        return self._with(when=ends)

    def only_if(self, condition: Expression | str) -> Self:
        """Skip it where `condition` does not hold."""
        return self._with(**{"if": str(condition)})

    def may_fail(self) -> Self:
        """Let the run succeed although it fails."""
        return self._with(may_fail=True)

    def grouped(self, group: str) -> Self:
        """Draw it in a group."""
        return self._with(group=group)

    def _with(self, **more: Any) -> Self:
        self.use.update(more)
        return self


class Unit:
    """A unit: called inside a flow it takes its place there, called elsewhere it is its function."""

    def __init__(
        self, ref: str, document: dict[str, Any] | None, function: Callable[..., Any] | None, line: int = 0
    ) -> None:
        self.ref, self.document, self._function, self._line = ref, document, function, line
        self._place: dict[str, Any] = {}
        self._node: str | None = None
        if function is not None:
            self.__doc__ = function.__doc__

    @property
    def name(self) -> str:
        """Its name, without the version."""
        return self.ref.partition("@")[0]

    def named(self, name: str) -> Unit:
        """Return the same unit, which takes its place in a flow under `name`."""
        same = Unit(self.ref, self.document, self._function, self._line)
        same._node = name
        return same

    def __call__(self, *args: Any, **given: Any) -> Any:
        flow = _open.get()
        if flow is None:
            if self._function is None:
                raise BadInput(f"{self.ref} can be called inside a flow only", hint="with kyrios.flow(...) as flow:")
            return self._function(*args, **given)
        return flow.place(self, args, given)

    def map(self, **given: Any) -> Node:
        """Take its place in a flow once for each item: of a list, of a parameter, of a column."""
        flow = _open.get()
        if flow is None:
            raise BadInput(f"{self.ref} is mapped inside a flow only", hint="with kyrios.flow(...) as flow:")
        over = {k: v for k, v in given.items() if isinstance(v, list | Column | Parameter)}
        return flow.place(self, (), {k: v for k, v in given.items() if k not in over}, over)

    def inputs(self) -> list[str]:
        """Return the names of its inputs in their order, as far as they are known."""
        return list(self.document["interface"]["inputs"]) if self.document else []

    def outputs(self) -> list[str] | None:
        """Return the names of its outputs; None where only its file knows them."""
        return list(self.document["interface"]["outputs"]) if self.document else None


def unit(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    version: str = "1.0",
    summary: str | None = None,
    owner: str = "",
    tags: Sequence[str] = (),
    inputs: Mapping[str, Mapping[str, str] | None] | None = None,
    outputs: Mapping[str, Mapping[str, str] | None] | Sequence[str] | None = None,
    cache: bool = False,
    extension: Mapping[str, Any] | None = None,
    **run: Any,
) -> Any:
    """Make a unit of a function.

    What it takes before ``*`` are its inputs; what it takes after, its parameters, with their types.

    Parameters
    ----------
    inputs, outputs
        Columns of the tables by name (name to Arrow type), None where any will do; one output ``result`` if not given.
    cache
        Whether its outputs are kept for the same inputs, code and parameters.
    extension
        ``before``, ``after``, ``on_error``, ``on_retry`` (functions, or ``module:function``), ``plugins``, ``engines``.
    run
        ``retries``, ``retry_delay``, ``backoff``, ``longest_delay``, ``timeout``, as a unit's file has them.
    """
    if function is None:
        return lambda f: unit(
            f, name=name, version=version, summary=summary, owner=owner, tags=tags, inputs=inputs, outputs=outputs,
            cache=cache, extension=extension, **run,
        )  # fmt: skip
    word = name or function.__name__
    ports, params = ports_and_params(function)
    given = outputs if outputs is not None else ["result"]
    out = dict(given) if isinstance(given, Mapping) else dict.fromkeys(given)
    lines = (function.__doc__ or "").strip().splitlines()
    document: dict[str, Any] = {
        "kyrios": 1,
        "unit": word,
        "info": {"version": version, "summary": summary if summary is not None else (lines[0] if lines else "")},
        "run": {"call": f"{module_of(function)}:{function.__name__}", **run},
        "interface": {
            "inputs": {port: table_port((inputs or {}).get(port)) for port in ports},
            "outputs": {port: table_port(columns) for port, columns in out.items()},
            "params": params,
        },
    }
    document["info"].update({key: value for key, value in (("owner", owner), ("tags", list(tags))) if value})
    if cache:
        document["state"] = {"cache": True}
    if extension:
        document["extension"] = _extension(extension)
    return Unit(f"{word}@{version.partition('.')[0]}", document, function, function.__code__.co_firstlineno)


def use(ref: str) -> Unit:
    """Return the unit `ref`, such as ``"adjust@1"``, which has a file beside the flow or was built."""
    return Unit(ref, None, None)


class _Names:
    """Attributes that are made when they are asked for, of names that are known."""

    def __init__(self, kind: str, known: Mapping[str, Any], make: Callable[[str], Any]) -> None:
        self._kind, self._known, self._make = kind, known, make

    def __getattr__(self, name: str) -> Any:
        if name not in self._known:
            raise BadInput(f"the flow has no {self._kind} {name!r}", hint=nearest(name, self._known))
        return self._make(name)


class FlowBuilder:
    """A flow that is being written; leave its ``with`` and it can be run, rendered and written as YAML."""

    def __init__(self, document: dict[str, Any], folder: Path, file: str) -> None:
        self._document, self._folder, self._file = document, folder, file
        self._units: dict[str, Unit] = {}
        self._lines: dict[str, int] = {}
        self.params = _Names("parameter", document.get("params", {}), lambda name: Parameter(f"params.{name}"))
        self.inputs = _Names("input", document.get("inputs", {}), lambda name: Output(f"inputs.{name}"))
        self._token: Any = None

    def __enter__(self) -> Self:
        self._token = _open.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _open.reset(self._token)

    def give(self, **outputs: Node | Output) -> None:
        """Say what the flow gives where it is a unit of another flow."""
        self._document.setdefault("outputs", {}).update({k: str(_source(v)) for k, v in outputs.items()})

    def known(self, unit: Unit) -> str:
        """Take in a unit and return its ref."""
        if unit.document is not None:
            other = self._units.setdefault(unit.name, unit)
            if other.document != unit.document:
                raise BadInput(f"there are two units {unit.name!r} in this flow", hint="give one of them another name")
        return unit.ref

    def place(
        self, unit: Unit, args: Sequence[Any], given: Mapping[str, Any], over: Mapping[str, Any] | None = None
    ) -> Node:
        """Put `unit` in the flow with what it takes; tables are inputs, all else is a parameter."""
        ports = unit.inputs()
        if len(args) > len(ports):
            raise BadInput(f"{unit.ref} takes {len(ports)} inputs by place, not {len(args)}", hint="name them")
        given = {**dict(zip(ports, args, strict=False)), **given}
        body: dict[str, Any] = {"use": self.known(unit)}
        return self.add(unit._node or unit.name, body, given, unit.outputs(), over)

    def add(
        self,
        name: str,
        body: dict[str, Any],
        given: Mapping[str, Any],
        outputs: Sequence[str] | None,
        over: Mapping[str, Any] | None = None,
    ) -> Node:
        """Add a use under `name`, or `name` with a number where that is taken."""
        uses = self._document["units"]
        free = next(n for n in (name, *(f"{name}_{i}" for i in range(2, 10_000))) if n not in uses)
        tables = {k: str(_source(v)) for k, v in given.items() if isinstance(v, Node | Output)}
        params = {k: _plain(v) for k, v in given.items() if k not in tables}
        if tables:
            body["in"] = tables
        if params:
            body["with"] = params
        if over:
            body["map"] = {
                k: v.reference if isinstance(v, Parameter) else str(v) if isinstance(v, Column) else _plain(v)
                for k, v in over.items()
            }
        uses[free] = body
        self._lines[free] = _caller().f_lineno
        return Node(self, free, body, outputs)

    @property
    def flow(self) -> Flow:
        """The flow, checked as its YAML would be; raise `FlowInvalid` with every mistake in it."""
        from kyrios.flows import Flow

        document = Document(self._file, json.loads(json.dumps(self._document)))
        for name, line in self._lines.items():
            document.keys["units", name] = (line - 1, 0)
        document.lines = Path(self._file).read_text(encoding="utf-8").split("\n") if Path(self._file).is_file() else []
        units = _PythonUnits(self._folder, self._units, self._file)
        return Flow(self._folder, link_document(document, self._folder, units))

    @property
    def digest(self) -> str:
        """Digest of the graph."""
        return self.flow.digest

    def run(self, params: Mapping[str, Any] | None = None, **options: Any) -> Run:
        """Run the flow, see `Flow.run`."""
        return self.flow.run(params, **options)

    def write(self, folder: Path | str) -> Path:
        """Write the flow and its units as YAML into `folder`, and return ``flow.yaml``."""
        import yaml

        from kyrios._house.files import write_durably

        _ = self.flow
        path = Path(folder) / "flow.yaml"
        files = {path: json.loads(json.dumps(self._document))}
        files |= {path.parent / "units" / f"{n}.yaml": u.document for n, u in self._units.items()}
        for place, document in files.items():
            write_durably(place, yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120).encode())
        return path


class _PythonUnits(Units):
    """The units of a flow that was written in Python, before those that have files."""

    def __init__(self, folder: Path, units: Mapping[str, Unit], file: str) -> None:
        super().__init__(folder)
        self._python, self._file = units, file

    @property
    def names(self) -> list[str]:
        """Every unit that a flow here may use, sorted."""
        return sorted({*super().names, *self._python})

    def __contains__(self, name: str) -> bool:
        return name in self._python or super().__contains__(name)

    def _piece(self, name: str, ref: str) -> Piece | None:
        if name not in self._python:
            return super()._piece(name, ref)
        if name not in self._read:
            made = self._python[name]
            document = Document(self._file, json.loads(json.dumps(made.document)))
            document.keys[()] = document.values[()] = (max(made._line - 1, 0), 0)
            self._read[name] = judged_unit(document, name, self.folder.parent)
        spec = self._read[name][1]
        return None if spec is None else unit_piece(ref, spec, "")


def flow(
    name: str,
    *,
    version: str = "1.0",
    summary: str = "",
    owner: str = "",
    tags: Sequence[str] = (),
    params: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Mapping[str, str] | None] | None = None,
    cron: str | None = None,
    tz: str | None = None,
    every: str | None = None,
    overrun: str | None = None,
    watchdog: str | None = None,
    defaults: Mapping[str, Any] | None = None,
    fuse: str | Mapping[str, Sequence[str]] | None = None,
    extension: Mapping[str, Any] | None = None,
) -> FlowBuilder:
    """Begin a flow: units that are called inside its ``with`` take their place in it.

    Parameters
    ----------
    params
        Parameters with their defaults.
    inputs
        Tables that it takes where it is a unit of another flow.
    cron, tz, every, overrun, watchdog
        When it starts by itself, and how its loop behaves, as in ``flow.yaml``.
    defaults
        ``retries``, ``timeout`` and the like for all of its units.
    fuse
        ``"auto"``, or the names of the units in each group, that run as one task on another engine.
    extension
        What is called around each of its units, as for `unit`, and ``templates``: engine to a file beside the flow.
    """
    document: dict[str, Any] = {"kyrios": 1, "flow": name, "info": {"version": version}}
    document["info"].update({k: v for k, v in (("summary", summary), ("owner", owner), ("tags", list(tags))) if v})
    times = (("cron", cron), ("tz", tz), ("every", every), ("overrun", overrun), ("watchdog", watchdog))
    schedule = {k: v for k, v in times if v is not None}
    document |= {k: v for k, v in (("schedule", schedule), ("params", dict(params or {}))) if v}
    document |= {"inputs": {k: table_port(v) for k, v in inputs.items()}} if inputs else {}
    document |= {"defaults": dict(defaults)} if defaults else {}
    document["units"] = {}
    if fuse is not None:
        document["fuse"] = fuse if isinstance(fuse, str) else {name: list(units) for name, units in fuse.items()}
    if extension:
        document["extension"] = _extension(extension)
    file = _caller().f_code.co_filename
    return FlowBuilder(document, Path(file).absolute().parent, file)


def _extension(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an extension as a file has it; functions are named by their modules."""
    from kyrios.extension import MOMENTS

    found = dict(given)
    for moment in MOMENTS:
        if moment in found:
            found[moment] = [f"{module_of(f)}:{f.__name__}" if callable(f) else f for f in found[moment]]
    return found


def branch(on: Expression | str, cases: Mapping[Any, Unit], *, otherwise: Unit | None = None, **given: Any) -> Node:
    """Run the unit of the case that `on` has when it runs, with the inputs and parameters `given`."""
    flow = _inside("branch")
    body: dict[str, Any] = {"on": str(on), "cases": {_word(k): flow.known(u) for k, u in cases.items()}}
    if otherwise is not None:
        body["otherwise"] = flow.known(otherwise)
    units = [*cases.values(), *([otherwise] if otherwise else [])]
    outputs = units[0].outputs()
    return flow.add("branch", {"branch": body}, given, outputs)


def _word(value: Any) -> str:
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def select(*tables: Node | Output) -> Node:
    """Hand on the first of `tables` that is there."""
    sources = [_source(table) for table in tables]
    return _inside("select").add("select", {"select": [str(s) for s in sources]}, {}, [str(sources[0]).split(".")[1]])


def gate(table: Node | Output, condition: Expression | str) -> Node:
    """Hand `table` on where `condition` holds, and skip what follows where it does not."""
    source = str(_source(table))
    body = {"gate": source, "if": str(condition)}
    return _inside("gate").add("gate", body, {}, [source.split(".")[1]])


def sequence(*parts: Sequenced) -> Sequenced:
    """Put `parts` one after another, as ``a >> b`` does."""
    found = parts[0]
    for part in parts[1:]:
        found = found >> part
    return _Part(parts[0]._first, parts[-1]._last)


def parallel(*parts: Sequenced) -> Sequenced:
    """Put `parts` side by side, as ``a | b`` does."""
    found = parts[0]
    for part in parts[1:]:
        found = found | part
    return found


def _inside(function: str) -> FlowBuilder:
    found = _open.get()
    if found is None:
        raise BadInput(f"kyrios.{function} takes its place inside a flow", hint="with kyrios.flow(...) as flow:")
    return found


def _source(value: Node | Output) -> Output:
    return value.output() if isinstance(value, Node) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Parameter):
        return value.reference
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def _caller() -> types.FrameType:
    """Return the frame of the user's own code."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return frame
