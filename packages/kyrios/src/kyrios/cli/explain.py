"""``kyrios explain``."""

from __future__ import annotations

import click

from kyrios._house.command import Command, json_option
from kyrios._house.output import print_records


@click.command(cls=Command, epilog="Example: kyrios explain flow.units.retries")
@click.argument("key")
@json_option
def explain(key: str, as_json: bool) -> None:
    """Say what a key of flow.yaml or of a unit's file may hold, such as flow.schedule or unit.run."""
    from kyrios.explaining import explain as explain_key

    print_records([vars(e) for e in explain_key(key)], ["key", "type", "default", "meaning"], as_json=as_json)
