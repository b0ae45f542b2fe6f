"""``kyrios build``."""

from __future__ import annotations

from pathlib import Path

import click

from kyrios._house.command import Command, json_option
from kyrios._house.output import print_records


@click.command(cls=Command, epilog="Example: kyrios build examples/flows/hello")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@json_option
def build(folder: Path, as_json: bool) -> None:
    """Check the units in DIR, run their tests, freeze their digests, and register them for every flow."""
    from kyrios.building import build as build_units

    rows = [vars(built) for built in build_units(folder)]
    print_records(rows, ["unit", "version", "tests", "digest"], as_json=as_json)
