"""``veda remote``."""

from __future__ import annotations

from dataclasses import asdict

import click

from veda._house.command import Group, json_option, note
from veda._house.output import print_record, print_records
from veda.cli._options import store_option
from veda.errors import NotAllowed

remote = Group("remote", help="The store and the index that a team shares.")


@remote.command(epilog="Example: veda remote check")
@click.option("--rounds", type=click.IntRange(1, 1000), default=20, show_default=True, help="Races of each kind.")
@store_option
@json_option
def check(rounds: int, store: str | None, as_json: bool) -> None:
    """Let eight writers race in the store, and exit 4 if ever two of them win: nothing may be published there."""
    from veda.remote import probe

    found = probe(store, rounds=rounds)
    print_record({**asdict(found), "atomic": found.atomic}, as_json=as_json)
    if not found.atomic:
        raise NotAllowed(
            f"{found.store} lets several writers win, so versions could be lost",
            hint="use an S3 server with conditional writes, such as SeaweedFS 4.17 or newer",
        )


@remote.command(epilog="Example: veda remote outbox --json")
@json_option
def outbox(as_json: bool) -> None:
    """List what the index has still to be told."""
    from veda.outbox import Outbox

    with Outbox() as box:
        rows = [asdict(w) for w in box.waiting()]
    print_records(rows, ["added_at", "state", "what", "attempts", "error"], as_json=as_json)


@remote.command(epilog="Example: veda remote deliver")
@store_option
@json_option
def deliver(store: str | None, as_json: bool) -> int:
    """Tell the index now what waits; exit 6 if it does not take it."""
    from veda.outbox import Outbox
    from veda.remote import announce_waiting

    done = announce_waiting(store)
    with Outbox() as box:
        waiting = len(box.waiting())
    print_record({"delivered": bool(done), "waiting": waiting}, as_json=as_json)
    if done is None:
        note("no index is configured; set VEDA_INDEX")
    return 6 if done is False else 0
