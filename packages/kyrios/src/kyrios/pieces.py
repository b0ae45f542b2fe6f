"""What a flow's units are made of: unit files, flows inside flows, and the operators that come with Kyrios."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kyrios.extension import MOMENTS
from kyrios.graph import Graph, Task
from kyrios.spec import Extension, Param, Port, RunSpec, Tries, UnitSpec

if TYPE_CHECKING:
    from kyrios.spec import FlowSpec

Columns = Mapping[str, str] | None


@dataclass(frozen=True)
class Piece:
    """A unit as those who use it see it, whatever it is made of.

    Parameters
    ----------
    ref
        As it was asked for, such as ``adjust@1``.
    graph
        Its own units, where it is a flow.
    task
        Its one task without name, inputs and parameters, where it is a unit.
    """

    ref: str
    version: str
    params: Mapping[str, Param] = field(default_factory=dict)
    inputs: Mapping[str, Port] = field(default_factory=dict)
    outputs: Mapping[str, Columns] = field(default_factory=dict)
    graph: Graph | None = None
    task: Task | None = None
    tries: Tries = field(default_factory=Tries)
    folder: str = ""


def unit_piece(ref: str, spec: UnitSpec, folder: str) -> Piece:
    """Return the piece that a unit file describes; its code is in `folder`."""
    call, options = _call(spec.run)
    outputs = {word: port.columns for word, port in spec.interface.outputs.items()}
    task = Task(
        name="",
        unit=spec.unit,
        version=spec.info.version,
        call=call,
        summary=spec.info.summary,
        types={word: p.type for word, p in spec.interface.params.items()},
        outputs=outputs,
        options=options,
        folder=folder,
        cache=spec.state.cache,
        extension=extended(spec.extension, folder),
        deprecated=spec.info.deprecated,
    )
    interface = spec.interface
    return Piece(ref, spec.info.version, interface.params, interface.inputs, outputs, None, task, spec.run, folder)


def extended(given: Extension, folder: str) -> dict[str, Any]:
    """Return an extension as a task has it; its hooks are in `folder`."""
    found: dict[str, Any] = {m: [[folder, call] for call in calls] for m in MOMENTS if (calls := getattr(given, m))}
    if given.plugins:
        found["plugins"] = list(given.plugins)
    if given.engines and (told := given.engines.model_dump(exclude_none=True)):
        found["engines"] = told
    return found


def _call(run: RunSpec) -> tuple[str, dict[str, Any]]:
    """Return the function that runs a unit, and what that function is told of it."""
    if run.call is not None:
        return run.call, {}
    if run.shell is not None:
        return "kyrios.operators:shell", {"shell": run.shell, "env": dict(run.env)}
    if run.sql is not None:
        return "kyrios.operators:sql", {"sql": run.sql, "engine": run.engine or "sqlite"}
    return "kyrios.operators:veda", {"veda": run.veda, "method": run.method}


def flow_piece(ref: str, spec: FlowSpec, graph: Graph, folder: str) -> Piece:
    """Return the piece that a flow with its own units is; their code is in `folder` and below."""
    outputs = {}
    for word, source in graph.results.items():
        task, _, port = source.partition(".")
        outputs[word] = graph.task(task).outputs[port]
    params = {
        word: Param.model_construct(_fields_set={"type", "default"}, type=_kind(value), default=value)
        for word, value in spec.params.items()
    }
    return Piece(ref, spec.info.version, params, spec.inputs, outputs, graph, None, Tries(), folder)


def _kind(value: Any) -> Any:
    # Not judged here: each unit inside judges what it is given.
    return "any"


def pass_on(ref: str, outputs: Mapping[str, Columns], call: str) -> Piece:
    """Return the piece of an operator that hands tables on."""
    task = Task(name="", unit=ref, version="1", call=f"kyrios.operators:{call}", outputs=dict(outputs))
    return Piece(ref, "1", outputs=outputs, task=task)
