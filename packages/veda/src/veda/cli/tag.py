"""``veda tag``."""

from __future__ import annotations

import click

from veda._house.command import Command, json_option
from veda._house.output import print_record
from veda.cli._options import registry_option, remote_option


@click.command(cls=Command, epilog="Example: veda tag momentum@1.2.0 champion")
@click.argument("ref")
@click.argument("tag", metavar="TAG")
@remote_option
@registry_option
@json_option
def tag(ref: str, tag: str, registry: str | None, remote: bool, as_json: bool) -> None:
    """Point TAG to the release REF, from now on."""
    from veda.records import tag as point

    release = point(ref, tag, remote=remote, registry=registry)
    print_record({"name": release.name, "tag": tag, "version": release.version}, as_json=as_json)
