"""``veda register``."""

from __future__ import annotations

from pathlib import Path

import click

from veda._house.command import Command, json_option
from veda._house.output import print_record
from veda.cli._options import registry_option, remote_option, store_option


@click.command(cls=Command, epilog="Example: veda register momentum-1.2.0-any.vedapkg")
@click.argument("file", type=click.Path(path_type=Path))
@remote_option
@store_option
@registry_option
@json_option
def register(file: Path, registry: str | None, store: str | None, remote: bool, as_json: bool) -> None:
    """Write the facts of a package file into the registry; with --remote into the index, if the store has it whole."""
    from veda.publish import register
    from veda.remote import register_remote

    release = register_remote(file, store=store) if remote else register(file, registry=registry)
    print_record({"name": release.name, "version": release.version, "digest": release.digest}, as_json=as_json)
