"""Options that several commands share."""

from __future__ import annotations

import click

registry_option = click.option("--registry", metavar="URL", help="Registry to use instead of the configured one.")
