from __future__ import annotations

import shlex

import click
import pytest
from tests.conformance.commands import LIBRARIES, every, leaves, root, walk

# Why a command has no flag --json.
HAS_NO_JSON_FLAG = {
    **{f"{library} completion": "prints a script for a shell" for library in LIBRARIES},
    "kyrios worker": "prints nothing but its log: it works until it is stopped",
    "exia call": "prints JSON always; its --json takes the arguments",
}


@pytest.mark.parametrize(("path", "command"), every(walk))
def test_every_command_says_what_it_does(path, command):
    assert (command.help or "").strip(), f"{path} has no help"
    assert command.get_short_help_str(limit=200).endswith((".", "...")) or "\n" in command.help


@pytest.mark.parametrize(("path", "command"), every(leaves))
def test_every_command_has_an_example_of_itself_that_it_would_understand(path, command):
    epilog = command.epilog or ""
    assert epilog.startswith("Example: "), f"{path} has no example in its epilog"
    example = epilog.removeprefix("Example: ").splitlines()[0]
    if path.endswith(" completion"):
        assert f"{path} bash" in example
        return

    words = shlex.split(example.partition(" | ")[0].partition(" && ")[0].partition(" > ")[0], comments=True)
    while "=" in words[0]:  # a variable before the command
        words.pop(0)
    shown = path
    if any(p.name and p.name.endswith(("_id", "_ids")) for p in command.params):
        # Nobody can type an id that he has not seen: such a command may show the one that prints it.
        shown = next((p for p, _ in leaves(path.split()[0]) if words[: len(p.split())] == p.split()), path)
    depth = len(shown.split())

    assert words[:depth] == shown.split(), f"the example of {path} shows another command: {example}"
    ctx = _context(shown)
    ctx.command.make_parser(ctx).parse_args(args=words[depth:])  # an unknown option raises


@pytest.mark.parametrize(("path", "command"), every(walk))
def test_every_option_says_what_it_does(path, command):
    silent = [p.opts[-1] for p in command.params if isinstance(p, click.Option) and not (p.help or "").strip()]

    assert not silent, f"{path}: {', '.join(silent)}"


@pytest.mark.parametrize(("path", "command"), every(leaves))
def test_every_command_that_prints_has_json(path, command):
    if path in HAS_NO_JSON_FLAG:
        return

    flags = [p for p in command.params if isinstance(p, click.Option) and "--json" in p.opts]

    assert [f.is_flag for f in flags] == [True], f"{path} has no flag --json"


@pytest.mark.parametrize(("path", "command"), every(walk))
def test_every_command_takes_quiet_verbose_and_debug(path, command):
    taken = {opt for p in command.params for opt in p.opts}

    assert taken >= {"--quiet", "--verbose", "--debug"}


@pytest.mark.parametrize(("path", "command"), every(walk))
def test_no_option_is_given_twice(path, command):
    names = [opt for p in command.params if isinstance(p, click.Option) for opt in (*p.opts, *p.secondary_opts)]

    assert len(names) == len(set(names)), f"{path}: {sorted(n for n in names if names.count(n) > 1)}"


@pytest.mark.parametrize(("path", "command"), every(leaves))
def test_a_command_that_asks_can_be_told_not_to_ask(path, command):
    taken = {opt for p in command.params for opt in p.opts}

    assert "--yes" not in taken or taken & {"--no-input", "--dry-run"}, f"{path} destroys and has no --dry-run"
    assert not any(getattr(p, "prompt", None) for p in command.params), f"{path} prompts for an option"


@pytest.mark.parametrize(("path", "command"), every(walk))
def test_no_help_holds_an_escape_byte(path, command):
    assert "\x1b" not in command.get_help(_context(path))


def test_the_common_commands_are_everywhere(library):
    assert {"config", "doctor", "completion"} <= set(root(library).list_commands(click.Context(root(library))))


def test_help_is_the_same_for_h_and_help_and_goes_to_stdout(library, place):
    long, short = place.run(library, "--help"), place.run(library, "-h")

    assert long.stdout == short.stdout
    assert long.stdout.startswith(f"Usage: {library} ")
    assert (long.returncode, long.stderr) == (0, "")


def test_a_command_alone_shows_its_help_as_a_usage_error(library, place):
    done = place.run(library)

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"Usage: {library} ")


def test_version_is_the_distributions(library, place):
    from importlib.metadata import version

    name = library if library == "jiyuan" else f"jiyuan-{library}"

    assert place.run(library, "--version").stdout == f"{library}, version {version(name)}\n"


def _context(path):
    names = path.split()
    ctx = click.Context(root(names[0]), info_name=names[0])
    for name in names[1:]:
        command = ctx.command.get_command(ctx, name)  # type: ignore[attr-defined]
        ctx = click.Context(command, parent=ctx, info_name=name)
    return ctx
