"""The ``exia`` command: each command is a file here, imported when it is used."""

from __future__ import annotations

from exia._house.command import library_group, run
from exia.doctor import checks
from exia.settings import SETTINGS

COMMANDS: dict[str, str] = {
    "call": "exia.cli.call:call",
    "methods": "exia.cli.methods:methods",
    "models": "exia.cli.models:models",
    "monitor": "exia.cli.monitor:monitor",
    "params": "exia.cli.params:params",
    "runs": "exia.cli.runs:runs",
    "serve": "exia.cli.serve:serve",
    "token": "exia.cli.token:token",
    "top": "exia.cli.top:top",
}

root = library_group("Serve algorithms from an object pool, and record what ran.", COMMANDS, SETTINGS, checks)


def main() -> None:
    """Run the command line and leave the process."""
    run(root)
