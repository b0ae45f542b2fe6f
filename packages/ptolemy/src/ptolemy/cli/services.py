"""``ptolemy up``, ``down``, ``restart``, ``status`` and ``ps``: the components of the centre."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from ptolemy._house.command import Command, detail, dry_run_option, json_option, note
from ptolemy._house.output import print_records

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ptolemy.services import Component, Services, State

_names = click.argument("names", nargs=-1)
services_option = click.option(
    "--services", "url", metavar="URL", help="What keeps them, such as process:///srv/centre."
)


@click.command(cls=Command, epilog="Example: ptolemy up api")
@_names
@services_option
@json_option
def up(names: tuple[str, ...], url: str | None, as_json: bool) -> None:
    """Start the components NAMES, and what they depend on; all of jiyuan.toml if none is named.

    It returns when each is ready; they run on. One that runs is left alone, unless its definition has
    changed. After the keeper was killed it finds what runs and starts nothing twice.
    """
    with opened(url) as services:
        print_states(services.up(names, said=_say), as_json)


@click.command(cls=Command, epilog="Example: ptolemy down")
@_names
@services_option
@dry_run_option
@json_option
def down(names: tuple[str, ...], url: str | None, dry_run: bool, as_json: bool) -> None:
    """Stop the components NAMES, and what depends on them before them; all if none is named."""
    with opened(url) as services:
        if dry_run:
            from ptolemy.services.definition import select, with_dependants

            found = {s.component: s for s in services.states()}
            known = [component_of(s) for s in found.values()]
            chosen = with_dependants(known, select(known, names))
            print_states([found[c.name] for c in reversed(chosen) if found[c.name].pid], as_json)
            return
        print_states(services.down(names, said=_say), as_json)


@click.command(cls=Command, epilog="Example: ptolemy restart collectors")
@_names
@services_option
@json_option
def restart(names: tuple[str, ...], url: str | None, as_json: bool) -> None:
    """Start the components NAMES again, one after the other, each when the one before is ready.

    If one does not become ready, those after it run on untouched.
    """
    with opened(url) as services:
        print_states(services.restart(names, said=_say), as_json)


@click.command(cls=Command, epilog="Example: ptolemy status --json")
@_names
@services_option
@json_option
def status(names: tuple[str, ...], url: str | None, as_json: bool) -> int:
    """Print the state of the components; exit code 1 if one that should run does not."""
    with opened(url) as services:
        states = _chosen(services, names)
    print_states(states, as_json)
    return verdict(states)


@click.command(cls=Command, epilog="Example: ptolemy ps")
@_names
@services_option
@json_option
def ps(names: tuple[str, ...], url: str | None, as_json: bool) -> None:
    """Print the processes of the components that run: pid, processor, memory, threads, command.

    CPU is in percent of one processor, RSS in bytes, both with the children's.
    """
    with opened(url) as services:
        rows = [
            {
                "component": s.component, "node": s.node, "pid": s.pid, "cpu": round(s.cpu * 100, 1), "rss": s.rss,
                "threads": s.threads, "seconds": round(time.time() - s.since), "command": s.command,
            }
            for s in _chosen(services, names)
            if s.pid is not None
        ]  # fmt: skip
    print_records(rows, ["component", "pid", "cpu", "rss", "threads", "seconds", "command"], as_json=as_json)


def opened(url: str | None) -> Services:
    """Open the services of this project, with the components of its jiyuan.toml."""
    from ptolemy.services import find_definition, open_services, read_components

    components = read_components(find_definition())
    services = open_services(url)
    services.configure(components)
    return services


def verdict(states: Iterable[State]) -> int:
    """Return the exit code that `states` deserve: 1 if one that should run does not."""
    bad = [s for s in states if s.state not in ("running", "stopped") and not (s.state == "exited" and s.code == 0)]
    return 1 if bad else 0


def _chosen(services: Services, names: Iterable[str]) -> list[State]:
    from ptolemy.services.definition import select

    states = services.states()
    wanted = {c.name for c in select([component_of(s) for s in states], names)}
    return [s for s in states if s.component in wanted]


def component_of(state: State) -> Component:
    from ptolemy.services import Component

    return Component(state.component, (), state.depends_on, state.group)


def _say(state: State) -> None:
    detail(f"{state.component}: {state.state}{f' ({state.reason})' if state.reason else ''}")


_NONE = "jiyuan.toml defines no component; write a section [services.NAME]"


def print_states(states: list[State], as_json: bool, empty: str = _NONE) -> None:
    """Print a table of states, or JSON; `empty` is said where there are none."""
    from ptolemy.services.port import record

    rows = [record(s) for s in states]
    for row, state in zip(rows, states, strict=True):
        row["reason"] = state.reason or ("its definition has changed: ptolemy up" if state.changed else "")
        if not as_json:
            row["since"] = (row["since"] or "").partition(".")[0] or None
            row["age"] = None if state.age is None else f"{state.age:.0f} s"
    print_records(rows, ["component", "state", "since", "restarts", "pid", "age", "reason"], as_json=as_json)
    if not rows and not as_json:
        note(empty)
