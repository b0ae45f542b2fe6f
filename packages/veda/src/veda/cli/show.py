"""``veda show``."""

from __future__ import annotations

import click

from veda._house.command import Command, json_option
from veda._house.output import print_record
from veda.cli._options import open_catalogue, registry_option, remote_option


@click.command(cls=Command, epilog="Example: veda show momentum@1.2.0 --json")
@click.argument("ref")
@remote_option
@registry_option
@json_option
def show(ref: str, registry: str | None, remote: bool, as_json: bool) -> None:
    """Show one registered release."""
    from veda.installed import tree_path
    from veda.names import Ref
    from veda.records import notes_of
    from veda.resolve import find_release

    with open_catalogue(registry, remote) as catalogue:
        release = find_release(Ref.parse(ref), catalogue)
        tags = [t for t, v in catalogue.tags(release.name).items() if v == release.version]
        yanked = catalogue.yanked(release.name).get(release.version)
        notes = notes_of(catalogue.events(release.name, "updated"), release.version)
    tree = tree_path(release.digest)
    facts = {k: release.facts.get(k) for k in ("summary", "license", "requires", "size", "packed_size")}
    methods = [m for p in release.facts["entry_points"] for m in p["methods"]]
    components = [c["path"] for c in release.facts.get("components") or []]
    head = {"name": release.name, "version": release.version, "digest": release.digest, "tags": tags}
    installed = str(tree) if tree.is_dir() else None
    state = {"published_at": release.published_at, "yanked": yanked, "notes": notes, "installed": installed}
    print_record({**head, **facts, "methods": methods, "components": components, **state}, as_json=as_json)
