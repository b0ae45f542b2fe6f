"""``veda add``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from veda._house.command import Command, json_option, note
from veda._house.output import print_record, print_records


@click.command(cls=Command, epilog="Example: veda add momentum/src/momentum --as code")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--as", "kind", type=click.Choice(["code", "model", "data", "env", "doc"]), help="What it is; else by its name."
)
@click.option(
    "--entry-point", "points", multiple=True, metavar="NAME[=TARGET]", help="Declare a class of the code as NAME."
)
@click.option("--by-reference/--inside", default=None, help="Keep its files out of the package file, or in it.")
@click.option("--workspace", type=click.Path(path_type=Path), metavar="FOLDER", help="Default: the nearest above PATH.")
@json_option
def add(
    path: Path,
    kind: str | None,
    points: tuple[str, ...],
    by_reference: bool | None,
    workspace: Path | None,
    as_json: bool,
) -> None:
    """Add the file or folder PATH to its workspace as a component, and list the classes that it offers.

    Models and data of 8 MiB or more are kept by reference: the package names their digest, and their
    bytes travel to the store once, whatever packages refer to them.
    """
    from veda.adding import add

    added = add(path, kind, workspace=workspace, entry_points=points, reference=by_reference)
    facts = asdict(added)
    if as_json:
        print_record(facts, as_json=True)
        return
    print_record({k: v for k, v in facts.items() if k != "entry_points"}, as_json=False)
    if added.entry_points:
        print()
        rows = [{**point, "methods": list(point["methods"])} for point in added.entry_points]
        print_records(rows, ["name", "target", "methods", "summary"], as_json=False)
    if unnamed := [point["target"] for point in added.entry_points if not point["name"]]:
        note(f"declare one: veda add {path} --entry-point NAME={unnamed[0]}")
