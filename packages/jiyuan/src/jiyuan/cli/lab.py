"""``jiyuan lab``: JupyterHub and MLflow on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jiyuan._house.command import Command, Group, detail, json_option, note
from jiyuan._house.output import print_record
from ptolemy.cli import logs as _logs
from ptolemy.cli import services as _services

if TYPE_CHECKING:
    from jiyuan.lab import Lab

_PORT = click.IntRange(1, 65535)


@click.group(cls=Group, help="Notebooks for the team (JupyterHub), and MLflow beside them, on this machine.")
def lab() -> None:
    """Hold the commands of the lab together."""


@lab.command(cls=Command, epilog="Example: jiyuan lab up --port 8400")
@click.option("--port", type=_PORT, help="Port for browsers, instead of the setting lab_port.")
@click.option("--tracker-port", type=_PORT, help="Port of MLflow, instead of the setting lab_tracker_port.")
@json_option
def up(port: int | None, tracker_port: int | None, as_json: bool) -> None:
    """Start the lab, and return when it answers; it runs on. What runs already is left alone.

    Everything listens on 127.0.0.1. The first start makes a password for all users, in a file that is
    yours alone to read. A start that was killed goes on with the same command.
    """
    from jiyuan.lab.programs import mirror

    with _opened() as held:
        started = held.up(
            port, tracker_port, said=lambda s: detail(f"{s.component}: {s.state}{f' ({s.reason})' if s.reason else ''}")
        )
        place = held.place
        ports = place.ports()
    assert ports is not None
    told = {"url": started.url, "tracker": started.tracker, "password_file": str(place.password)}
    told["mirror"] = mirror(ports)
    if as_json:
        print_record(told, as_json=True)
        return
    click.echo(f"lab      {started.url}")
    click.echo(f"tracker  {started.tracker}")
    if started.is_new:
        note(f"whoever signs in, under any name, gives the password in {place.password}")
        note(f'runs outside of notebooks are copied to the tracker with: [exia] mirror = "{told["mirror"]}"')


@lab.command(cls=Command, epilog="Example: jiyuan lab down")
@json_option
def down(as_json: bool) -> None:
    """Stop the lab and the servers of its users; notebooks, runs and the password stay."""
    with _opened() as held:
        states = held.down()
    _services.print_states(states, as_json, "no lab was started here; start one: jiyuan lab up")


@lab.command(cls=Command, epilog="Example: jiyuan lab status --json")
@json_option
def status(as_json: bool) -> int:
    """Print the state of the lab's programs; exit code 1 if one that should run does not."""
    with _opened() as held:
        states = held.states()
    _services.print_states(states, as_json, "no lab was started here; start one: jiyuan lab up")
    return _services.verdict(states)


@lab.command(cls=Command, epilog="Example: jiyuan lab logs hub --lines 20 --search error")
@click.argument("names", nargs=-1)
@click.option("--lines", type=click.IntRange(0), default=50, show_default=True, help="Last lines of each program.")
@click.option("--search", default="", metavar="TEXT", help="Only lines with this text, in any case.")
@click.option("--follow", is_flag=True, help="Go on with what is said, until Ctrl-C.")
@json_option
def logs(names: tuple[str, ...], lines: int, search: str, follow: bool, as_json: bool) -> None:
    """Print what the programs NAMES (proxy, hub, tracker) say, of all if none is named."""
    with _opened() as held:
        _logs.show(held.services, names, lines, search, follow, as_json)


def _opened() -> Lab:
    from jiyuan.lab import Lab

    return Lab()
