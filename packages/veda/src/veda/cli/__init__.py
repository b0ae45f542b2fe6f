"""The ``veda`` command: each command is a file here, imported when it is used."""

from __future__ import annotations

from veda._house.command import library_group, run
from veda.doctor import checks
from veda.settings import SETTINGS

COMMANDS: dict[str, str] = {
    "check": "veda.cli.check:check",
    "env": "veda.cli.env:env",
    "fleet": "veda.cli.fleet:fleet",
    "init": "veda.cli.init:init",
    "inspect": "veda.cli.inspect:inspect",
    "list": "veda.cli.list:list_releases",
    "lock": "veda.cli.lock:lock",
    "new": "veda.cli.new:new",
    "ops": "veda.cli.ops:ops",
    "pack": "veda.cli.pack:pack",
    "pull": "veda.cli.pull:pull",
    "push": "veda.cli.push:push",
    "register": "veda.cli.register:register",
    "show": "veda.cli.show:show",
    "tag": "veda.cli.tag:tag",
    "unpack": "veda.cli.unpack:unpack",
    "verify": "veda.cli.verify:verify",
}

root = library_group("Pack algorithms, register them, and move them to every machine.", COMMANDS, SETTINGS, checks)


def main() -> None:
    """Run the command line and leave the process."""
    run(root)
