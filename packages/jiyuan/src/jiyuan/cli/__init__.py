"""The ``jiyuan`` command: each command is a file here, imported when it is used."""

from __future__ import annotations

from jiyuan._house.command import library_group, run
from jiyuan.doctor import checks
from jiyuan.settings import SETTINGS

COMMANDS = {
    "demo": "jiyuan.cli.demo:demo",
    "export": "jiyuan.cli.reproduce:export",
    "reproduce": "jiyuan.cli.reproduce:reproduce",
    "trace": "jiyuan.cli.trace:trace",
}

root = library_group(
    "One door to an algorithm centre: Veda, Exia, Kyrios and Ptolemy on one machine.", COMMANDS, SETTINGS, checks
)


def main() -> None:
    """Run the command line and leave the process."""
    run(root)
