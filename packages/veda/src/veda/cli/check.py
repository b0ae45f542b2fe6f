"""``veda check``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from veda._house.command import Command, json_option, note, progress
from veda._house.output import print_records


@click.command(cls=Command, epilog="Example: veda check momentum --json")
@click.argument("path", type=click.Path(path_type=Path), default=".")
@json_option
def check(path: Path, as_json: bool) -> int:
    """List what to mend in the workspace PATH; exit 1 if there is anything."""
    from veda.checking import check

    with progress("checking") as show:
        findings = check(path, progress=show)
    if findings or as_json:
        print_records([asdict(f) for f in findings], ["rule", "where", "detail"], as_json=as_json)
    else:
        note("nothing to mend")
    return 1 if findings else 0
