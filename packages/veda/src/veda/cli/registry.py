"""``veda registry``."""

from __future__ import annotations

from veda._house.command import Group, json_option, progress
from veda._house.output import print_record
from veda.cli._options import registry_option, store_option

registry = Group("registry", help="Look after a registry.")


@registry.command(epilog="Example: veda registry reindex --store file:/srv/store")
@store_option
@registry_option
@json_option
def reindex(store: str | None, registry: str | None, as_json: bool) -> None:
    """Make the team's index again from the store, which is the truth; --registry names another to fill."""
    from veda.remote import reindex

    with progress("reading the store") as show:
        releases, events = reindex(store, registry=registry, progress=show)
    print_record({"releases": releases, "events": events}, as_json=as_json)
