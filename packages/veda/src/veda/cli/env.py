"""``veda env``: environments of this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from veda._house.command import Group, dry_run_option, json_option, note, yes_option
from veda._house.output import print_record, print_records
from veda.cli._options import registry_option

if TYPE_CHECKING:
    from veda.environment_model import Generation

_store_option = click.option("--store", metavar="URL", help="Store to use instead of the configured one.")
_wheels_option = click.option("--wheels", metavar="FOLDER", help="Folder of wheels, instead of the package index.")
_activation_option = click.option("--activation", metavar="URL", help="shell:// or modules://.")
_shell_option = click.option("--shell", type=click.Choice(["bash", "zsh", "fish"]), help="Shell that will read it.")


@click.group(cls=Group)
def env() -> None:
    """Make environments, enter and leave them, go back to earlier ones."""


@env.command(epilog="Example: veda env create research momentum@~=1.2")
@click.argument("name")
@click.argument("refs", nargs=-1, metavar="[REF...]")
@click.option("--lock", "lock_", metavar="FILE", help="Lock to make it of, instead of REFs.")
@click.option("--template", metavar="REF", help="Template to make it of, instead of REFs.")
@click.option("--from", "from_", metavar="URL", help="Store to pull the template from.")
@click.option("--python", metavar="PATH", help="Interpreter to use.")
@click.option("--no-switch", is_flag=True, help="Leave the current generation as it is.")
@_wheels_option
@_store_option
@registry_option
@json_option
def create(
    name: str,
    refs: tuple[str, ...],
    lock_: str | None,
    template: str | None,
    from_: str | None,
    python: str | None,
    no_switch: bool,
    wheels: str | None,
    store: str | None,
    registry: str | None,
    as_json: bool,
) -> None:
    """Make the next generation of the environment NAME, and switch to it.

    It holds what a lock, a template or REFs say; a generation that holds just that is used again.
    """
    from veda.environment import create_environment
    from veda.lock_file import Lock

    if sum(map(bool, (refs, lock_, template))) != 1:
        raise click.UsageError("give REFs, --lock or --template")
    what: Any = refs
    if lock_:
        what = Lock.read(lock_)
    elif template:
        from veda.environment_template import template_lock

        what = template_lock(template, from_=from_, registry=registry)
    done = create_environment(
        name, what, python=python, wheels=wheels, switch=not no_switch, store=store or from_, registry=registry
    )
    print_record({**_record(done.generation), "made": done.made, "switched": done.switched}, as_json=as_json)


@env.command(epilog="Example: veda env load research --shell bash")
@click.argument("name")
@_activation_option
@_shell_option
@json_option
def load(name: str, activation: str | None, shell: str | None, as_json: bool) -> None:
    """Print the line that loads the environment NAME, or NAME@GENERATION, into the shell that evaluates it.

    In bash and zsh that is eval "$(veda env load NAME)", in fish veda env load NAME | source.
    """
    from veda.activation import open_activation
    from veda.environment import find_generation

    shell = shell or _shell()
    _say(open_activation(activation).load_command(find_generation(name), shell), shell, as_json)
    if os.isatty(1):
        note(f'nothing is loaded yet; type: eval "$(veda env load {name})"')


@env.command(epilog="Example: veda env unload --shell bash")
@_activation_option
@_shell_option
@json_option
def unload(activation: str | None, shell: str | None, as_json: bool) -> None:
    """Print the line that unloads what is loaded, and leaves no trace."""
    from veda.activation import open_activation

    shell = shell or _shell()
    _say(open_activation(activation).unload_command(shell), shell, as_json)


@env.command("list", epilog="Example: veda env list --json")
@json_option
def list_environments(as_json: bool) -> None:
    """List environments with their current generation."""
    from veda.environment import environments

    rows = [_record(g) for g in environments()]
    print_records(rows, ["environment", "generation", "packages", "created_at", "by"], as_json=as_json)


@env.command(epilog="Example: veda env show research --json")
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """List the generations of an environment, or show what NAME@GENERATION holds."""
    from veda.environment import find_generation, generations

    if "@" in name:
        found = find_generation(name)
        record = _record(found) | {
            "distributions": [f"{d.name}=={d.version}" for d in found.lock.distributions],
            "requests": list(found.lock.requests),
            "variables": dict(found.set),
            "python": str(found.python),
        }
        print_record(record, as_json=as_json)
        return
    current = find_generation(name).number
    rows = [{**_record(g), "current": "*" if g.number == current else ""} for g in generations(name)]
    print_records(rows, ["current", "generation", "packages", "lock", "created_at", "by"], as_json=as_json)


@env.command(epilog="Example: veda env diff research@1 research@2")
@click.argument("before")
@click.argument("after")
@json_option
def diff(before: str, after: str, as_json: bool) -> int:
    """List what changes from BEFORE to AFTER; exit 1 if anything does."""
    from veda.environment import diff_environments

    rows = diff_environments(before, after)
    print_records(rows, ["kind", "name", "before", "after"], as_json=as_json)
    return 1 if rows else 0


@env.command(epilog="Example: veda env rollback research")
@click.argument("name")
@click.option("--to", type=click.IntRange(1), metavar="NUMBER", help="Generation to go to, by default the one before.")
@json_option
def rollback(name: str, to: int | None, as_json: bool) -> None:
    """Go back to an earlier generation; processes that run keep the one they have."""
    from veda.environment import rollback_environment

    print_record(_record(rollback_environment(name, to)), as_json=as_json)


@env.command(epilog="Example: veda env export research --format requirements")
@click.argument("name")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["lock", "requirements", "script", "modulefile", "kernel"]),
    default="lock",
    show_default=True,
    help="What to write.",
)
@click.option("-o", "--out", metavar="FILE", help="File to write, instead of stdout.")
@_shell_option
@json_option
def export(name: str, format_: str, out: str | None, shell: str | None, as_json: bool) -> None:
    """Write an environment as a lock, a requirements file, an activation script, a modulefile or a Jupyter kernel."""
    from veda._house.files import write_durably
    from veda.environment import find_generation
    from veda.environment_export import exported

    data = exported(find_generation(name), format_, shell or _shell())
    if out:
        write_durably(Path(out), data)
    elif as_json:
        print_record({"format": format_, "content": data.decode()}, as_json=True)
    else:
        click.echo(data, nl=False)


@env.command(epilog="Example: veda env remove research@1 --yes")
@click.argument("name")
@yes_option
@dry_run_option
@json_option
def remove(name: str, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Remove a generation NAME@GENERATION, or an environment with all its generations."""
    from veda.environment import find_generation, generations, remove_environment

    if not yes and not dry_run:
        raise click.UsageError(f"this removes {name} for good; say --yes, or --dry-run to see what goes")
    would = [find_generation(name)] if "@" in name else generations(name)
    rows = [_record(g) for g in (would if dry_run else remove_environment(name))]
    print_records(rows, ["environment", "generation", "packages"], as_json=as_json)


