"""Say what a key of a flow's or a unit's file may hold, from the models that judge the files."""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from kyrios._house.errors import nearest
from kyrios.errors import NotFound
from kyrios.spec import FlowSpec, UnitSpec


@dataclass(frozen=True)
class Explained:
    """One key: its path, what it may hold, what holds where it is left out, and what it means."""

    key: str
    type: str
    default: str
    meaning: str


def explain(key: str) -> list[Explained]:
    """Return `key`, such as ``flow.units.retries``, and the keys right below it.

    Raises
    ------
    NotFound
        If there is no such key.
    """
    first, *rest = key.split(".")
    roots: dict[str, type[BaseModel]] = {"flow": FlowSpec, "unit": UnitSpec}
    if first not in roots:
        raise NotFound(f"there is no key {key!r}", hint=nearest(first, roots) or "keys begin with flow or unit")
    model: type[BaseModel] | None = roots[first]
    path = first
    found = [Explained(first, "keys", "", _line(roots[first]))]
    for step in rest:
        known = _fields(model)
        if step not in known:
            hint = nearest(step, known) or f"known below {path}: {', '.join(known) or 'nothing'}"
            raise NotFound(f"there is no key {path}.{step}", hint=hint)
        path = f"{path}.{step}"
        found = [_explained(path, known[step])]
        model = _model(known[step].annotation)
    return found + [_explained(f"{path}.{name}", field) for name, field in _fields(model).items()]


def _fields(model: type[BaseModel] | None) -> dict[str, Any]:
    return {f.alias or name: f for name, f in model.model_fields.items()} if model else {}


def _explained(path: str, field: Any) -> Explained:
    default = "must be given" if field.is_required() else field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel) or default in (PydanticUndefined, None, {}, []):
        default = ""
    model = _model(field.annotation)
    meaning = MEANINGS.get(path.rpartition(".")[2], _line(model) if model else "")
    return Explained(path, _words(field.annotation, field.metadata), str(default), meaning)


def _line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().splitlines()[0]


def _model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for a in get_args(annotation) if (m := _model(a))), None)


def _words(annotation: Any, metadata: Any = ()) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    marks = str((*metadata, *(args[1:] if origin is Annotated else ())))
    if "_seconds" in marks:
        return "duration, such as 30s"
    if origin is Annotated:
        return _words(args[0])
    if origin in (Union, types.UnionType):
        return _words(next(a for a in args if a is not type(None)))
    if origin is Literal:
        return " | ".join(map(str, args))
    if origin is dict:
        return f"{_words(args[1])} by name"
    if origin is list:
        return f"list of {_words(args[0])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "keys"
    return {"str": "text", "int": "whole number", "float": "number", "bool": "true | false"}.get(
        getattr(annotation, "__name__", ""), "any value"
    )


MEANINGS = {
    "after": "Units that come first without giving data; in an extension, functions that are called after the unit.",
    "backoff": "What each delay is multiplied by for the next one.",
    "before": "Functions, module:function, that are called before the unit.",
    "branch": "One of several units, by the value of an expression.",
    "cache": "Whether outputs are kept for the same inputs, code and parameters.",
    "call": "The Python function, module:function; beside the flow first, then installed.",
    "cases": "Value to unit.",
    "columns": "Column to Arrow type; left out, any table will do.",
    "cpus": "Cores that Ray keeps for the unit.",
    "cron": "When the flow starts by itself.",
    "default": "What holds where the parameter is not given; without one it must be.",
    "defaults": "Tries and times for all units that say nothing else.",
    "engine": "Which database runs the query.",
    "deprecated": "What to use instead; whoever uses the unit is told.",
    "docs": "A text, or where one is.",
    "env": "Variables of the shell, besides the parameters.",
    "every": "How often a service loop ticks.",
    "overrun": "What becomes of ticks that a loop misses: left out, run one after another, or run as one.",
    "watchdog": "How long a tick may take before the loop counts as hung and ends.",
    "fallback": "Units that run in its place where it fails.",
    "flow": "Its name.",
    "fuse": "How units are put together in one task.",
    "tolerance": "How far an output's numbers may be from those of an earlier run, relative to them.",
    "gate": "A table that is handed on where the condition holds.",
    "gpus": "Graphics cards that Ray keeps for the unit.",
    "group": "What it is drawn in.",
    "if": "A condition without which it is skipped, such as params.mode == 'fast'.",
    "in": "Input to the unit.output that gives it.",
    "inputs": "Tables that it takes.",
    "kyrios": "Version of the format.",
    "longest_delay": "The limit of the delay.",
    "loop": "Call it again with what it gave.",
    "map": "Run it once for each item of a list, a parameter or a column.",
    "may_fail": "Whether the run succeeds although it fails.",
    "memory": "Bytes that Ray keeps for the unit.",
    "method": "Method of the algorithm.",
    "on": "What the case is taken from, such as params.mode.",
    "on_error": "Functions that are called when its last try has failed.",
    "on_retry": "Functions that are called when a try has failed and is repeated.",
    "otherwise": "The unit where no case fits.",
    "outputs": "Tables that it gives.",
    "owner": "Who to ask.",
    "params": "Parameters, with their defaults.",
    "plugins": "Names of installed plugins whose hooks are called, by the entry points kyrios.plugins.",
    "priority": "Which units Dask takes first; larger ones.",
    "queue": "The queue of Celery whose workers take it: kyrios worker --engine 'celery://host?queue=gpu'.",
    "resources": "What the unit needs of its worker, by the names that the worker was started with.",
    "retries": "How often it is tried again.",
    "retry_delay": "How long to wait before.",
    "select": "The first of these tables that is there.",
    "shell": "A script for bash; inputs and outputs are CSV files, parameters are variables.",
    "sql": "One query over the inputs.",
    "summary": "One line for people.",
    "tags": "Words to find it by.",
    "templates": "Engine to a file beside the flow that changes named blocks of its template.",
    "timeout": "How long one try may take.",
    "times": "How often at most.",
    "type": "What values may be.",
    "tz": "Time zone of cron.",
    "unit": "Its name, that of its file.",
    "units": "The units by the names that they have in this flow.",
    "until": "A condition over its own outputs, such as state.error < 0.01.",
    "use": "Which unit, with its version: adjust@1.",
    "veda": "An algorithm package, such as momentum@~=1.2.",
    "version": "In quotes, such as \"1.0\".",
    "when": "Which ends of the units before it let it run.",
    "with": "Parameter to value; ${params.<name>} is one of the flow's.",
}  # fmt: skip
