"""``kyrios validate``."""

from __future__ import annotations

import click

from kyrios._house.command import Command, json_option, note
from kyrios._house.output import print_record
from kyrios.cli._flow import flow_argument, load


@click.command(cls=Command, epilog="Example: kyrios validate examples/flows/hello")
@flow_argument
@json_option
def validate(flow: str, as_json: bool) -> None:
    """Check a flow and name every mistake with its line; exit 2 if there is one."""
    found = load(flow)
    record = {
        "flow": found.name,
        "version": found.graph.version,
        "units": len(found.graph.tasks),
        "digest": found.digest,
    }
    for ref, instead in sorted({(f"{t.unit} {t.version}", t.deprecated) for t in found.graph.tasks if t.deprecated}):
        note(f"{ref} is deprecated: {instead}")
    print_record(record, as_json=as_json)
