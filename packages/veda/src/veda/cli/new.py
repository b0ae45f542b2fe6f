"""``veda new``."""

from __future__ import annotations

import click

from veda._house.command import Command, json_option, note
from veda._house.output import print_record
from veda.cli._options import registry_option


@click.command(cls=Command, epilog="Example: veda new mean-reversion")
@click.argument("name")
@click.option("--template", metavar="REF", help="Begin from the files of this registered release.")
@registry_option
@json_option
def new(name: str, template: str | None, registry: str | None, as_json: bool) -> None:
    """Make the workspace NAME here: veda.toml, source, a test that passes, README."""
    from veda.starting import new_workspace

    folder = new_workspace(name, template=template, registry=registry)
    print_record({"workspace": str(folder)}, as_json=as_json)
    note(f"next: veda check {folder}; veda pack {folder}")
