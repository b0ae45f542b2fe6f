"""``veda channel``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from veda._house.command import Group, json_option
from veda._house.output import print_record, print_records
from veda.cli._options import store_option

if TYPE_CHECKING:
    from veda.channels import Channel

channel = Group("channel", help="Signed lists of releases, such as stable.")
_expires = click.option(
    "--expires", type=float, default=30.0, show_default=True, metavar="DAYS", help="Good for so long."
)


@channel.command("list", epilog="Example: veda channel list --json")
@store_option
@json_option
def list_channels(store: str | None, as_json: bool) -> None:
    """List the channels of a store, without judging them."""
    from veda.channels import channel_names
    from veda.store import open_store

    with open_store(store) as opened:
        names = channel_names(opened)
    print_records([{"name": n} for n in names], ["name"], as_json=as_json)


@channel.command(epilog="Example: veda channel show stable")
@click.argument("name")
@store_option
@json_option
def show(name: str, store: str | None, as_json: bool) -> None:
    """Verify a channel and list its releases."""
    from veda.channels import read_channel
    from veda.store import open_store

    with open_store(store) as opened:
        _print(read_channel(name, opened, store), as_json)


@channel.command(epilog="Example: veda channel promote momentum@1.2.0 --to stable")
@click.argument("refs", nargs=-1, metavar="[REF]...")
@click.option("--to", required=True, metavar="NAME", help="The channel to put it into; made if there is none.")
@click.option("--from", "from_", metavar="NAME", help="Take the releases that this channel names.")
@click.option("--endorse", is_flag=True, help="Sign the releases too, so that readers need trust no author's key.")
@_expires
@store_option
@json_option
def promote(
    refs: tuple[str, ...], to: str, from_: str | None, endorse: bool, expires: float, store: str | None, as_json: bool
) -> None:
    """Put the releases REF into a channel, all in one move, and sign the channel's new state.

    With --from and no REF all that the other channel names.
    """
    from veda.channels import promote

    _print(promote(refs, to, from_=from_, endorse=endorse, store=store, expires=expires), as_json)


@channel.command(epilog="Example: veda channel withdraw momentum --from stable")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--from", "from_", required=True, metavar="CHANNEL", help="The channel to take them out of.")
@_expires
@store_option
@json_option
def withdraw(names: tuple[str, ...], from_: str, expires: float, store: str | None, as_json: bool) -> None:
    """Take packages out of a channel and sign the channel's new state; who pulled them keeps them."""
    from veda.channels import withdraw

    _print(withdraw(names, from_, store=store, expires=expires), as_json)


@channel.command(epilog="Example: veda channel renew stable --expires 7")
@click.argument("name")
@_expires
@store_option
@json_option
def renew(name: str, expires: float, store: str | None, as_json: bool) -> None:
    """Sign a channel again as it is, before it expires."""
    from veda.channels import renew

    _print(renew(name, store=store, expires=expires), as_json)


def _print(channel: Channel, as_json: bool) -> None:
    facts = {
        "channel": channel.name,
        "sequence": channel.sequence,
        "moved_at": channel.moved_at,
        "expires_at": channel.expires_at,
        "signed_by": channel.signed_by,
    }
    releases = {n: {"version": p.version, "digest": p.digest} for n, p in channel.releases.items()}
    if as_json:
        print_record({**facts, "releases": releases}, as_json=True)
        return
    print_record(facts, as_json=False)
    print()
    print_records([{"name": n, **p} for n, p in releases.items()], ["name", "version", "digest"], as_json=False)
