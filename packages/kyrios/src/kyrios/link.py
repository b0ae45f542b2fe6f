"""Join the units of a flow into a graph, and name everything that does not fit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kyrios._house.errors import nearest
from kyrios.conditions import Condition, read_condition
from kyrios.document import Document, shown
from kyrios.expand import Expansion
from kyrios.fusion import auto, cycle_of
from kyrios.graph import Graph, Task, find_cycle, ordered
from kyrios.pieces import Columns, Piece
from kyrios.references import REFERENCE, fill, references
from kyrios.spec import FITS, FlowSpec, Param, Port, Use, in_words

if TYPE_CHECKING:
    from kyrios.load import Units

#: The engines whose scripts are rendered from a template of ours.
_RENDERED = ("airflow", "celery", "dask", "local", "ray")


def link(flow: FlowSpec, document: Document, units: Units) -> Graph | None:
    """Return the graph of `flow`, or None where there is a mistake; mistakes go into ``document.problems``."""
    return _Linker(flow, document, units).link()


class _Linker:
    def __init__(self, flow: FlowSpec, document: Document, units: Units) -> None:
        self.flow, self.document, self.units = flow, document, units
        self.pieces: dict[str, list[Piece]] = {}  # of each use: what may run in its place, the first one first
        self.complete = True
        self.conditions: dict[str, Condition] = {}

    def link(self) -> Graph | None:
        flow = self.flow
        if "inputs" in flow.units:
            self.problem(
                ("units", "inputs"), "'inputs' names what the flow takes; give the unit another name", key=True
            )
        for name, value in flow.params.items():
            if not _is_plain(value):
                hint = "write a date or a special number in quotes"
                self.problem(("params", name), f"the parameter {name!r} must be JSON, not {value!r}", hint=hint)
        for name, use in flow.units.items():
            self.pieces[name] = self._resolve(name, use)
        for name, use in flow.units.items():
            self._judge_use(name, use)
        upstream = {name: self._before(name, use) for name, use in flow.units.items()}
        cycle = find_cycle(upstream)
        if cycle:
            self.problem(("units", cycle[0]), f"the units form a cycle: {' -> '.join(cycle)}", key=True)
        for word, source in flow.outputs.items():
            if source.startswith("inputs."):
                self.problem(("outputs", word), f"{word!r} must be what a unit gives, not what the flow takes")
            self._judge_source(("outputs", word), source)
        for source in flow.tolerance:
            self._judge_source(("tolerance", source), source)
        templates = self._extension()
        if self.document.problems or not self.complete:
            return None
        expansion = Expansion(flow, self.pieces, self.conditions)
        for name in _in_order(upstream):
            expansion.add(name, self._outputs(name))
        tasks = ordered(expansion.tasks)
        self._judge_tasks(expansion)
        fused = self._fused(tasks)
        if self.document.problems:
            return None
        return Graph(
            flow=flow.flow,
            version=flow.info.version,
            summary=flow.info.summary,
            owner=flow.info.owner,
            tags=tuple(flow.info.tags),
            cron=flow.schedule.cron if flow.schedule else None,
            tz=flow.schedule.tz if flow.schedule else "UTC",
            every=flow.schedule.every if flow.schedule else None,
            overrun=flow.schedule.overrun if flow.schedule else "skip",
            watchdog=flow.schedule.watchdog if flow.schedule else None,
            params=dict(flow.params),
            tasks=tasks,
            inputs={word: port.columns for word, port in flow.inputs.items()},
            results={word: expansion.source(source) for word, source in flow.outputs.items()},
            fused=fused,
            tolerance={expansion.source(source): limit for source, limit in flow.tolerance.items()},
            templates=templates,
        )

    def _extension(self) -> dict[str, tuple[str, str]]:
        """Judge what is called around all units; return the flow's own templates, each with its file."""
        from kyrios.load import judge_extension

        given, folder, sources = self.flow.extension, self.units.folder.parent, self.units.sources
        judge_extension(given, self.document, folder, sources)
        found = {}
        for engine, file in given.templates.items():
            place = ("extension", "templates", engine)
            if engine not in _RENDERED:
                hint = nearest(engine, _RENDERED) or f"known: {', '.join(_RENDERED)}"
                self.problem(place, f"Kyrios has no template for {engine!r}", hint=hint, key=True)
                continue
            text = sources.read(folder / file)
            if text is None:
                self.problem(place, f"there is no file {shown(folder / file)}", hint=f"{{% extends '{engine}' %}}")
                continue
            try:
                found[engine] = (file, text.decode())
            except UnicodeDecodeError:
                self.problem(place, f"{shown(folder / file)} is not UTF-8 text")
        return found

    def _fused(self, tasks: Sequence[Task]) -> dict[str, tuple[str, ...]]:
        """Return the groups of tasks that run as one, judged."""
        fuse = self.flow.fuse
        if not isinstance(fuse, dict):
            return auto(tasks) if fuse == "auto" else {}
        held: dict[str, str] = {}
        for name, uses in fuse.items():
            if name in self.flow.units or name in {task.name.replace("-", "__") for task in tasks}:
                self.problem(("fuse", name), f"{name!r} is a unit too; give the group another name", key=True)
            for i, use in enumerate(uses):
                if use not in self.flow.units:
                    self.problem(("fuse", name, i), f"there is no unit {use!r} in this flow", hint=self._near(use))
                elif use in held:
                    self.problem(("fuse", name, i), f"{use!r} is in the group {held[use]!r} already")
                held.setdefault(use, name)
        groups: dict[str, list[str]] = {}
        for task in tasks:
            if group := held.get(task.name.partition("-")[0]):
                groups.setdefault(group, []).append(task.name)
        cycle = cycle_of(tasks, groups)
        if cycle:
            at = next(name for name in cycle if name in fuse)
            self.problem(("fuse", at), f"fused, the units form a cycle: {' -> '.join(cycle)}", key=True)
        return {name: tuple(groups[name]) for name in sorted(groups)}

    def problem(self, path: tuple[str | int, ...], message: str, *, hint: str | None = None, key: bool = False) -> None:
        self.document.problem(path, message, hint=hint, key=key)

    def _before(self, name: str, use: Use) -> set[str]:
        found = {source.partition(".")[0] for source in use.sources} | set(use.after)
        if name in self.conditions:
            found |= {cell.partition(".")[0] for cell in self.conditions[name].cells.values()}
        found |= {v.partition(".")[0] for v in use.map.values() if is_column(v)}
        return found - {"inputs"}

    # What each use is made of.

    def _resolve(self, name: str, use: Use) -> list[Piece]:
        at = ("units", name)
        if use.branch is not None:
            places: list[tuple[str, ...]] = [(*at, "branch", "cases", value) for value in use.branch.cases]
            refs = list(use.branch.cases.values())
            if use.branch.otherwise:
                places.append((*at, "branch", "otherwise"))
                refs.append(use.branch.otherwise)
            return [p for place, ref in zip(places, refs, strict=True) for p in self._piece(place, ref)]
        if use.use is None:
            return []
        found = self._piece((*at, "use"), use.use)
        for i, ref in enumerate(use.fallback):
            found += self._piece((*at, "fallback", i), ref)
        return found

    def _piece(self, place: tuple[str | int, ...], ref: str) -> list[Piece]:
        unit, _, version = ref.partition("@")
        if unit not in self.units:
            hint = nearest(unit, self.units.names) or f"write {shown(self.units.folder / (unit + '.yaml'))}"
            self.problem(place, f"there is no unit {unit!r}", hint=hint)
            self.complete = False
            return []
        piece = self.units.piece(unit, ref)
        if piece is None:
            self.complete = False
            return []
        wanted = version.split(".")
        if piece.version.split(".")[: len(wanted)] != wanted:
            self.problem(place, f"{ref} is asked for, but {unit} is {piece.version}")
        return [piece]

    def _outputs(self, name: str, seen: frozenset[str] = frozenset()) -> dict[str, Columns]:
        """Return the outputs of a use: what each of the units that may run in its place gives."""
        use = self.flow.units[name]
        if use.select or use.gate:
            first = (use.select or [use.gate or ""])[0]
            unit, _, port = first.partition(".")
            if unit == "inputs":
                return {port: self.flow.inputs[port].columns} if port in self.flow.inputs else {}
            if unit not in self.flow.units or unit in seen:
                return {}
            given = self._outputs(unit, seen | {name})
            return {port: given[port]} if port in given else {}
        pieces = self.pieces.get(name, [])
        if not pieces:
            return {}
        common = set(pieces[0].outputs).intersection(*(p.outputs for p in pieces))
        return {port: columns for port, columns in pieces[0].outputs.items() if port in common}

    # What does not fit.

    def _judge_use(self, name: str, use: Use) -> None:
        at = ("units", name)
        for i, before in enumerate(use.after):
            if before not in self.flow.units:
                self.problem((*at, "after", i), f"there is no unit {before!r} in this flow", hint=self._near(before))
        given = {source.partition(".")[0] for source in use.sources}
        if use.when == "any_failed" and not set(use.after) - given:
            hint = "after: [unit]; a unit whose table it takes must succeed first"
            self.problem((*at, "when"), f"{name!r} never runs: nothing in 'after' may fail before it", hint=hint)
        self._judge_operators(name, use)
        pieces = self.pieces[name]
        for port, source in use.inputs.items():
            ports = {word: p for piece in reversed(pieces) for word, p in piece.inputs.items()}
            if pieces and port not in ports:
                text = f"{_ref(use)} has no input {port!r}"
                self.problem((*at, "in", port), text, hint=nearest(port, ports), key=True)
            else:
                self._judge_source((*at, "in", port), source, port, ports.get(port))
        params = {word: p for piece in reversed(pieces) for word, p in piece.params.items()}
        for place, values in (("with", use.params), ("map", use.map)):
            for word, value in values.items():
                if pieces and word not in params:
                    text = f"{_ref(use)} has no parameter {word!r}"
                    self.problem((*at, place, word), text, hint=nearest(word, params), key=True)
                elif place == "with":
                    self._judge_value((*at, place, word), word, value, params.get(word))
                else:
                    self._judge_map((*at, place, word), name, word, value, params.get(word))
        for piece in pieces:
            for port in sorted(set(piece.inputs) - set(use.inputs)):
                hint = f"in: {{{port}: unit.output}}"
                self.problem(at, f"the input {port!r} of {piece.ref} is not connected", hint=hint, key=True)
            for word, param in sorted(piece.params.items()):
                if "default" not in param.model_fields_set and word not in {**use.params, **use.map}:
                    hint = f"with: {{{word}: ...}}"
                    self.problem(at, f"the parameter {word!r} of {piece.ref} has no value", hint=hint, key=True)

    def _judge_operators(self, name: str, use: Use) -> None:
        at = ("units", name)
        if (use.select or use.gate) and (use.inputs or use.params or use.map or use.loop or use.fallback):
            self.problem(at, "'select' and 'gate' take no in, with, map, loop or fallback", key=True)
        if use.gate and use.condition is None:
            self.problem(at, "a gate needs a condition", hint="if: unit.output.column > 0", key=True)
        for i, source in enumerate(use.select or ()):
            self._judge_source((*at, "select", i), source)
        if use.gate:
            self._judge_source((*at, "gate"), use.gate)
        if use.condition is not None:
            self._judge_condition((*at, "if"), name, use.condition)
        if use.branch is not None:
            case = f"{use.branch.on} == 0"
            self._judge_condition((*at, "branch", "on"), name, case, "branch")
            if use.condition is not None or use.map or use.loop or use.fallback:
                self.problem(at, "'branch' takes no if, map, loop or fallback", key=True)
        if use.loop is not None and use.loop.until is not None:
            self._judge_until((*at, "loop", "until"), name, use.loop.until)
        if use.loop is not None and any(piece.graph for piece in self.pieces[name]):
            self.problem((*at, "loop"), "a flow cannot be looped; loop the units in it", key=True)

    def _judge_condition(self, place: tuple[str, ...], name: str, text: str, word: str = "if") -> None:
        try:
            condition = read_condition(text)
        except ValueError as exc:
            self.problem(place, f"{word!r} {exc}")
            return
        for value in condition.params.values():
            self._judge_references(place, value)
        for cell in condition.cells.values():
            self._judge_column(place, cell)
        self.conditions[name] = condition

    def _judge_until(self, place: tuple[str, ...], name: str, text: str) -> None:
        try:
            condition = read_condition(text, own=True)
        except ValueError as exc:
            self.problem(place, f"'until' {exc}")
            return
        outputs = self._outputs(name)
        for cell in condition.cells.values():
            port, _, column = cell.partition(".")
            if self.pieces[name] and port not in outputs:
                self.problem(
                    place, f"{_ref(self.flow.units[name])} has no output {port!r}", hint=nearest(port, outputs)
                )
            elif column not in (outputs.get(port) or {column: ""}):
                self.problem(place, f"{port} has no column {column!r}", hint=nearest(column, outputs[port] or ()))
        for value in condition.params.values():
            self._judge_references(place, value)

    def _judge_column(self, place: tuple[str, ...], cell: str) -> None:
        source, _, column = cell.rpartition(".")
        columns = self._judge_source(place, source)
        if columns is not None and column not in columns:
            self.problem(place, f"{source} has no column {column!r}", hint=nearest(column, columns))

    def _judge_source(
        self, place: tuple[str | int, ...], source: str, port: str = "", wanted: Port | None = None
    ) -> Columns:
        """Judge one ``unit.output``; return its columns where they are known."""
        given: Columns
        unit, _, output = source.partition(".")
        if unit == "inputs":
            if output not in self.flow.inputs:
                hint: str | None = nearest(output, self.flow.inputs) or "inputs: {name: {type: table}}"
                self.problem(place, f"the flow has no input {output!r}", hint=hint)
                return None
            given = self.flow.inputs[output].columns
        else:
            if unit not in self.flow.units:
                self.problem(place, f"there is no unit {unit!r} in this flow", hint=self._near(unit))
                return None
            outputs = self._outputs(unit)
            if output not in outputs:
                if self.pieces[unit] or self.flow.units[unit].select or self.flow.units[unit].gate:
                    hint = nearest(output, outputs) or f"its outputs: {', '.join(outputs) or 'none'}"
                    self.problem(place, f"the unit {unit!r} has no output {output!r}", hint=hint)
                return None
            given = outputs[output]
        if wanted is None or wanted.columns is None or given is None:
            return given
        for column, kind in wanted.columns.items():
            if column not in given:
                hint = nearest(column, given)
                self.problem(place, f"{source} has no column {column!r}, which {port} needs", hint=hint)
            elif given[column] != kind:
                self.problem(place, f"column {column!r} of {source} is {given[column]}, but {port} needs {kind}")
        return given

    def _judge_map(self, place: tuple[str, ...], name: str, word: str, value: Any, declared: Param | None) -> None:
        if isinstance(value, list):
            if not value:
                self.problem(place, f"{word!r} must not be empty")
            for item in value:
                self._judge_value(place, word, item, declared)
        elif is_column(value):
            self._judge_column(place, value)
        elif not (isinstance(value, str) and REFERENCE.fullmatch(value)):
            self.problem(place, f"{word!r} must be a list, ${{params.<name>}} or unit.output.column, not {value!r}")
        else:
            self._judge_references(place, value)
        if not isinstance(value, list) and any(piece.graph for piece in self.pieces[name]):
            self.problem(place, "a flow is mapped over a list only", hint=f"map: {{{word}: [1, 2]}}")

    def _judge_value(self, place: tuple[str, ...], word: str, value: Any, declared: Param | None) -> None:
        if not _is_plain(value):
            hint = "write a date or a special number in quotes"
            self.problem(place, f"{word!r} must be JSON, not {value!r}", hint=hint)
            return
        if not self._judge_references(place, value) or declared is None or declared.type not in FITS:
            return
        filled = fill(value, self.flow.params)
        # A flow's parameter whose default is null is given when the flow is run, and judged then.
        if filled is not None and not FITS[declared.type](filled):
            self.problem(place, f"{word!r} must be {in_words(declared.type)}, not {filled!r}")

    def _judge_references(self, place: tuple[str, ...], value: Any) -> bool:
        good = True
        for reference in references(value):
            known = reference.removeprefix("params.") if reference.startswith("params.") else None
            if known is None:
                self.problem(place, f"'${{{reference}}}' is not understood", hint="write ${params.<name>}")
            elif known not in self.flow.params:
                self.problem(place, f"the flow has no parameter {known!r}", hint=nearest(known, self.flow.params))
            good = good and known in self.flow.params
        return good

    def _judge_tasks(self, expansion: Expansion) -> None:
        """Judge what only shows once flows inside flows are laid open."""
        names: dict[str, str] = {}
        for task in expansion.tasks:
            plain = task.name.replace("-", "__")
            use = task.name.partition("-")[0]
            if plain in names:
                self.problem(
                    ("units", use), f"{task.name!r} and {names[plain]!r} are too alike to be told apart", key=True
                )
            names[plain] = task.name
            inside = [p for p in self.pieces[use] if p.graph]
            for word, template in task.params.items() if inside else ():
                filled = fill(template, self.flow.params)
                if filled is not None and not FITS[task.types[word]](filled):
                    text = f"{word!r} of {task.name} must be {in_words(task.types[word])}, not {filled!r}"
                    self.problem(("units", use, "with"), text)

    def _near(self, name: str) -> str | None:
        return nearest(name, self.flow.units)


def is_column(value: Any) -> bool:
    """Tell whether `value` is a ``unit.output.column``."""
    return isinstance(value, str) and len(value.split(".")) == 3 and all(p.isidentifier() for p in value.split("."))


def _in_order(upstream: Mapping[str, set[str]]) -> list[str]:
    """Return the uses with those before each first, always the same way."""
    found: list[str] = []
    seen: set[str] = set()
    for start in sorted(upstream):
        todo = [(start, False)]
        while todo:
            name, done = todo.pop()
            if done:
                found.append(name)
            elif name not in seen:
                seen.add(name)
                todo.append((name, True))
                todo += [(before, False) for before in sorted(upstream[name], reverse=True)]
    return found


def _ref(use: Use) -> str:
    return use.use or ("the branch" if use.branch else "the operator")


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
