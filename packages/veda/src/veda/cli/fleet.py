"""``veda fleet``."""

from __future__ import annotations

from dataclasses import asdict

import click

from veda._house.command import Command, json_option
from veda._house.output import print_records
from veda.cli._options import registry_option


@click.command(cls=Command, epilog="Example: veda fleet --env research --json")
@click.option("--env", "environment", metavar="NAME", help="Only this environment.")
@registry_option
@json_option
def fleet(environment: str | None, registry: str | None, as_json: bool) -> None:
    """Show which digest runs where, since when and by whom, as the deployments left it."""
    from veda.rollout import fleet

    rows = [
        {**asdict(r), "runs": f"{r.package}@{r.version}"} for r in fleet(environment=environment, registry=registry)
    ]
    for row in rows if not as_json else ():
        row["digest"] = str(row["digest"])[:19]
    columns = ["host", "environment", "generation", "runs", "digest", "since", "by"]
    print_records(rows, columns, as_json=as_json)
