"""The behaviour that all commands share: exit codes, errors with hints, ``--json``, doctor, completion."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from time import monotonic
from typing import Any, NoReturn

import click

from .config import Config, Setting, load_config
from .doctor import Check, examine, load_drivers
from .errors import LIBRARY, LibraryError, nearest
from .output import paint, print_records
from .progress import Progress, no_progress
from .version import installed_version

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask before something is destroyed.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be done and change nothing.")
no_input_option = click.option("--no-input", is_flag=True, help="Never ask; fail where an answer is needed.")

_FLAGS = {
    "quiet": "Print results and errors only.",
    "verbose": "Tell more on stderr.",
    "debug": "Show the traceback of an error.",
}


class Command(click.Command):
    """A command that takes ``--quiet``, ``--verbose`` and ``--debug`` after its name as well."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += [_flag(name, text) for name, text in _FLAGS.items()]


class Group(click.Group):
    """A group whose commands are imported when they are used.

    Parameters
    ----------
    lazy
        Where each command is: its name to ``"module:attribute"``.
    """

    command_class = Command

    def __init__(self, *args: Any, lazy: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = dict(lazy or {})
        self.params += [_flag(name, text) for name, text in _FLAGS.items()]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:  # completion parses half a line
            click.echo(ctx.get_help(), err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _reader_may_leave():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _reader_may_leave():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self.commands, *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._lazy and cmd_name not in self.commands:
            module, _, attribute = self._lazy[cmd_name].partition(":")
            self.add_command(getattr(import_module(module), attribute), cmd_name)
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            hint = nearest(args[0], self.list_commands(ctx)) or f"{ctx.command_path} --help"
            raise _Usage(f"{ctx.command_path} has no command {args[0]!r}", hint=hint)
        return super().resolve_command(ctx, args)


Group.group_class = Group


def library_group(help: str, lazy: Mapping[str, str], settings: Sequence[Setting], checks: _Checks) -> Group:
    """Return a library's root command, with the commands that all five have: config, doctor, completion."""
    root = Group(LIBRARY, help=help, lazy=lazy, context_settings={"help_option_names": ["-h", "--help"]})
    root.params.append(
        click.Option(
            ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version."
        )
    )
    root.add_command(_config_group(settings))
    root.add_command(_doctor(settings, checks))
    root.add_command(_completion())
    return root


def run(root: click.Command, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `root` and leave the process with the exit code that the five libraries share."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = root.main(words, prog_name=root.name, standalone_mode=False)
        with _reader_may_leave():
            sys.stdout.flush()
    except click.UsageError as exc:
        command = exc.ctx.command_path if exc.ctx else root.name
        _fail(exc, exc.format_message(), f"{command} --help", 2)
    except click.ClickException as exc:
        _fail(exc, exc.format_message(), None, 2)
    except (KeyboardInterrupt, click.Abort):
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except _ReaderLeft:
        # Python flushes once more on its way out; that must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as exc:
        # Another library's error is no `LibraryError` of ours, but it has the same facts.
        if isinstance(code := getattr(exc, "exit_code", None), int):
            _fail(exc, str(exc), getattr(exc, "hint", None), code)
        if isinstance(exc, OSError):
            code = {PermissionError: 4, FileNotFoundError: 3}.get(type(exc), 1)
            place = f"{exc.filename}: " if exc.filename else ""
            _fail(exc, f"{place}{exc.strerror or exc}", None, code)
        _fail(exc, f"{type(exc).__name__}: {exc}", "run it again with --debug and report what it prints", 1)
    sys.exit(result if isinstance(result, int) else 0)


def note(message: str) -> None:
    """Say `message` on stderr, unless ``--quiet``."""
    if not asked_for("quiet"):
        print(message, file=sys.stderr)


def detail(message: str) -> None:
    """Say `message` on stderr if ``--verbose``."""
    if asked_for("verbose"):
        print(message, file=sys.stderr)


def asked_for(flag: str) -> bool:
    """Tell whether ``quiet``, ``verbose`` or ``debug`` was given, at any place of the command line."""
    context = click.get_current_context(silent=True)
    return bool(context and context.find_root().meta.get(flag))


@contextmanager
def progress(label: str) -> Iterator[Progress]:
    """Give a callback that shows how far `label` is on stderr: a bar on a terminal, a line a second in a log."""
    if asked_for("quiet"):
        yield no_progress
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress as Bar

        # Lines printed meanwhile go above the bar, but a pipe gets its lines untouched.
        with Bar(console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
            task = bar.add_task(label, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
    else:
        said = [monotonic()]

        def say(done: int, total: int) -> None:
            if monotonic() - said[0] >= 1:
                said[0] = monotonic()
                print(f"{label}: {done} of {total}", file=sys.stderr)

        yield say


_Checks = Callable[[Config], Iterable[Check]]


class _Usage(LibraryError):
    """The command line names what does not exist."""

    exit_code = 2


class _ReaderLeft(Exception):
    """Whoever read our standard output has gone, as `head` does."""


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as exc:  # click would make exit code 1 of it
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        if any(event & select.POLLERR for _, event in poll.poll(0)):
            raise _ReaderLeft from exc
        raise ConnectionError(str(exc)) from exc  # some other pipe or socket, and a failure


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"{LIBRARY}, version {installed_version()}")
        ctx.exit()


def _flag(name: str, text: str) -> click.Option:
    def remember(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        if value:
            ctx.find_root().meta[name] = True
            global _debug
            _debug = _debug or name == "debug"

    return click.Option([f"--{name}"], is_flag=True, expose_value=False, callback=remember, is_eager=True, help=text)


_debug = False  # outlives the context, which is gone when an error reaches `run`


def _fail(exc: BaseException, message: str, hint: str | None, code: int) -> NoReturn:
    if _debug:
        import traceback

        traceback.print_exception(exc)
    line = " ".join(message.split())
    print(f"{paint('error:', 'red', sys.stderr)} {line}", file=sys.stderr)
    if hint:
        print(f"{paint('hint:', 'yellow', sys.stderr)} {hint}", file=sys.stderr)
    sys.exit(code)


def _config_group(settings: Sequence[Setting]) -> Group:
    group = Group("config", help="Show the configuration in force.")

    @group.command()
    @click.option("--origin", is_flag=True, help="Show where each value came from.")
    @json_option
    def show(origin: bool, as_json: bool) -> None:
        """Print each setting; a password never shows."""
        config = load_config(settings)
        rows = [{"key": k, "value": config.shown(k), "origin": config.origin(k)} for k in config]
        print_records(rows, ["key", "value", "origin"] if origin else ["key", "value"], as_json=as_json)

    show.epilog = f"Example: {LIBRARY} config show --origin"
    return group


def _doctor(settings: Sequence[Setting], checks: _Checks) -> click.Command:
    @click.command(cls=Command, epilog=f"Example: {LIBRARY} doctor")
    @json_option
    def doctor(as_json: bool) -> int:
        """Check each configured backend and print the fix; exit 6 if one does not answer."""
        config = load_config(settings)
        load_drivers(config)
        findings = examine(checks(config))
        rows = [{**vars(f), "state": "ok" if f.ok else "FAIL"} for f in findings]
        print_records(rows, ["state", "name", "target", "detail"], as_json=as_json)
        for finding in findings:
            if not finding.ok and finding.hint:
                print(f"{paint('hint:', 'yellow', sys.stderr)} {finding.name}: {finding.hint}", file=sys.stderr)
        return 0 if all(f.ok for f in findings) else 6

    return doctor


def _completion() -> click.Command:
    @click.command(cls=Command, epilog=f'Example: eval "$({LIBRARY} completion bash)"')
    @click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
    @click.pass_context
    def completion(ctx: click.Context, shell: str) -> None:
        """Print the completion script for SHELL."""
        from click.shell_completion import get_completion_class

        complete = get_completion_class(shell)
        assert complete is not None
        click.echo(complete(ctx.find_root().command, {}, LIBRARY, f"_{LIBRARY.upper()}_COMPLETE").source())

    return completion
