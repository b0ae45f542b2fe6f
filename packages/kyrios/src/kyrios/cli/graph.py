"""``kyrios graph``."""

from __future__ import annotations

import json

import click

from kyrios._house.command import Command, json_option
from kyrios._house.output import json_text
from kyrios.cli._flow import flow_argument, load


@click.command(cls=Command, epilog="Example: kyrios graph examples/flows/hello --format mermaid")
@flow_argument
@click.option("--format", "form", type=click.Choice(["text", "mermaid"]), default="text", help="How to draw it.")
@json_option
def graph(flow: str, form: str, as_json: bool) -> None:
    """Draw the graph of a flow."""
    from kyrios import draw

    found = load(flow).graph
    if as_json:
        print(json_text(json.loads(found.canonical)))
    else:
        print(draw.mermaid(found) if form == "mermaid" else draw.text(found), end="")
