"""``veda verify``."""

from __future__ import annotations

import click

from veda._house.command import Command, json_option, progress
from veda._house.output import print_record
from veda.cli._options import registry_option


@click.command(cls=Command, epilog="Example: veda verify momentum-1.2.0-any.vedapkg")
@click.argument("what", metavar="FILE|REF")
@registry_option
@json_option
def verify(what: str, registry: str | None, as_json: bool) -> None:
    """Check every byte of a package file, or of an installed release; exit 1 if one is wrong."""
    from veda.verifying import verify_any

    with progress("verifying") as show:
        manifest = verify_any(what, registry=registry, progress=show)
    facts = {"name": manifest.name, "version": manifest.version, "digest": manifest.digest}
    print_record({**facts, "files": len(manifest.files), "state": "ok"}, as_json=as_json)
