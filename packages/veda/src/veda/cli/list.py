"""``veda list``."""

from __future__ import annotations

import click

from veda._house.command import Command, json_option
from veda._house.output import print_records
from veda.cli._options import open_catalogue, registry_option, remote_option


@click.command(cls=Command, epilog="Example: veda list --json")
@click.argument("name", required=False)
@remote_option
@registry_option
@json_option
def list_releases(name: str | None, registry: str | None, remote: bool, as_json: bool) -> None:
    """List the registered releases, or those of NAME, the newest version first."""
    from veda.names import normalise_name
    from veda.resolve import newest_first

    with open_catalogue(registry, remote) as catalogue:
        releases = newest_first(catalogue.releases(normalise_name(name) if name else None))
        names = {r.name for r in releases}
        tags = {n: catalogue.tags(n) for n in names}
        yanked = {n: catalogue.yanked(n) for n in names}
    rows = [
        {
            "name": r.name,
            "version": r.version,
            "tags": [t for t, v in tags[r.name].items() if v == r.version],
            "yanked": yanked[r.name].get(r.version),
            "digest": r.digest,
            "platform": r.facts.get("tag", ""),
            "summary": r.facts.get("summary", ""),
        }
        for r in releases
    ]
    columns = ["name", "version", "tags", "yanked", "summary"]
    print_records(rows, columns, as_json=as_json)
