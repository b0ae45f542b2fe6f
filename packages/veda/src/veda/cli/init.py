"""``veda init``."""

from __future__ import annotations

import click

from veda._house.command import Command, json_option
from veda._house.output import print_record
from veda.settings import home, registry_url, store_url


@click.command(cls=Command, epilog="Example: veda init")
@json_option
def init(as_json: bool) -> None:
    """Make the registry and the key that signs where they are missing, and see that the store answers."""
    from veda.keys import signing_key
    from veda.registry import open_registry
    from veda.store import open_store

    with open_registry() as registry, open_store():
        releases = len(registry.releases())
    key = signing_key()
    places = {"home": str(home()), "registry": str(registry_url()), "store": str(store_url())}
    facts = {**places, "key": key.public.fingerprint if key else None, "releases": releases}
    print_record(facts, as_json=as_json)
