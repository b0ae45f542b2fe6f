"""``veda store``."""

from __future__ import annotations

from dataclasses import asdict

from veda._house.command import Group, json_option, note, progress
from veda._house.output import print_record, print_records
from veda.cli._options import store_option

store = Group("store", help="Look after a store.")


@store.command(epilog="Example: veda store verify")
@store_option
@json_option
def verify(store: str | None, as_json: bool) -> int:
    """Read every claim, manifest and blob again; exit 1 if anything is wrong."""
    from veda.upkeep import verify_store

    with progress("verifying") as show:
        faults = verify_store(store, progress=show)
    if faults or as_json:
        print_records([asdict(f) for f in faults], ["where", "detail"], as_json=as_json)
    else:
        note("all is well")
    return 1 if faults else 0


@store.command(epilog="Example: veda store stats --json")
@store_option
@json_option
def stats(store: str | None, as_json: bool) -> None:
    """Count releases and blobs, and what sharing chunks saves."""
    from veda.upkeep import stats

    print_record(stats(store), as_json=as_json)
