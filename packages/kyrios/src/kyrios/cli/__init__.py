"""The ``kyrios`` command: each command is a file here, imported when it is used."""

from __future__ import annotations

from kyrios._house.command import library_group, run
from kyrios.doctor import checks
from kyrios.settings import SETTINGS

COMMANDS: dict[str, str] = {
    "build": "kyrios.cli.build:build",
    "check": "kyrios.cli.check:check",
    "create": "kyrios.cli.create:create",
    "explain": "kyrios.cli.explain:explain",
    "graph": "kyrios.cli.graph:graph",
    "loop": "kyrios.cli.loop:loop",
    "plan": "kyrios.cli.render:plan",
    "render": "kyrios.cli.render:render",
    "run": "kyrios.cli.run:run",
    "run-unit": "kyrios.cli.run_unit:run_unit",
    "runs": "kyrios.cli.runs:runs",
    "serve": "kyrios.cli.serve:serve",
    "test": "kyrios.cli.test:test",
    "token": "kyrios.cli.token:token",
    "tune": "kyrios.cli.loop:tune",
    "validate": "kyrios.cli.validate:validate",
    "worker": "kyrios.cli.worker:worker",
}

root = library_group("Run workflows from units and flows: here, or on Airflow.", COMMANDS, SETTINGS, checks)


def main() -> None:
    """Run the command line and leave the process."""
    run(root)
