"""``veda sync``."""

from __future__ import annotations

from dataclasses import asdict

import click

from veda._house.command import Command, json_option, progress
from veda._house.output import print_record
from veda.cli._options import registry_option


@click.command(cls=Command, epilog="Example: veda sync --from file:/srv/store --channel stable")
@click.argument("refs", nargs=-1, metavar="[REF]...")
@click.option("--from", "from_", metavar="URL", help="Store to read instead of the configured one.")
@click.option("--to", metavar="URL", help="Copy releases to this store instead of reading them in here.")
@click.option("--channel", metavar="NAME", help="Fetch or copy all that this channel names.")
@registry_option
@json_option
def sync(
    refs: tuple[str, ...], from_: str | None, to: str | None, channel: str | None, registry: str | None, as_json: bool
) -> int:
    """Register here what a store has, and fetch REFs for use without a network; exit 1 if any was refused."""
    from veda.syncing import sync

    with progress("syncing") as show:
        done = sync(refs, from_=from_, to=to, channel=channel, registry=registry, progress=show)
    print_record(asdict(done), as_json=as_json)
    return 1 if done.refused else 0
