"""The ``kyrios`` command: each command is a file here, imported when it is used."""

from __future__ import annotations

from kyrios._house.command import library_group, run
from kyrios.doctor import checks
from kyrios.settings import SETTINGS

COMMANDS: dict[str, str] = {}

root = library_group(
    "Render workflows from units and templates: local, Airflow, Celery, Ray, Dask.", COMMANDS, SETTINGS, checks
)


def main() -> None:
    """Run the command line and leave the process."""
    run(root)
