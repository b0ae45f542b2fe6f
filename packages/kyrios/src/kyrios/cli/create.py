"""``kyrios create``: unit, flow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kyrios._house.command import Group, json_option
from kyrios._house.output import print_records

_KINDS = ("python", "sql", "shell", "train", "http", "stream")
_FOLDER: Any = click.Path(file_okay=False, path_type=Path)

create = Group("create", help="Begin a unit or a flow from a template: its file, its code and a test.")


@create.command(epilog="Example: kyrios create unit clean --like python --into flows/new")
@click.argument("name")
@click.option("--like", type=click.Choice(_KINDS), default="python", show_default=True, help="Which template.")
@click.option("--into", "folder", type=_FOLDER, default=".", help="The flow's folder; here if not given.")
@json_option
def unit(name: str, like: str, folder: Path, as_json: bool) -> None:
    """Write a unit NAME with its code and its test; what is there already is never overwritten."""
    from kyrios.templates import create_unit

    _show(create_unit(name, like, folder), as_json)


@create.command(epilog="Example: kyrios create flow nightly --like sql")
@click.argument("name")
@click.option("--like", type=click.Choice(_KINDS), default="python", show_default=True, help="Which template.")
@click.option("--into", "folder", type=_FOLDER, help="The new folder; NAME if not given.")
@json_option
def flow(name: str, like: str, folder: Path | None, as_json: bool) -> None:
    """Write a flow NAME that runs: a unit that gives numbers, and one like the template."""
    from kyrios.templates import create_flow

    _show(create_flow(name, like, folder or Path(name)), as_json)


def _show(files: list[Path], as_json: bool) -> None:
    print_records([{"file": str(path)} for path in files], ["file"], as_json=as_json)
