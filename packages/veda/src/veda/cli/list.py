"""``veda list``."""

from __future__ import annotations

import click

from veda._house.command import Command, json_option
from veda._house.output import print_records
from veda.cli._options import registry_option


@click.command(cls=Command, epilog="Example: veda list --json")
@click.argument("name", required=False)
@registry_option
@json_option
def list_releases(name: str | None, registry: str | None, as_json: bool) -> None:
    """List the registered releases, or those of NAME, the newest version first."""
    from veda.names import normalise_name
    from veda.registry import open_registry
    from veda.resolve import newest_first

    with open_registry(registry) as catalogue:
        releases = newest_first(catalogue.releases(normalise_name(name) if name else None))
        tags = {n: catalogue.tags(n) for n in {r.name for r in releases}}
    rows = [
        {
            "name": r.name,
            "version": r.version,
            "tags": [t for t, v in tags[r.name].items() if v == r.version],
            "digest": r.digest,
            "summary": r.facts.get("summary", ""),
        }
        for r in releases
    ]
    columns = ["name", "version", "tags", "summary"]
    print_records(rows, columns, as_json=as_json)
