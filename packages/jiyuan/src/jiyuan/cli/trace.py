"""``jiyuan trace``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from jiyuan._house.command import Command, json_option
from jiyuan._house.output import json_text, print_records
from jiyuan.errors import BadInput


@click.command(cls=Command, epilog="Example: jiyuan trace --uses daily@v12 --json")
@click.argument("run", required=False)
@click.option("--uses", metavar="NAME@VERSION", help="List the runs that used a data set or package instead.")
@click.option("--mermaid", is_flag=True, help="Print a Mermaid graph.")
@click.option("--html", is_flag=True, help="Print one page that needs no other file.")
@click.option("-o", "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write into this file instead.")
@json_option
def trace(run: str | None, uses: str | None, mermaid: bool, html: bool, out: Path | None, as_json: bool) -> None:
    """Print where the results of RUN come from, of Kyrios or Exia; part of its id is enough."""
    from jiyuan.lineage import trace as traced
    from jiyuan.lineage import users_of

    if (run is None) == (uses is None):
        raise BadInput("name either a run or what runs used", hint="jiyuan trace RUN, or jiyuan trace --uses daily@v12")
    if mermaid + html + as_json > 1:
        raise BadInput("--json, --mermaid and --html exclude each other", hint="take one of them")
    if uses is not None:
        if mermaid or html or out:
            raise BadInput("a list of runs is printed as a table or with --json", hint=f"jiyuan trace --uses {uses}")
        rows = [asdict(use) for use in users_of(uses)]
        print_records(rows, ["run_id", "kind", "name", "state", "started", "version", "rows"], as_json=as_json)
        return
    found = traced(str(run))
    text = (
        json_text(found.to_dict())
        if as_json
        else found.mermaid()
        if mermaid
        else found.html().rstrip("\n")
        if html
        else found.tree()
    )
    if out is None:
        print(text)
        return
    from jiyuan._house.files import write_durably

    write_durably(out, f"{text}\n".encode())
    print(out)
