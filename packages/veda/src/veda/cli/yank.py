"""``veda yank``."""

from __future__ import annotations

import click

from veda._house.command import Command, json_option
from veda._house.output import print_record
from veda.cli._options import registry_option, remote_option
from veda.errors import BadInput


@click.command(cls=Command, epilog='Example: veda yank momentum@1.2.0 --reason "wrong sign of the skip"')
@click.argument("ref")
@click.option("--reason", default="", help="Why; whoever meets it reads this.")
@click.option("--undo", is_flag=True, help="Take the yank back.")
@remote_option
@registry_option
@json_option
def yank(ref: str, reason: str, undo: bool, registry: str | None, remote: bool, as_json: bool) -> None:
    """Take the release REF back: only who names it exactly still gets it."""
    from veda.records import unyank, yank

    if bool(reason) == undo:
        raise BadInput("say why it is yanked, or undo a yank", hint=f"veda yank {ref} --reason WHY")
    release = (
        unyank(ref, remote=remote, registry=registry) if undo else yank(ref, reason, remote=remote, registry=registry)
    )
    print_record({"name": release.name, "version": release.version, "yanked": not undo}, as_json=as_json)
