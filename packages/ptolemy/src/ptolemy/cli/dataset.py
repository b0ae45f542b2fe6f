"""``ptolemy dataset``: the catalogue, and data sets of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ptolemy._house.command import Group, json_option, note
from ptolemy._house.output import print_record, print_records
from ptolemy.cli._frames import complete_name

dataset = Group("dataset", help="The catalogue of data sets, and data sets of your own.")


@dataset.command(epilog="Example: ptolemy dataset add factors.yaml")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Take the place of a data set that was added under this name.")
@json_option
def add(file: Path, replace: bool, as_json: bool) -> None:
    """Add the data set that FILE describes, TOML or YAML; it is named as the file is.

    The file has the form of the shipped ones: title, key, columns, and rules, parameters, calendar,
    update, quality and collect where they are wanted. Print one with ptolemy dataset show NAME --source.
    """
    from ptolemy import catalogue

    made = catalogue.add(file, replace=replace)
    print_record({"dataset": made.name, "key": list(made.key), "columns": len(made.columns)}, as_json=as_json)


@dataset.command("list", epilog="Example: ptolemy dataset list --json")
@json_option
def list_all(as_json: bool) -> None:
    """Print every data set that there can be; ptolemy datasets tells what is kept."""
    from ptolemy.catalogue import interfaces

    rows = [
        {
            "dataset": i.name, "columns": len(i.columns), "key": list(i.key), "update": "" if i.computed else i.update,
            "origin": "computed" if i.computed else "added" if i.own else "shipped", "title": i.title,
        }
        for i in interfaces().values()
    ]  # fmt: skip
    print_records(rows, ["dataset", "key", "columns", "update", "origin", "title"], as_json=as_json)


@dataset.command(epilog="Example: ptolemy dataset show daily")
@click.argument("name", shell_complete=complete_name)
@click.option("--source", is_flag=True, help="Print the data set's file itself.")
@json_option
def show(name: str, source: bool, as_json: bool) -> None:
    """Print the columns, the parameters and the rules of data set NAME, or of the FILE of one (.toml or .yaml)."""
    from ptolemy import catalogue
    from ptolemy.catalogue.reading import build, parse

    path = Path(name)
    if path.suffix in (".toml", ".yaml", ".yml"):
        text = path.read_text(encoding="utf-8")
        known = build(path.stem, parse(name, text), name, own=True)
    else:
        known = catalogue.interface(name)
        text = catalogue.source(name)
    if source:
        click.echo(text, nl=False)
        return
    columns: list[dict[str, Any]] = [
        {
            "column": c.name, "type": c.type, "unit": c.unit, "shown": not c.hidden, "required": c.required,
            "key": c.name in known.key, "description": c.description,
        }
        for c in known.columns
    ]  # fmt: skip
    if as_json:
        print_record(
            {
                "dataset": known.name, "title": known.title, "key": known.key, "columns": columns,
                "parameters": [vars(p) for p in known.parameters.values()], "rules": [str(r) for r in known.rules],
                "calendar": known.calendar, "update": known.update, "limit": known.limit, "quality": known.quality,
            },
            as_json=True,
        )  # fmt: skip
        return
    print_records(columns, ["column", "type", "unit", "shown", "description"], as_json=False)
    note(f"parameters: {', '.join(known.parameters)}, fields")
    note(f"rules: {', '.join(str(rule) for rule in known.rules) or 'none'}")


@dataset.command(epilog="Example: ptolemy dataset remove factors")
@click.argument("name")
@json_option
def remove(name: str, as_json: bool) -> None:
    """Forget the data set NAME that was added; its rows stay in the store."""
    from ptolemy import catalogue

    catalogue.remove(name)
    print_record({"dataset": name, "removed": True}, as_json=as_json)
