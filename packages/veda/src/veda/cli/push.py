"""``veda push``."""

from __future__ import annotations

from dataclasses import asdict

import click

from veda._house.command import Command, json_option, note, progress
from veda._house.output import print_record
from veda.cli._options import registry_option


@click.command(cls=Command, epilog="Example: veda push momentum@1.2.0 --to file:/srv/store")
@click.argument("what", metavar="REF|FILE")
@click.option("--to", metavar="URL", help="Store to use instead of the configured one.")
@registry_option
@json_option
def push(what: str, to: str | None, registry: str | None, as_json: bool) -> None:
    """Send a package to a store: what it lacks, the signed manifest, the claim of the version."""
    from veda.publish import push

    with progress("pushing") as show:
        pushed = push(what, to, registry=registry, progress=show)
    print_record(asdict(pushed), as_json=as_json)
    if pushed.announced is False:
        note("the index did not answer; it will be told with the next push or sync, or by: veda remote deliver")
