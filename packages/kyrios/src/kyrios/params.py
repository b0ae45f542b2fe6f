"""The parameters of one run: the flow's defaults with what was given in their place, held to the units' types."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from kyrios._house.errors import nearest
from kyrios.errors import BadInput
from kyrios.graph import Graph
from kyrios.references import REFERENCE, fill, references
from kyrios.spec import FITS


def bind(graph: Graph, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every parameter of the flow.

    Raises
    ------
    BadInput
        If a parameter is unknown, has no value, or does not fit a unit that takes it.
    """
    for name in given:
        if name not in graph.params:
            hint = nearest(name, graph.params) or f"its parameters: {', '.join(sorted(graph.params)) or 'none'}"
            raise BadInput(f"the flow {graph.flow} has no parameter {name!r}", hint=hint)
    values = {**graph.params, **given}
    for task in graph.tasks:
        for word, template in task.params.items():
            _judge(task.name, word, template, task.types[word], values)
    return values


def _judge(task: str, word: str, template: Any, kind: str, values: Mapping[str, Any]) -> None:
    for name in (reference.removeprefix("params.") for reference in references(template)):
        if values[name] is None:
            raise BadInput(f"the parameter {name!r} has no value, but {task} needs it", hint=f"--param {name}=...")
    value = fill(template, values)
    if value is not None and not FITS[kind](value):
        raise BadInput(
            f"{word!r} of {task} must be of type {kind}, not {value!r}", hint="kyrios run FLOW --param NAME=VALUE"
        )


def parse(graph: Graph, name: str, text: str) -> Any:
    """Turn the text of ``--param name=text`` into the type that the flow and its units want."""
    kinds = {
        task.types[word]
        for task in graph.tasks
        for word, template in task.params.items()
        if isinstance(template, str) and (whole := REFERENCE.fullmatch(template)) and whole[1] == f"params.{name}"
    }
    if "string" in kinds or (not kinds and isinstance(graph.params.get(name), str)):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def version_of(values: Mapping[str, Any]) -> str:
    """Return ``sha256:`` and the digest of parameter values."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
