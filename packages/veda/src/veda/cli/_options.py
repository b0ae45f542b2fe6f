"""Options that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from veda.registry import Registry

registry_option = click.option("--registry", metavar="URL", help="Registry to use instead of the configured one.")
remote_option = click.option("--remote", is_flag=True, help="Use the index that the team shares (setting index).")
store_option = click.option("--store", metavar="URL", help="Store to use instead of the configured one.")


def open_catalogue(registry: str | None, remote: bool) -> Registry:
    """Open the team's index, or the registry here."""
    if remote:
        from veda.remote import open_index  # with all that it imports, 60 ms that a search here has no use for

        return open_index()
    from veda.registry import open_registry

    return open_registry(registry)