@env.command(epilog="Example: veda env repair research")
@click.argument("name")
@_wheels_option
@_store_option
@json_option
def repair(name: str, wheels: str | None, store: str | None, as_json: bool) -> None:
    """Compare an environment with its lock, byte for byte, and mend what differs."""
    from veda.environment import repair_environment

    rows = [{"mended": text} for text in repair_environment(name, store=store, wheels=wheels)]
    print_records(rows, ["mended"], as_json=as_json)


@env.command(epilog="Example: veda env clean --keep 3 --dry-run")
@click.option("--keep", type=click.IntRange(0), metavar="N", help="Also remove all but N generations and the current.")
@dry_run_option
@json_option
def clean(keep: int | None, dry_run: bool, as_json: bool) -> None:
    """Remove trees and sites that no environment, lock, tag or running process holds."""
    from veda.environment_garbage import collect

    rows = [{"kind": g.kind, "path": str(g.path), "size": g.size} for g in collect(keep=keep, dry_run=dry_run)]
    print_records(rows, ["kind", "size", "path"], as_json=as_json)


@env.command(epilog="Example: veda env avail --json")
@_activation_option
@registry_option
@json_option
def avail(activation: str | None, registry: str | None, as_json: bool) -> None:
    """List what can be loaded here, and the templates that environments can be made of."""
    from veda.activation import open_activation
    from veda.environment_template import templates

    rows: list[dict[str, Any]] = [
        {"kind": "environment", "name": f"{a['environment']}@{a['generation']}", "current": "*" if a["current"] else ""}
        for a in open_activation(activation).available()
    ]
    rows += [{"kind": "template", "name": str(r), "current": ""} for r in templates(registry=registry)]
    print_records(rows, ["kind", "name", "current"], as_json=as_json)


@env.command(epilog="Example: veda env loaded --json")
@json_option
def loaded(as_json: bool) -> None:
    """Show what is loaded in the shell that asks, by either way."""
    name, number = os.environ.get("VEDA_ENV"), os.environ.get("VEDA_ENV_GENERATION")
    by_module = f"{name}/{number}" in os.environ.get("LOADEDMODULES", "").split(":")
    row = {
        "environment": name,
        "generation": int(number) if number and number.isdigit() else None,
        "by": "modules" if by_module else "shell",
        "lock": os.environ.get("VEDA_LOCK"),
    }
    print_records([row] if name else [], ["environment", "generation", "by", "lock"], as_json=as_json)


@env.command(epilog="Example: veda env upload research --version 1.0")
@click.argument("name")
@click.option("--version", metavar="VERSION", help="Version of the template, by default the generation's number.")
@click.option("--license", default="Apache-2.0", show_default=True, metavar="SPDX", help="Its licence.")
@click.option("--to", metavar="URL", help="Store to use instead of the configured one.")
@registry_option
@json_option
def upload(name: str, version: str | None, license: str, to: str | None, registry: str | None, as_json: bool) -> None:
    """Publish an environment's lock as a template NAME-env, to the registry and the store."""
    from dataclasses import asdict

    from veda.environment_template import upload_template

    print_record(asdict(upload_template(name, version, license=license, to=to, registry=registry)), as_json=as_json)


def _record(generation: Generation) -> dict[str, Any]:
    return {
        "environment": generation.environment,
        "generation": generation.number,
        "lock": generation.lock.digest,
        "packages": [str(p) for p in generation.lock.packages],
        "path": str(generation.path),
        "created_at": generation.created_at,
        "by": generation.by,
    }


def _say(line: str, shell: str, as_json: bool) -> None:
    if as_json:
        print_record({"shell": shell, "command": line}, as_json=True)
    else:
        click.echo(line)


def _shell() -> str:
    """Return the shell that called, or that the user logs in to."""
    try:
        called = Path(f"/proc/{os.getppid()}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        called = ""
    for name in (called, Path(os.environ.get("SHELL", "")).name):
        if name in ("bash", "zsh", "fish"):
            return name
    return "bash"
