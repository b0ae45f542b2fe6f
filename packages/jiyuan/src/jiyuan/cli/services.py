"""``jiyuan up``, ``down``, ``status`` and ``logs``: Ptolemy's commands, under the name of the whole centre."""

from __future__ import annotations

import click

from jiyuan._house.command import Command
from ptolemy.cli import logs as _logs
from ptolemy.cli import services as _services

_FLAGS = ("quiet", "verbose", "debug")


def _ours(theirs: click.Command) -> click.Command:
    params = [p for p in theirs.params if p.name not in _FLAGS]
    epilog = (theirs.epilog or "").replace("Example: ptolemy ", "Example: jiyuan ")
    return Command(theirs.name, params=params, callback=theirs.callback, help=theirs.help, epilog=epilog)


up = _ours(_services.up)
down = _ours(_services.down)
status = _ours(_services.status)
logs = _ours(_logs.logs)
