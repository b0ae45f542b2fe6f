"""The ``jiyuan`` command: each command is a file here, imported when it is used."""

from __future__ import annotations

from jiyuan._house.command import library_group, run
from jiyuan.examining import checks
from jiyuan.settings import SETTINGS

COMMANDS = {
    "demo": "jiyuan.cli.demo:demo",
    "down": "jiyuan.cli.services:down",
    "export": "jiyuan.cli.reproduce:export",
    "init": "jiyuan.cli.init:init",
    "lab": "jiyuan.cli.lab:lab",
    "logs": "jiyuan.cli.services:logs",
    "reproduce": "jiyuan.cli.reproduce:reproduce",
    "status": "jiyuan.cli.services:status",
    "trace": "jiyuan.cli.trace:trace",
    "up": "jiyuan.cli.services:up",
    "web": "jiyuan.cli.web:web",
}

root = library_group(
    "One door to an algorithm centre: Veda, Exia, Kyrios and Ptolemy on one machine.", COMMANDS, SETTINGS, checks
)


def main() -> None:
    """Run the command line and leave the process."""
    run(root)
