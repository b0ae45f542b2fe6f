"""``veda gc``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from veda._house.command import Command, dry_run_option, json_option, note, progress, yes_option
from veda._house.output import print_record
from veda.cli._options import store_option


@click.command(cls=Command, epilog="Example: veda gc --keep 5")
@click.option("--keep", type=int, metavar="N", help="Versions of each package to keep; without it all are.")
@click.option("--older", type=float, default=1.0, show_default=True, metavar="DAYS", help="Leave younger blobs alone.")
@click.option(
    "--lock", "locks", multiple=True, type=click.Path(exists=True, path_type=Path), help="Keep what it names."
)
@store_option
@yes_option
@dry_run_option
@json_option
def gc(
    keep: int | None, older: float, locks: tuple[Path, ...], store: str | None, yes: bool, dry_run: bool, as_json: bool
) -> None:
    """Show what of a store nothing needs any more; with --yes remove it. Without --yes it is a dry run.

    What a tag, a channel, a deployment or a lock names always stays.
    """
    from veda.upkeep import collect

    with progress("collecting") as show:
        done = collect(store, keep=keep, older=older, locks=locks, dry_run=dry_run or not yes, progress=show)
    print_record(asdict(done), as_json=as_json)
    if not done.done and done.blobs:
        note("nothing was removed; add --yes to remove it")
