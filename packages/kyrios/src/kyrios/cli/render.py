"""``kyrios plan`` and ``kyrios render``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from kyrios._house.command import Command, json_option, note
from kyrios._house.output import json_text, paint, print_records
from kyrios.cli._flow import flow_argument, load, param_option, parameters

_FOLDER: Any = click.Path(file_okay=False, path_type=Path)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed((
        flow_argument,
        click.option("--engine", help="Which engine runs the files; the setting engine if not given."),
        click.option("--out", type=_FOLDER, required=True, help="Folder of the files."),
        click.option("--flow-dir", "folder", help="The flow's folder as the workers see it, if it is another."),
        click.option("--command", help="What a task calls; the setting command if not given."),
        param_option,
        json_option,
    )):  # fmt: skip
        command = option(command)
    return command


@click.command(cls=Command, epilog="Example: kyrios plan examples/flows/hello --engine airflow --out dags")
@_options
def plan(
    flow: str,
    engine: str | None,
    out: Path,
    folder: str | None,
    command: str | None,
    given: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show what render would change, as a unified diff."""
    from kyrios.render import difference, planned

    found = load(flow)
    files = planned(found, engine, folder=folder, command=command, params=parameters(found.graph, given))
    rows = [{"file": str(out / f.name), "diff": difference(f, out)} for f in files]
    if as_json:
        print(json_text(rows))
        return
    for row in rows:
        for line in row["diff"].splitlines():
            colour = {"+": "green", "-": "red", "@": "dim"}.get(line[:1])
            print(paint(line, colour) if colour else line)
    if not any(row["diff"] for row in rows):
        note("nothing changes")


@click.command(cls=Command, epilog="Example: kyrios render examples/flows/hello --engine airflow --out dags")
@_options
@click.option("--force", is_flag=True, help="Overwrite files that were edited by hand.")
def render(
    flow: str,
    engine: str | None,
    out: Path,
    folder: str | None,
    command: str | None,
    given: tuple[str, ...],
    as_json: bool,
    force: bool,
) -> None:
    """Write the files with which an engine runs a flow."""
    from kyrios.render import planned, write

    found = load(flow)
    files = planned(found, engine, folder=folder, command=command, params=parameters(found.graph, given))
    rows = [{"file": str(out / f.name), "flow": f.flow, "digest": f.content} for f in write(files, out, force=force)]
    print_records(rows, ["file", "flow", "digest"], as_json=as_json)
