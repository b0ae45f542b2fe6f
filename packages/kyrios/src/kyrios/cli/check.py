"""``kyrios check``."""

from __future__ import annotations

from pathlib import Path

import click

from kyrios._house.command import Command, json_option, note
from kyrios._house.output import print_records


@click.command(cls=Command, epilog="Example: kyrios check dags")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@json_option
def check(out: Path, as_json: bool) -> int:
    """Compare rendered files with their flows; exit 1 if one is edited, stale, missing or orphaned."""
    from kyrios import render

    findings = render.check(out)
    if findings or as_json:
        print_records([vars(f) for f in findings], ["kind", "file", "detail"], as_json=as_json)
    else:
        note("every file is as its flow says")
    return 1 if findings else 0
