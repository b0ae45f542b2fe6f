"""What commands that take a flow share."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from kyrios._house.output import paint
from kyrios.errors import BadInput, FlowInvalid

if TYPE_CHECKING:
    from kyrios.flows import Flow
    from kyrios.graph import Graph

flow_argument = click.argument("flow", type=click.Path())
param_option = click.option(
    "--param", "-p", "given", multiple=True, metavar="NAME=VALUE", help="A parameter of the flow."
)


def load(path: str) -> Flow:
    """Load a flow; print each problem with its line before the error is raised."""
    from kyrios.flows import load_flow

    try:
        return load_flow(path)
    except FlowInvalid as exc:
        for problem in exc.problems:
            text = str(problem).removeprefix(problem.where)
            print(f"{paint(problem.where, 'bold', sys.stderr)}{text}", file=sys.stderr)
        raise BadInput(exc.message) from exc


def parameters(graph: Graph, given: Iterable[str]) -> dict[str, Any]:
    """Turn ``NAME=VALUE`` texts into values of the types that the flow wants."""
    from kyrios.params import parse

    values = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise BadInput(f"--param {text!r} has no value", hint="--param NAME=VALUE")
        values[name] = parse(graph, name, value)
    return values
