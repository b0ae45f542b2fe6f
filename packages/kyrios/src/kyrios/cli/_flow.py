"""What commands that take a flow share."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
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
overrides_argument = click.argument("overrides", nargs=-1, metavar="[NAME=VALUE]...")


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


def composed(flow: Flow, overrides: Sequence[str], given: Iterable[str]) -> list[dict[str, Any]]:
    """Return the parameters of each run that the command line asks for; ``--param`` comes before all."""
    words = parameters(flow.graph, given)
    if not overrides:
        return [words]
    from kyrios.composing import compose

    return [{**found, **words} for found in compose(flow, overrides)]
