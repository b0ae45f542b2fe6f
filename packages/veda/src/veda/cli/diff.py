"""``veda diff``."""

from __future__ import annotations

from dataclasses import asdict

import click

from veda._house.command import Command, json_option, note
from veda._house.output import print_records
from veda.cli._options import registry_option


@click.command(cls=Command, epilog="Example: veda diff momentum@1.2.0 momentum-1.3.0-any.vedapkg")
@click.argument("before", metavar="FILE|REF")
@click.argument("after", metavar="FILE|REF")
@registry_option
@json_option
def diff(before: str, after: str, registry: str | None, as_json: bool) -> int:
    """List what differs between two packages: files, methods, parameters, requirements; exit 1 if anything does."""
    from veda.comparing import diff

    found = diff(before, after, registry=registry)
    if found or as_json:
        print_records([asdict(d) for d in found], ["kind", "what", "before", "after"], as_json=as_json)
    else:
        note("no difference")
    return 1 if found else 0
