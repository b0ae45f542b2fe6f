"""Join the units of a flow into a graph, and name everything that does not fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kyrios._house.errors import nearest
from kyrios.document import Document, shown
from kyrios.graph import Graph, Task, find_cycle, ordered
from kyrios.references import fill, references
from kyrios.spec import FITS, FlowSpec, Param, Port, UnitSpec, Use, in_words

if TYPE_CHECKING:
    from kyrios.load import Units


def link(flow: FlowSpec, document: Document, units: Units) -> Graph | None:
    """Return the graph of `flow`, or None where there is a mistake; mistakes go into ``document.problems``."""
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


def _resolve(name: str, use: Use, document: Document, units: Units) -> UnitSpec | None:
    unit, _, version = use.use.partition("@")
    place = ("units", name, "use")
    if unit not in units.names:
        hint = nearest(unit, units.names) or f"write {shown(units.folder / (unit + '.yaml'))}"
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
        document.problem(place, f"{word!r} must be {in_words(declared.type)}, not {filled!r}")


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
