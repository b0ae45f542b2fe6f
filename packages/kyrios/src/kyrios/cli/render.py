"""``kyrios plan`` and ``kyrios render``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kyrios._house.command import Command, json_option, note
from kyrios._house.output import json_text, paint, print_records
from kyrios.cli._flow import composed, flow_argument, load, overrides_argument, param_option
from kyrios.errors import BadInput

if TYPE_CHECKING:
    from kyrios.flows import Flow
    from kyrios.render import RenderedFile

_FOLDER: Any = click.Path(file_okay=False, path_type=Path)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed((
        flow_argument,
        overrides_argument,
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
    overrides: tuple[str, ...],
    engine: str | None,
    out: Path,
    folder: str | None,
    command: str | None,
    given: tuple[str, ...],
    as_json: bool,
) -> int:
    """Show what render would change, as a unified diff; FLOW may be a folder of flows."""
    from kyrios.render import difference

    files, broken = _files(flow, overrides, engine, out, folder, command, given)
    rows = [{"file": str(out / f.name), "diff": difference(f, out)} for f in files]
    if as_json:
        print(json_text(rows))
        return broken
    for row in rows:
        for line in row["diff"].splitlines():
            colour = {"+": "green", "-": "red", "@": "dim"}.get(line[:1])
            print(paint(line, colour) if colour else line)
    if not any(row["diff"] for row in rows):
        note("nothing changes")
    return broken


@click.command(cls=Command, epilog="Example: kyrios render examples/flows/hello --engine airflow --out dags")
@_options
@click.option("--force", is_flag=True, help="Overwrite files that were edited by hand.")
def render(
    flow: str,
    overrides: tuple[str, ...],
    engine: str | None,
    out: Path,
    folder: str | None,
    command: str | None,
    given: tuple[str, ...],
    as_json: bool,
    force: bool,
) -> int:
    """Write the files with which an engine runs a flow, or every flow in a folder of flows."""
    from kyrios.render import write

    files, broken = _files(flow, overrides, engine, out, folder, command, given)
    rows = [{"file": str(out / f.name), "flow": f.flow, "digest": f.content} for f in write(files, out, force=force)]
    print_records(rows, ["file", "flow", "digest"], as_json=as_json)
    return broken


def _files(
    flow: str,
    overrides: tuple[str, ...],
    engine: str | None,
    out: Path,
    folder: str | None,
    command: str | None,
    given: tuple[str, ...],
) -> tuple[list[RenderedFile], int]:
    """Return the files of one flow, or of every flow below a folder, and 1 if one of them cannot be used."""
    from kyrios.render import planned, planned_in

    below = sorted(path.parent for path in Path(flow).glob("*/flow.yaml"))
    if (Path(flow) / "flow.yaml").exists() or not below:
        found = load(flow)
        params = composed(found, overrides, given)
        if len(params) > 1:
            raise BadInput(f"the sweep has {len(params)} combinations, and one can be rendered", hint="kyrios run FLOW")
        return planned(found, engine, folder=folder, command=command, params=params[0]), 0
    if folder or given or overrides:
        raise BadInput("--flow-dir and parameters are for one flow", hint="give the folder of one flow")
    broken = []

    def read(path: Path) -> Flow | None:
        try:
            return load(str(path))
        except BadInput as exc:  # its mistakes are printed; the others do not wait for them
            note(f"left out: {exc.message}")
            broken.append(path)
            return None

    return planned_in(below, engine, out=out, command=command, load=read), int(bool(broken))
