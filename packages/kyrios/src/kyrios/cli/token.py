"""``kyrios token``: who may call what ``kyrios serve`` offers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from kyrios._house.command import Group, dry_run_option, json_option, note
from kyrios._house.output import print_record, print_records

if TYPE_CHECKING:
    from kyrios.serving.tokens import Token

token = Group("token", help="Make and end the tokens of kyrios serve.")

_COLUMNS = ["id", "name", "scopes", "created", "expires", "state"]
_days = click.option(
    "--days", type=click.FloatRange(0, min_open=True), default=90, show_default=True, help="Days that it is valid."
)
_forever = click.option("--forever", is_flag=True, help="It never expires.")


@token.command(epilog="Example: kyrios token create desk --scope read --scope run --json")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["read", "run", "render"]),
    help="What it may do; may be repeated. All if not given.",
)
@_days
@_forever
@json_option
def create(name: str, scopes: tuple[str, ...], days: float, forever: bool, as_json: bool) -> None:
    """Make a token and print it, this once; only its hash is kept.

    From the first one on, kyrios serve asks every caller for a token: Authorization: Bearer TOKEN.
    """
    from kyrios.serving.tokens import Tokens

    _print_secret(*Tokens().create(name, scopes or ("read", "run", "render"), None if forever else days), as_json)


@token.command("list", epilog="Example: kyrios token list --json")
@json_option
def list_(as_json: bool) -> None:
    """Print every token, oldest first; the secrets are nowhere."""
    from kyrios.serving.tokens import Tokens

    print_records([_record(one) for one in Tokens().all().values()], _COLUMNS, as_json=as_json)


@token.command(epilog="Example: kyrios token rotate 1a2b3c4d --overlap 3600 --json")
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
    """Make a token in the place of ID, with its name and scopes."""
    from kyrios.serving.tokens import Tokens

    _print_secret(*Tokens().rotate(id, overlap=overlap, days=None if forever else days), as_json)


@token.command(epilog="Example: kyrios token revoke 1a2b3c4d")
@click.argument("id")
@dry_run_option
@json_option
def revoke(id: str, dry_run: bool, as_json: bool) -> None:
    """End a token; every running server refuses it from its next call on."""
    from kyrios.errors import NotFound
    from kyrios.serving.tokens import Tokens

    tokens = Tokens()
    if id not in tokens.all():
        raise NotFound(f"there is no token {id!r}", hint="kyrios token list")
    print_record(_record(tokens.all()[id] if dry_run else tokens.revoke(id)), as_json=as_json)


def _print_secret(made: Token, text: str, as_json: bool) -> None:
    if as_json:
        print_record({"token": text, **_record(made)}, as_json=True)
    else:
        click.echo(text)
        note(f"keep it: it is not shown again; end it with: kyrios token revoke {made.id}")


def _record(one: Token) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "scopes": list(one.scopes),
        "created": _text(one.created),
        "expires": None if one.expires is None else _text(one.expires),
        "state": "valid" if one.valid else "ended",
    }


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
