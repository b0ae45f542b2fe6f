"""``veda pack``."""

from __future__ import annotations

from pathlib import Path

import click

from veda._house.command import Command, json_option, note, progress
from veda._house.output import print_record


@click.command(cls=Command, epilog="Example: veda pack momentum -o momentum-1.2.0-any.vedapkg")
@click.argument("path", type=click.Path(path_type=Path), default=".")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="File or folder to write to; default PATH/dist.")
@json_option
def pack(path: Path, out: Path | None, as_json: bool) -> None:
    """Pack the workspace PATH into a .vedapkg file."""
    from veda.components import LARGE
    from veda.package import pack

    with progress("packing") as show:
        package = pack(path, out, progress=show)
    manifest = package.manifest
    facts = {"file": str(package.path), "name": package.name, "version": package.version, "digest": package.digest}
    sizes = {"files": len(manifest.files), "size": manifest.size, "packed_size": package.path.stat().st_size}
    print_record({**facts, **sizes}, as_json=as_json)
    named = {c["path"] for c in manifest.facts.get("components", [])}
    for file in manifest.files:
        parts = file.path.split("/")
        if file.size >= LARGE and not named & {"/".join(parts[:n]) for n in range(1, len(parts) + 1)}:
            note(f"{file.path} has {file.size >> 20} MiB; veda add {path / file.path} keeps it out of the package file")
