"""The ``ptolemy`` command: each command is a file here, imported when it is used."""

from __future__ import annotations

from ptolemy._house.command import library_group, run
from ptolemy.doctor import checks
from ptolemy.settings import SETTINGS

COMMANDS: dict[str, str] = {
    "collect": "ptolemy.cli.collect:collect",
    "dataset": "ptolemy.cli.dataset:dataset",
    "datasets": "ptolemy.cli.datasets:datasets",
    "down": "ptolemy.cli.services:down",
    "logs": "ptolemy.cli.logs:logs",
    "pro-bar": "ptolemy.cli.pro_bar:pro_bar",
    "ps": "ptolemy.cli.services:ps",
    "quality": "ptolemy.cli.quality:quality",
    "query": "ptolemy.cli.query:query",
    "restart": "ptolemy.cli.services:restart",
    "sample": "ptolemy.cli.sample:sample",
    "serve": "ptolemy.cli.serve:serve",
    "token": "ptolemy.cli.token:token",
    "sql": "ptolemy.cli.sql:sql",
    "store": "ptolemy.cli.store:store",
    "status": "ptolemy.cli.services:status",
    "up": "ptolemy.cli.services:up",
    "versions": "ptolemy.cli.versions:versions",
    "web": "ptolemy.cli.web:web",
}

root = library_group("A Tushare-style data service that you own, in Python and over HTTP.", COMMANDS, SETTINGS, checks)


def main() -> None:
    """Run the command line and leave the process."""
    run(root)
