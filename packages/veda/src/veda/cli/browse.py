"""``veda browse``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from veda._house.command import Command, json_option, note, progress
from veda._house.output import print_record
from veda.cli._options import registry_option, store_option


@click.command(cls=Command, epilog="Example: veda browse --out catalogue")
@click.option(
    "--out", type=click.Path(path_type=Path), default="veda-catalogue", show_default=True, help="Folder to write."
)
@click.option("--channel", metavar="NAME", help="Show what this signed channel of the store names.")
@store_option
@registry_option
@json_option
def browse(out: Path, channel: str | None, store: str | None, registry: str | None, as_json: bool) -> None:
    """Write the registered packages, or those of a channel, as web pages with search that need no server.

    Each package has its README, methods, parameters, versions, dependencies, users and signatures.
    """
    from veda.browsing import browse

    with progress("writing pages") as show:
        done = browse(out, store=store, channel=channel, registry=registry, progress=show)
    print_record(asdict(done), as_json=as_json)
    if not done.asked:
        note("the store did not answer, so the pages say nothing of signatures: veda doctor")
