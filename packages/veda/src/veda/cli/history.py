"""``veda history``."""

from __future__ import annotations

from dataclasses import asdict

import click

from veda._house.command import Command, json_option
from veda._house.output import print_records
from veda.cli._options import registry_option, remote_option


@click.command(cls=Command, epilog="Example: veda history momentum --json")
@click.argument("ref")
@remote_option
@registry_option
@json_option
def history(ref: str, registry: str | None, remote: bool, as_json: bool) -> None:
    """List what happened to a package, or to one release: published, tagged, yanked, promoted, deployed."""
    from veda.records import history

    rows = [asdict(e) for e in history(ref, remote=remote, registry=registry)]
    print_records(rows, ["at", "kind", "version", "subject", "by", "data"], as_json=as_json)
