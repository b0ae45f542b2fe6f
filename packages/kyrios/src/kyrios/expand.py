"""Turn the uses of a flow into tasks: flows are laid open, maps and branches become the tasks that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from kyrios.conditions import Condition, read_condition
from kyrios.extension import joined, moved
from kyrios.graph import Task
from kyrios.pieces import Columns, Piece, extended, pass_on
from kyrios.references import fill
from kyrios.spec import FlowSpec, Tries, Use

_TRIES = ("retries", "retry_delay", "backoff", "longest_delay", "timeout")


class Expansion:
    """The tasks of a flow so far; uses are added after those before them.

    A use gives one task of its own name where it can. Tasks inside of it are called ``use-part``: a name that no
    use can have.
    """

    def __init__(self, flow: FlowSpec, pieces: Mapping[str, list[Piece]], conditions: Mapping[str, Condition]) -> None:
        self.flow, self.pieces, self.conditions = flow, pieces, conditions
        self.tasks: list[Task] = []
        self._around = extended(flow.extension, "")
        self._sources: dict[str, str] = {}  # use.output to task.output, where they differ
        self._ends: dict[str, tuple[str, ...]] = {}  # use to the tasks that end it, where it is more than one task

    def source(self, source: str) -> str:
        """Return the ``task.output`` that gives what ``use.output`` names."""
        return self._sources.get(source, source)

    def add(self, name: str, outputs: Mapping[str, Columns]) -> None:
        """Add the tasks of one use."""
        use = self.flow.units[name]
        frame = self._frame(name, use)
        if use.select or use.gate:
            sources = use.select or [use.gate or ""]
            inputs = {f"choice-{i:03d}": self.source(source) for i, source in enumerate(sources)}
            self._operator(
                name, frame, pass_on("gate" if use.gate else "select", outputs, "select"), inputs, use.select
            )
        elif use.branch:
            self._branch(name, use, frame, outputs)
        elif use.fallback:
            self._fallback(name, use, frame, outputs)
        elif any(isinstance(value, list) for value in use.map.values()):
            self._map(name, use, frame, outputs)
        else:
            self._place(name, name, use, self.pieces[name][0], frame, {})

    def _frame(self, name: str, use: Use) -> dict[str, Any]:
        """Return what each task of a use has in common: its order, its condition, its group."""
        found: dict[str, Any] = {"after": self._after(use.after)}
        if name in self.conditions and not use.branch:
            found["condition"] = self._condition(self.conditions[name])
        if use.when:
            found["when"] = use.when
        if use.group:
            found["group"] = use.group
        if use.may_fail:
            found["may_fail"] = True
        return found

    def _after(self, names: list[str]) -> tuple[str, ...]:
        return tuple(sorted({end for name in names for end in self._ends.get(name, (name,))}))

    def _condition(self, condition: Condition) -> dict[str, Any]:
        cells = {}
        for name, cell in condition.cells.items():
            source, _, column = cell.rpartition(".")
            cells[name] = f"{self.source(source)}.{column}"
        return {**condition.as_json(), "cells": cells}

    def _place(
        self, use_name: str, name: str, use: Use, piece: Piece, frame: Mapping[str, Any], fixed: Mapping[str, Any]
    ) -> None:
        """Add `piece` under `name`, as one task or, where it is a flow, as those of it."""
        params = {word: value for word, value in {**use.params, **fixed}.items() if word in piece.params}
        inputs = {port: self.source(source) for port, source in use.inputs.items() if port in piece.inputs}
        if piece.graph is not None:
            self._open(use_name, name, use, piece, frame, params, inputs)
            return
        assert piece.task is not None
        defaults = {word: p.default for word, p in piece.params.items() if "default" in p.model_fields_set}
        options = dict(piece.task.options)
        later = {word: value for word, value in use.map.items() if not isinstance(value, list)}
        if later:
            options["map"] = {word: self._column(value) for word, value in later.items()}
        if use.loop:
            until = read_condition(use.loop.until, own=True).as_json() if use.loop.until else None
            options["loop"] = {"times": use.loop.times, "until": until}
        mine = {
            "name": name,
            "params": {word: value for word, value in {**defaults, **params}.items() if word not in later},
            "inputs": inputs,
            "options": options,
            **_tries(use, piece.tries, self.flow.defaults),
        }
        if self._around:
            mine["extension"] = joined(self._around, piece.task.extension)
        self._append(_with(piece.task, mine), frame)

    def _column(self, value: str) -> str:
        source, _, column = value.rpartition(".")
        return value if value.startswith("${") else f"{self.source(source)}.{column}"

    def _append(self, task: Task, frame: Mapping[str, Any]) -> None:
        options = task.options.get("map", {}).values()
        cells = [*options, *frame.get("condition", {}).get("cells", {}).values()]
        before = {cell.partition(".")[0] for cell in cells if not cell.startswith("${")}
        merged = {**frame, "after": tuple(sorted({*task.after, *frame.get("after", ()), *before} - {"inputs"}))}
        if task.group and frame.get("group"):
            merged["group"] = f"{frame['group']}/{task.group}"
        self.tasks.append(_with(task, merged))

    def _open(
        self,
        use_name: str,
        name: str,
        use: Use,
        piece: Piece,
        frame: Mapping[str, Any],
        params: Mapping[str, Any],
        inputs: Mapping[str, str],
    ) -> None:
        """Lay a flow open: its tasks get its name before theirs, its parameters and inputs what it was given."""
        graph = piece.graph
        assert graph is not None
        given = {**graph.params, **params}

        def inner(source: str) -> str:
            unit, _, rest = source.partition(".")
            if unit == "inputs":
                port, dot, column = rest.partition(".")
                return f"{inputs[port]}{dot}{column}"
            return f"{name}-{source}"

        for task in graph.tasks:
            condition = {}
            if task.condition:
                condition = {
                    "test": task.condition["test"],
                    "params": fill(task.condition["params"], given),
                    "cells": {n: inner(cell) for n, cell in task.condition["cells"].items()},
                }
            options = dict(task.options)
            if "map" in options:
                options["map"] = {
                    w: fill(v, given) if v.startswith("${") else inner(v) for w, v in options["map"].items()
                }
            if options.get("loop", {}).get("until"):
                until = options["loop"]["until"]
                options["loop"] = {**options["loop"], "until": {**until, "params": fill(until["params"], given)}}
            root = not task.upstream
            mine = dict(frame) if root else {k: v for k, v in frame.items() if k in ("condition", "may_fail")}
            if condition and mine.get("condition"):
                mine["condition"] = _both(mine["condition"], condition)
            elif condition:
                mine["condition"] = condition
            mine["group"] = "/".join(part for part in (frame.get("group"), name, task.group) if part)
            opened = replace(
                task,
                name=f"{name}-{task.name}",
                params=fill(task.params, given),
                inputs={port: inner(source) for port, source in task.inputs.items()},
                after=tuple(f"{name}-{before}" for before in task.after),
                options=options,
                condition={},
                group="",
                folder=task.folder
                if task.folder.startswith("registry:")
                else "/".join(filter(None, (piece.folder, task.folder))),
                extension=joined(self._around, moved(task.extension, piece.folder)) if not _hands_on(task) else {},
                **_given(use),
            )
            self._append(opened, mine)
        ends = tuple(f"{name}-{task.name}" for task in graph.tasks if not graph.downstream[task.name])
        self._ends[name] = ends
        for word, source in graph.results.items():
            self._sources[f"{name}.{word}"] = inner(source)

    def _map(self, name: str, use: Use, frame: Mapping[str, Any], outputs: Mapping[str, Columns]) -> None:
        """Add one task for each item, and one that puts their tables together."""
        words = [word for word, value in use.map.items() if isinstance(value, list)]
        items = list(product(*(use.map[word] for word in words)))
        parts = []
        for i, values in enumerate(items):
            part = f"{name}-{i:0{len(str(len(items) - 1))}d}"
            self._place(
                name, part, use, self.pieces[name][0], {"group": name, **frame}, dict(zip(words, values, strict=True))
            )
            parts.append(part)
        inputs = {f"{port}-{i:06d}": self.source(f"{part}.{port}") for port in outputs for i, part in enumerate(parts)}
        after = tuple(end for part in parts for end in self._ends.get(part, (part,)))
        gathered = {"after": after if not outputs else (), "group": frame.get("group", "")}
        self._operator(name, gathered, pass_on("gather", outputs, "gather"), inputs)

    def _branch(self, name: str, use: Use, frame: Mapping[str, Any], outputs: Mapping[str, Columns]) -> None:
        """Add one task for each case, each with its condition, and one that hands on what has run."""
        assert use.branch is not None
        on, cases = use.branch.on, use.branch.cases
        tests = [(value, f"{on} == {_constant(value)}") for value in cases]
        if use.branch.otherwise:
            tests.append(("otherwise", f"{on} not in [{', '.join(map(_constant, cases))}]"))
        parts = []
        for i, (piece, (_, test)) in enumerate(zip(self.pieces[name], tests, strict=True)):
            part = f"{name}-{i}"
            condition = self._condition(read_condition(test))
            self._place(name, part, use, piece, {"group": name, **frame, "condition": condition}, {})
            parts.append(part)
        self._choose(name, parts, outputs, frame.get("group", ""))

    def _fallback(self, name: str, use: Use, frame: Mapping[str, Any], outputs: Mapping[str, Columns]) -> None:
        """Add the unit and those that take its place where it fails, and one that hands on what has succeeded."""
        parts: list[str] = []
        pieces = self.pieces[name]
        for i, piece in enumerate(pieces):
            part = f"{name}-{i}"
            mine = {"group": name, **frame}
            if i < len(pieces) - 1:
                mine["may_fail"] = True
            if parts:
                before = self._ends.get(parts[-1], (parts[-1],))
                mine |= {"when": "any_failed", "after": tuple(sorted({*frame["after"], *before}))}
            self._place(name, part, use, piece, mine, {})
            parts.append(part)
        self._choose(name, parts, outputs, frame.get("group", ""))

    def _choose(self, name: str, parts: list[str], outputs: Mapping[str, Columns], group: str) -> None:
        inputs = {f"{port}-{i:03d}": self.source(f"{part}.{port}") for port in outputs for i, part in enumerate(parts)}
        after = tuple(end for part in parts for end in self._ends.get(part, (part,)))
        frame = {"when": "any_succeeded", "after": () if outputs else after, "group": group}
        self._operator(name, frame, pass_on("select", outputs, "select"), inputs)

    def _operator(
        self, name: str, frame: Mapping[str, Any], piece: Piece, inputs: Mapping[str, str], chosen: Any = None
    ) -> None:
        assert piece.task is not None
        frame = dict(frame)
        if chosen and len(chosen) > 1:
            frame.setdefault("when", "any_succeeded")
        self._append(_with(piece.task, {"name": name, "inputs": dict(inputs)}), frame)


def _with(task: Task, changes: Mapping[str, Any]) -> Task:
    """Return `task` with `changes`, as `dataclasses.replace` does in four times the time."""
    made = object.__new__(Task)
    made.__dict__.update(task.__dict__)
    made.__dict__.pop("upstream", None)  # a cached property
    made.__dict__.update(changes)
    return made


def _hands_on(task: Task) -> bool:
    return task.call in ("kyrios.operators:select", "kyrios.operators:gather")


def _constant(value: str) -> str:
    return repr({"true": True, "false": False}.get(value, int(value) if value.lstrip("-").isdecimal() else value))


def _both(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return the condition that holds where both do."""
    import ast

    names = {old: f"{old}i" for side in ("params", "cells") for old in second[side]}

    class Rename(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            return ast.Name(names.get(node.id, node.id), ast.Load())

    renamed = ast.unparse(Rename().visit(ast.parse(second["test"], mode="eval").body))
    return {
        "test": f"({first['test']}) and ({renamed})",
        **{side: {**first[side], **{names[n]: v for n, v in second[side].items()}} for side in ("params", "cells")},
    }


def _given(tries: Tries) -> dict[str, Any]:
    return {key: value for key in _TRIES if (value := getattr(tries, key)) is not None}


def _tries(use: Tries, unit: Tries, defaults: Tries) -> dict[str, Any]:
    """Return what the use says, else the unit's file, else the flow's defaults."""
    return {**_given(defaults), **_given(unit), **_given(use)}
