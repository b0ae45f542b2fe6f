"""The ``veda`` command: each command is a file here, imported when it is used."""

from __future__ import annotations

from veda._house.command import library_group, run
from veda.doctor import checks
from veda.settings import SETTINGS

COMMANDS: dict[str, str] = {
    "channel": "veda.cli.channel:channel",
    "check": "veda.cli.check:check",
    "diff": "veda.cli.diff:diff",
    "gc": "veda.cli.gc:gc",
    "history": "veda.cli.history:history",
    "init": "veda.cli.init:init",
    "inspect": "veda.cli.inspect:inspect",
    "key": "veda.cli.key:key",
    "list": "veda.cli.list:list_releases",
    "new": "veda.cli.new:new",
    "pack": "veda.cli.pack:pack",
    "pull": "veda.cli.pull:pull",
    "push": "veda.cli.push:push",
    "query": "veda.cli.search:query",
    "register": "veda.cli.register:register",
    "registry": "veda.cli.registry:registry",
    "remote": "veda.cli.remote:remote",
    "search": "veda.cli.search:search",
    "show": "veda.cli.show:show",
    "store": "veda.cli.store:store",
    "sync": "veda.cli.sync:sync",
    "tag": "veda.cli.tag:tag",
    "unpack": "veda.cli.unpack:unpack",
    "update": "veda.cli.update:update",
    "verify": "veda.cli.verify:verify",
    "yank": "veda.cli.yank:yank",
}

root = library_group("Pack algorithms, register them, and move them to every machine.", COMMANDS, SETTINGS, checks)


def main() -> None:
    """Run the command line and leave the process."""
    run(root)
