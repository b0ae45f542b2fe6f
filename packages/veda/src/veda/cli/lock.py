"""``veda lock``."""

from __future__ import annotations

from pathlib import Path

import click

from veda._house.command import Command, json_option, note
from veda._house.output import print_record
from veda.cli._options import registry_option


@click.command(cls=Command, epilog="Example: veda lock momentum@~=1.2 --with 'ipykernel>=6' -o veda.lock")
@click.argument("refs", nargs=-1, required=True, metavar="REF...")
@click.option("-o", "--out", default="veda.lock", metavar="FILE", help="Lock file to write.  [default: veda.lock]")
@click.option("--with", "with_", multiple=True, metavar="REQUIREMENT", help="A Python distribution more.")
@click.option("--set", "set_", multiple=True, metavar="NAME=VALUE", help="A variable that the environment sets.")
@click.option("--python", metavar="PATH", help="Interpreter that it is for.")
@click.option("--wheels", metavar="FOLDER", help="Folder of wheels to take distributions from, instead of the index.")
@click.option("-U", "--upgrade", is_flag=True, help="Take the newest of all, whatever FILE holds.")
@click.option(
    "-P", "--upgrade-package", "names", multiple=True, metavar="NAME", help="Take the newest of one that FILE holds."
)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if FILE would be another.")
@registry_option
@json_option
def lock(
    refs: tuple[str, ...],
    out: str,
    with_: tuple[str, ...],
    set_: tuple[str, ...],
    python: str | None,
    wheels: str | None,
    upgrade: bool,
    names: tuple[str, ...],
    check: bool,
    registry: str | None,
    as_json: bool,
) -> int:
    """Find the newest packages and Python distributions that fit together, and write them with their digests.

    What FILE holds already stays where it still fits, until --upgrade or --upgrade-package says otherwise.
    """
    from veda.environment_garbage import remember_lock
    from veda.errors import BadInput
    from veda.lock_environment import lock
    from veda.lock_file import Lock, difference
    from veda.registry import open_registry

    try:
        old = Lock.read(out) if Path(out).exists() else None
    except BadInput:
        if not upgrade:
            raise
        old = None
    made = lock(
        refs,
        requirements=with_,
        variables=pairs(set_),
        python=python,
        wheels=wheels,
        keep=None if upgrade else old,
        upgrade=names,
        registry=registry,
    )
    changes = difference(old, made)
    if not check:
        made.write(out)
        remember_lock(out)
    record = {
        "file": out,
        "digest": made.digest,
        "python": made.python,
        "packages": [str(p) for p in made.packages],
        "distributions": [f"{d.name}=={d.version}" for d in made.distributions],
    }
    print_record(record, as_json=as_json)
    with open_registry(registry) as catalogue:
        back = {str(p): catalogue.yanked(p.name).get(p.version) for p in made.packages}
    for package, reason in back.items():
        if reason is not None:
            note(f"{package} is yanked{f': {reason}' if reason else ''}; -P {package.partition('@')[0]} takes another")
    for change in changes if old else ():
        note(f"{change['kind']} {change['name']}: {change['before'] or 'none'} -> {change['after'] or 'none'}")
    return 1 if check and (old is None or old.digest != made.digest) else 0


def pairs(texts: tuple[str, ...]) -> dict[str, str]:
    """Return ``NAME=VALUE`` texts as a mapping."""
    for text in texts:
        if "=" not in text:
            raise click.UsageError(f"{text!r} is not NAME=VALUE")
    return {name: value for name, _, value in (text.partition("=") for text in texts)}
