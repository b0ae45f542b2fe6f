"""The ``veda`` command: each command is a file here, imported when it is used."""

from __future__ import annotations

from veda._house.command import library_group, run
from veda.doctor import checks
from veda.settings import SETTINGS

COMMANDS: dict[str, str] = {}

root = library_group(
    "Pack, sign, register and distribute algorithm packages, with exact environments.", COMMANDS, SETTINGS, checks
)


def main() -> None:
    """Run the command line and leave the process."""
    run(root)
