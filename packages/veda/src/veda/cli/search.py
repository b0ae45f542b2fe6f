"""``veda search`` and ``veda query``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from veda._house.command import Command, json_option
from veda._house.output import print_records
from veda.cli._options import open_catalogue, registry_option, remote_option

_OPTIONS = (
    click.option("--name", default="", help="Its name; * stands for any characters. Without a * all versions count."),
    click.option("--method", default="", help="A method that it offers."),
    click.option("--parameter", default="", help="A parameter that its constructor takes."),
    click.option("--tag", default="", help="A tag that points to it."),
    click.option("--author", default="", help="Who wrote it."),
    click.option("--uses", default="", metavar="NAME", help="A distribution or package that it requires."),
    click.option("--since", default="", metavar="DATE", help="Published on this day or later."),
    click.option("--until", default="", metavar="DATE", help="Published on this day or earlier."),
    click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many to show."),
)


def _with_options(function: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command(cls=Command, epilog="Example: veda search momentum --uses numpy --json")
@click.argument("text", nargs=-1)
@_with_options
@remote_option
@registry_option
@json_option
def search(text: tuple[str, ...], registry: str | None, remote: bool, as_json: bool, **asked: Any) -> None:
    """Find releases by the words of TEXT and by facts, the latest first; all that is given must fit."""
    _print(" ".join(text), asked, registry, remote, as_json)


@click.command(cls=Command, epilog="Example: veda query --method signal --uses numpy --since 2026-01-01")
@_with_options
@remote_option
@registry_option
@json_option
def query(registry: str | None, remote: bool, as_json: bool, **asked: Any) -> None:
    """Find releases by their facts: who offers this method, who uses that distribution."""
    _print("", asked, registry, remote, as_json)


def _print(text: str, asked: dict[str, Any], registry: str | None, remote: bool, as_json: bool) -> None:
    from veda.registry.port import Query

    with open_catalogue(registry, remote) as catalogue:
        found = catalogue.search(Query(text, **asked))
    rows = [
        {
            "name": r.name,
            "version": r.version,
            "published_at": r.published_at,
            "digest": r.digest,
            "summary": r.facts.get("summary", ""),
        }
        for r in found
    ]
    print_records(rows, ["name", "version", "published_at", "summary"], as_json=as_json)
