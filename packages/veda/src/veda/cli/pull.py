"""``veda pull``."""

from __future__ import annotations

from dataclasses import asdict

import click

from veda._house.command import Command, json_option, progress
from veda._house.output import print_record
from veda.cli._options import registry_option


@click.command(cls=Command, epilog="Example: veda pull momentum@~=1.2 --from file:/srv/store")
@click.argument("ref")
@click.option("--from", "from_", metavar="URL", help="Store to use instead of the configured one.")
@click.option("--channel", metavar="NAME", help="Take the release that this signed channel names.")
@click.option("--offline", is_flag=True, help="Use what veda sync has fetched, and no network.")
@registry_option
@json_option
def pull(ref: str, from_: str | None, channel: str | None, offline: bool, registry: str | None, as_json: bool) -> None:
    """Fetch the release REF from a store, verify every byte, install and register it."""
    from veda.fetch import pull

    with progress("pulling") as show:
        pulled = pull(ref, from_, channel=channel, offline=offline, registry=registry, progress=show)
    print_record({**asdict(pulled), "path": str(pulled.path)}, as_json=as_json)
