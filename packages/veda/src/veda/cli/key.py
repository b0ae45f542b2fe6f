"""``veda key``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from veda._house.command import Group, json_option
from veda._house.output import print_record, print_records

if TYPE_CHECKING:
    from veda.keys import Key

key = Group("key", help="Make keys, and say whose signatures you trust.")


@key.command(epilog="Example: veda key new release-desk")
@click.argument("name", default="default")
@json_option
def new(name: str, as_json: bool) -> None:
    """Make the key NAME (Ed25519, without a passphrase) and trust it here."""
    from veda.keys import new_key

    print_record(_facts(new_key(name)), as_json=as_json)


@key.command("list", epilog="Example: veda key list --json")
@json_option
def list_keys(as_json: bool) -> None:
    """List own keys and those that are trusted."""
    from veda.keys import own_keys, trusted

    rows = [_facts(k) for k in [*own_keys(), *trusted()]]
    print_records(rows, ["name", "use", "fingerprint"], as_json=as_json)


@key.command(epilog="Example: veda key export > author.pub")
@click.argument("name", default="default")
@json_option
def export(name: str, as_json: bool) -> None:
    """Print the public half of the own key NAME, for those who are to trust it."""
    from veda.keys import own_key

    key = own_key(name)
    if as_json:
        print_record(_facts(key), as_json=True)
    else:
        print(key.public)


@key.command(epilog="Example: veda key trust alice alice.pub --channel stable")
@click.argument("name")
@click.argument("key", metavar="FILE|TEXT")
@click.option("--channel", default="", metavar="NAME", help="It may move this channel, instead of signing releases.")
@json_option
def trust(name: str, key: str, channel: str, as_json: bool) -> None:
    """Trust a public key as that of NAME; compare its fingerprint with its owner first."""
    from veda.keys import trust

    print_record(_facts(trust(name, key, channel=channel)), as_json=as_json)


@key.command(epilog="Example: veda key revoke alice")
@click.argument("name", metavar="NAME|FINGERPRINT")
@json_option
def revoke(name: str, as_json: bool) -> None:
    """Trust the keys of NAME never again, here."""
    from veda.keys import revoke

    print_records([_facts(k) for k in revoke(name)], ["name", "fingerprint"], as_json=as_json)


def _facts(key: Key) -> dict[str, Any]:
    use = "own" if key.private else f"channel {key.channel}" if key.channel else "releases"
    return {
        "name": key.name,
        "use": "revoked" if key.revoked else use,
        "fingerprint": key.public.fingerprint,
        "public": str(key.public),
        "file": str(key.private) if key.private else None,
    }
