"""``jiyuan init``."""

from __future__ import annotations

from pathlib import Path

import click

from jiyuan._house.command import Command, json_option, note
from jiyuan._house.output import print_record


@click.command(cls=Command, epilog="Example: jiyuan init project")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@json_option
def init(folder: Path, as_json: bool) -> None:
    """Write a project that runs at once into DIR: settings, an algorithm, a flow and its data."""
    from jiyuan.starting import new_project

    target = new_project(folder)
    print_record({"project": str(target), "settings": str(target / "jiyuan.toml")}, as_json=as_json)
    if not as_json:
        note(f"next: cd {folder} && kyrios run flow")
