"""``ptolemy logs``: what the components say."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from ptolemy._house.command import Command, json_option
from ptolemy._house.output import json_text
from ptolemy.cli.services import component_of, opened, services_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ptolemy.services import Services


@click.command(cls=Command, epilog="Example: ptolemy logs api --lines 20 --search error")
@click.argument("names", nargs=-1)
@click.option("--lines", type=click.IntRange(0), default=50, show_default=True, help="Last lines of each component.")
@click.option("--search", default="", metavar="TEXT", help="Only lines with this text, in any case.")
@click.option("--follow", is_flag=True, help="Go on with what is said, until Ctrl-C.")
@services_option
@json_option
def logs(names: tuple[str, ...], lines: int, search: str, follow: bool, url: str | None, as_json: bool) -> None:
    """Print what the components NAMES say, of all if none is named; secrets are shown as ***."""
    with opened(url) as services:
        show(services, names, lines, search, follow, as_json)


def show(services: Services, names: Sequence[str], lines: int, search: str, follow: bool, as_json: bool) -> None:
    """Print what the components `names` of `services` say, as the command does."""
    from ptolemy.services.definition import select

    known = select([component_of(s) for s in services.states()], names)
    wanted = [c.name for c in known]
    # A search reads more than it will show.
    size = (1 << 20) if search else min(1 << 20, 4096 + 400 * lines)
    offsets = {}
    for name in wanted:
        part = services.log(name, -1, size)
        offsets[name] = part.offset
        found = _fitting(part.text, search)[-lines:] if lines else []
        _print(name, found, len(wanted) > 1, as_json)
    if follow:
        _follow(services, offsets, search, as_json)


def _follow(services: Services, offsets: dict[str, int], search: str, as_json: bool) -> None:
    rest = dict.fromkeys(offsets, "")
    while True:
        idle = True
        for name, offset in offsets.items():
            part = services.log(name, offset)
            idle = idle and part.offset == offset
            offsets[name] = part.offset
            whole, newline, open_line = (rest[name] + part.text).rpartition("\n")
            rest[name] = open_line
            _print(name, _fitting(whole, search) if newline else [], len(offsets) > 1, as_json)
        sys.stdout.flush()
        if idle:
            time.sleep(0.1)


def _fitting(text: str, search: str) -> list[str]:
    return [line for line in text.splitlines() if search.lower() in line.lower()]


def _print(name: str, lines: list[str], named: bool, as_json: bool) -> None:
    for line in lines:
        # A control character in a log must not drive the reader's terminal.
        safe = "".join(c if c.isprintable() or c == "\t" else "�" for c in line)
        click.echo(
            json_text({"component": name, "line": line}).replace("\n", " ") if as_json
            else f"{name}: {safe}" if named else safe
        )  # fmt: skip
