"""``veda inspect``."""

from __future__ import annotations

from typing import Any

import click

from veda._house.command import Command, json_option
from veda._house.output import print_record, print_records
from veda.cli._options import registry_option


@click.command(cls=Command, epilog="Example: veda inspect momentum-1.2.0-any.vedapkg --json")
@click.argument("what", metavar="FILE|REF|URL")
@click.option("--files", is_flag=True, help="List the files too.")
@registry_option
@json_option
def inspect(what: str, files: bool, registry: str | None, as_json: bool) -> None:
    """Show what a package file or a registered release holds, without running any of it.

    Of a file at an https:// URL only the head is fetched, however large the package is.
    """
    from veda.inspecting import inspect

    facts = inspect(what, files=files, registry=registry)
    if as_json:
        print_record(facts, as_json=True)
        return
    print_record({k: v for k, v in facts.items() if k not in ("entry_points", "files")}, as_json=False)
    for point in facts["entry_points"]:
        defaults = {k: p.get("default", p.get("default_source", "required")) for k, p in _parameters(point).items()}
        print(f"\n{point['name']} = {point['target']}  {point['summary']}")
        print("  " + ", ".join(f"{k}={v}" for k, v in defaults.items()))
        for method, said in point["methods"].items():
            print(f"  {method}{said['signature']}\n      {said['summary']}")
    if files:
        print()
        print_records(facts.get("files", []), ["mode", "size", "sha256", "path"], as_json=False)


def _parameters(point: dict[str, Any]) -> dict[str, Any]:
    return dict(point["parameters"].get("properties", {}))
