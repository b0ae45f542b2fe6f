"""The ``veda`` command: each command is a file here, imported when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from veda._house.version import say_version

if TYPE_CHECKING:
    from veda._house.command import Group

    root: Group

COMMANDS: dict[str, str] = {
    "add": "veda.cli.add:add",
    "browse": "veda.cli.browse:browse",
    "channel": "veda.cli.channel:channel",
    "check": "veda.cli.check:check",
    "env": "veda.cli.env:env",
    "fleet": "veda.cli.fleet:fleet",
    "diff": "veda.cli.diff:diff",
    "gc": "veda.cli.gc:gc",
    "history": "veda.cli.history:history",
    "init": "veda.cli.init:init",
    "inspect": "veda.cli.inspect:inspect",
    "key": "veda.cli.key:key",
    "list": "veda.cli.list:list_releases",
    "lock": "veda.cli.lock:lock",
    "new": "veda.cli.new:new",
    "ops": "veda.cli.ops:ops",
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


def main() -> None:
    """Run the command line and leave the process."""
    if not say_version():
        from veda._house.command import run

        run(__getattr__("root"))


def __getattr__(name: str) -> Any:
    # Made when first asked for: click takes longer to import than `veda --version` may take.
    if name != "root":
        raise AttributeError(f"module 'veda.cli' has no attribute {name!r}")
    from veda._house.command import library_group
    from veda.doctor import checks
    from veda.settings import SETTINGS

    made = library_group("Pack algorithms, register them, and move them to every machine.", COMMANDS, SETTINGS, checks)
    return globals().setdefault("root", made)
