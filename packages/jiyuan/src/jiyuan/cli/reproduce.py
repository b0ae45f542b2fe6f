"""``jiyuan reproduce`` and ``jiyuan export``."""

from __future__ import annotations

from pathlib import Path

import click

from jiyuan._house.command import Command, detail, json_option
from jiyuan._house.output import json_text, paint, print_record


@click.command(cls=Command, epilog="Example: jiyuan reproduce run.zip --json")
@click.argument("run")
@json_option
def reproduce(run: str, as_json: bool) -> int:
    """Run a flow's RUN, or an archive of one, again and compare every table byte by byte.

    The exit code is 0 if all are equal, and 1 if one differs or anything is not what the record says; then the
    first difference and its likely cause are printed.
    """
    from jiyuan.reproduction import reproduce as proven

    found = proven(run)
    if as_json:
        print(json_text(found.to_dict()))
    else:
        first, *others = str(found).splitlines()
        word, _, rest = first.partition(":")
        print(f"{paint(word, 'green' if found.equal else 'red')}:{rest}", *others, sep="\n")
        detail(f"{found.seconds:.2f} s")
    return 0 if found.equal else 1


@click.command(cls=Command, epilog="Example: jiyuan export 7a1f3c -o run.zip")
@click.argument("run")
@click.option("-o", "--out", type=click.Path(dir_okay=False, path_type=Path), help="The archive.")
@json_option
def export(run: str, out: Path | None, as_json: bool) -> None:
    """Put everything that a flow's RUN was made of into one archive, for `jiyuan reproduce` anywhere."""
    from jiyuan.reproduction import export as exported

    path = exported(run, out)
    print_record({"archive": str(path), "bytes": path.stat().st_size}, as_json=as_json)
