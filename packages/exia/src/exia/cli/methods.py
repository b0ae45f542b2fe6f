"""``exia methods``: what can be called."""

from __future__ import annotations

import click

from exia._house.command import Command, json_option
from exia._house.output import print_records
from exia.loading import load


@click.command(cls=Command, epilog="Example: exia methods python:statistics:NormalDist")
@click.argument("ref")
@json_option
def methods(ref: str, as_json: bool) -> None:
    """List the methods of the object that REF names."""
    table = load(ref).methods
    rows = [{"method": name, **info} for name, info in sorted(table.items())]
    print_records(rows, ["method", "signature", "summary"], as_json=as_json)
