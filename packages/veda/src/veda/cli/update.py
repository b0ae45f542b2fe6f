"""``veda update``."""

from __future__ import annotations

import click

from veda._house.command import Command, json_option
from veda._house.output import print_record
from veda.cli._options import registry_option, remote_option
from veda.errors import BadInput


@click.command(cls=Command, epilog="Example: veda update momentum@1.2.0 owner=desk-2 reviewed=yes")
@click.argument("ref")
@click.argument("notes", nargs=-1, required=True, metavar="KEY=VALUE...")
@remote_option
@registry_option
@json_option
def update(ref: str, notes: tuple[str, ...], registry: str | None, remote: bool, as_json: bool) -> None:
    """Add notes to the release REF; its content and its facts never change."""
    from veda.records import update

    for note in notes:
        if not note.partition("=")[0].isidentifier() or "=" not in note:
            raise BadInput(f"{note!r} is not KEY=VALUE", hint=f"veda update {ref} owner=desk-2")
    added = dict(n.split("=", 1) for n in notes)
    release = update(ref, added, remote=remote, registry=registry)
    print_record({"name": release.name, "version": release.version, "notes": added}, as_json=as_json)
