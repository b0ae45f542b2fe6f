"""Every command with its arguments, options and example, as click knows them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module

import click
from scripts.reference.markdown import cell, code, fence, table

#: Every command takes these; they are said once.
COMMON = ("quiet", "verbose", "debug", "help")


def root_of(library: str) -> click.Group:
    """Return the library's root command."""
    root = import_module(f"{library}.cli").root
    assert isinstance(root, click.Group)
    return root


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Give each command below `group` with its full name, in the order of the names."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


def section(library: str) -> list[str]:
    """Return the section of the page of `library` that lists its commands."""
    lines = [
        "## Commands",
        "",
        "Every command takes `--quiet`, `--verbose`, `--debug` and `--help`, after its name or before. Results go to",
        f"stdout, everything else to stderr. `{library} --version` prints the version.",
        "",
    ]
    for path, command in commands(root_of(library), library):
        lines += _command(path, command)
    return lines


def _command(path: str, command: click.Command) -> list[str]:
    lines = [f"### `{path}`", "", *_help(command), ""]
    if isinstance(command, click.Group):
        names = [code(f"{path} {name}") for name in command.list_commands(click.Context(command))]
        return [*lines, f"Has {', '.join(names)}.", ""]
    lines += fence(f"{path} {' '.join(command.collect_usage_pieces(click.Context(command)))}", "text")
    rows = [
        (", ".join(code(word) for word in (*option.opts, *option.secondary_opts)), _takes(option), option.help or "")
        for option in options(command)
    ]
    if rows:
        lines += table(["option", "takes", "does"], rows)
    example = (command.epilog or "").removeprefix("Example:").strip()
    return [*lines, *(fence(f"$ {example}", "console") if example else [])]


def options(command: click.Command) -> list[click.Option]:
    """Return the options of a command, without those that every command has."""
    return [p for p in command.params if isinstance(p, click.Option) and p.name not in COMMON]


def _help(command: click.Command) -> list[str]:
    return [line.rstrip() for line in inspect.cleandoc(command.help or "").replace("\b", "").split("\n")]


def _takes(option: click.Option) -> str:
    if option.is_flag:
        return "-"
    if isinstance(option.type, click.Choice):
        words = ", ".join(code(choice) for choice in option.type.choices)
    else:
        words = code(option.metavar or option.type.name.upper())
    default = option.default
    shown = (
        ""
        if default in (None, "", ()) or callable(default) or "UNSET" in repr(default)
        else f", default {code(default)}"
    )
    return cell(words + shown + (", may be repeated" if option.multiple else ""))
