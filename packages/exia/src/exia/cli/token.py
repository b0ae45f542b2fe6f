"""``exia token``: who may call what ``exia serve`` offers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from exia._house.command import Group, dry_run_option, json_option, note
from exia._house.output import print_record, print_records

if TYPE_CHECKING:
    from exia.tokens import Token

token = Group("token", help="Make and end the tokens of exia serve.")

_COLUMNS = ["id", "name", "methods", "created", "expires", "state"]
_days = click.option(
    "--days", type=click.FloatRange(0, min_open=True), default=90, show_default=True, help="Days that it is valid."
)
_forever = click.option("--forever", is_flag=True, help="It never expires.")


@token.command(epilog="Example: exia token create desk --method signal --method 'get_*' --json")
@click.argument("name")
@click.option("--method", "methods", multiple=True, metavar="NAME", help="What it may call; a name or pattern. All.")
@_days
@_forever
@json_option
def create(name: str, methods: tuple[str, ...], days: float, forever: bool, as_json: bool) -> None:
    """Make a token and print it, this once; only its hash is kept.

    From the first one on, exia serve asks every caller for a token: Authorization: Bearer TOKEN.
    """
    from exia.tokens import Tokens

    _print_secret(*Tokens().create(name, methods or ("*",), None if forever else days), as_json)


@token.command("list", epilog="Example: exia token list --json")
@json_option
def list_(as_json: bool) -> None:
    """Print every token, oldest first; the secrets are nowhere."""
    from exia.tokens import Tokens

    print_records([_record(one) for one in Tokens().all().values()], _COLUMNS, as_json=as_json)


@token.command(epilog="Example: exia token rotate 1a2b3c4d --overlap 3600 --json")
@click.argument("id")
@click.option(
    "--overlap",
    type=click.FloatRange(0),
    default=86400,
    show_default=True,
    help="Seconds that the old one lives on.",
)
@_days
@_forever
@json_option
def rotate(id: str, overlap: float, days: float, forever: bool, as_json: bool) -> None:
    """Make a token in the place of ID, with its name and methods."""
    from exia.tokens import Tokens

    _print_secret(*Tokens().rotate(id, overlap=overlap, days=None if forever else days), as_json)


@token.command(epilog="Example: exia token revoke 1a2b3c4d")
@click.argument("id")
@dry_run_option
@json_option
def revoke(id: str, dry_run: bool, as_json: bool) -> None:
    """End a token; every running server refuses it from its next call on."""
    from exia.errors import NotFound
    from exia.tokens import Tokens

    tokens = Tokens()
    if id not in tokens.all():
        raise NotFound(f"there is no token {id!r}", hint="exia token list")
    print_record(_record(tokens.all()[id] if dry_run else tokens.revoke(id)), as_json=as_json)


def _print_secret(made: Token, text: str, as_json: bool) -> None:
    if as_json:
        print_record({"token": text, **_record(made)}, as_json=True)
    else:
        click.echo(text)
        note(f"keep it: it is not shown again; end it with: exia token revoke {made.id}")


def _record(one: Token) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "methods": list(one.methods),
        "created": _text(one.created),
        "expires": None if one.expires is None else _text(one.expires),
        "state": "valid" if one.valid else "ended",
    }


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
