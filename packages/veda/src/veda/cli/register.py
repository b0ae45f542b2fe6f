"""``veda register``."""

from __future__ import annotations

from pathlib import Path

import click

from veda._house.command import Command, json_option
from veda._house.output import print_record
from veda.cli._options import registry_option


@click.command(cls=Command, epilog="Example: veda register momentum-1.2.0-any.vedapkg")
@click.argument("file", type=click.Path(path_type=Path))
@registry_option
@json_option
def register(file: Path, registry: str | None, as_json: bool) -> None:
    """Write the facts of a package file into the registry."""
    from veda.publish import register

    release = register(file, registry=registry)
    print_record({"name": release.name, "version": release.version, "digest": release.digest}, as_json=as_json)
