"""``ptolemy token``: who may ask the service."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from ptolemy._house.command import Group, dry_run_option, json_option, note
from ptolemy._house.output import print_record, print_records

if TYPE_CHECKING:
    from ptolemy.http.tokens import Token

token = Group("token", help="Make and end the tokens of the service.")

_COLUMNS = ["id", "name", "scopes", "rate", "created", "expires", "state"]
_days = click.option(
    "--days", type=click.FloatRange(0, min_open=True), default=90, show_default=True, help="Days that it is valid."
)


@token.command(epilog="Example: ptolemy token create research --scope daily --scope adj_factor --rate 500")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="NAME",
    help="Interface, pattern such as index_*, or web for the page; all if absent.",
)
@click.option("--rate", type=click.IntRange(0), default=500, show_default=True, help="Calls a minute; 0 is any number.")
@_days
@click.option("--forever", is_flag=True, help="It never expires.")
@json_option
def create(name: str, scopes: tuple[str, ...], rate: int, days: float, forever: bool, as_json: bool) -> None:
    """Make a token and print it, this once; only its hash is kept.

    Give it to programs by PTOLEMY_TOKEN, or store it with ptolemy token use.
    """
    from ptolemy.http.running import open_tokens
    from ptolemy.http.scopes import check_scopes

    made, text = open_tokens().create(name, check_scopes(scopes or ("*",)), rate, _end(days, forever))
    _print_secret(made, text, as_json)


@token.command("list", epilog="Example: ptolemy token list --json")
@json_option
def list_(as_json: bool) -> None:
    """Print every token, oldest first; the secrets are nowhere."""
    from ptolemy.http.running import open_tokens

    print_records([_record(t) for t in open_tokens().all().values()], _COLUMNS, as_json=as_json)


@token.command(epilog="Example: ptolemy token rotate 1a2b3c4d --overlap 3600")
@click.argument("id")
@click.option(
    "--overlap",
    type=click.FloatRange(0),
    default=86400,
    show_default=True,
    help="Seconds that the old one stays valid.",
)
@_days
@click.option("--forever", is_flag=True, help="The new one never expires.")
@json_option
def rotate(id: str, overlap: float, days: float, forever: bool, as_json: bool) -> None:
    """Make a token in the place of ID, with its name, scopes and rate."""
    from ptolemy.http.running import open_tokens

    made, text = open_tokens().rotate(id, overlap, _end(days, forever))
    _print_secret(made, text, as_json)


@token.command(epilog="Example: ptolemy token revoke 1a2b3c4d")
@click.argument("id")
@dry_run_option
@json_option
def revoke(id: str, dry_run: bool, as_json: bool) -> None:
    """End a token; every running service refuses it from its next call on."""
    from ptolemy.errors import NotFound
    from ptolemy.http.running import open_tokens

    tokens = open_tokens()
    if id not in tokens.all():
        raise NotFound(f"there is no token {id!r}", hint="ptolemy token list")
    print_record(_record(tokens.all()[id] if dry_run else tokens.revoke(id)), as_json=as_json)


@token.command(epilog="Example: ptolemy token use < token.txt")
@click.argument("file", type=click.File(), default="-")
@json_option
def use(file: Any, as_json: bool) -> None:
    """Keep the token in FILE, by default standard input, as the one that pt.api() sends."""
    from ptolemy.client import set_token

    if file is sys.stdin and sys.stdin.isatty():
        note("paste the token and press Enter, then Ctrl-D")
    print_record({"token": str(set_token(file.read().strip()))}, as_json=as_json)


def _end(days: float, forever: bool) -> float | None:
    return None if forever else time.time() + days * 86400


def _print_secret(made: Token, text: str, as_json: bool) -> None:
    if as_json:
        print_record({"token": text, **_record(made)}, as_json=True)
    else:
        click.echo(text)
        note(f"keep it: it is not shown again; end it with: ptolemy token revoke {made.id}")


def _record(made: Token) -> dict[str, Any]:
    return {
        "id": made.id,
        "name": made.name,
        "scopes": list(made.scopes),
        "rate": made.rate,
        "created": _text(made.created),
        "expires": None if made.expires is None else _text(made.expires),
        "state": "ended" if made.expired() else "valid",
    }


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
