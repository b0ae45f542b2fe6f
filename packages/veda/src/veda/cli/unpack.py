"""``veda unpack``."""

from __future__ import annotations

from pathlib import Path

import click

from veda._house.command import Command, json_option, progress
from veda._house.output import print_record


@click.command(cls=Command, epilog="Example: veda unpack momentum-1.2.0-any.vedapkg momentum-1.2.0")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@json_option
def unpack(file: Path, target: Path, as_json: bool) -> None:
    """Write the files of the package FILE into the new folder TARGET."""
    from veda.package import unpack

    with progress("unpacking") as show:
        folder = unpack(file, target, progress=show)
    print_record({"folder": str(folder)}, as_json=as_json)
