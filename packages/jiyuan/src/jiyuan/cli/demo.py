"""``jiyuan demo``."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import click

from jiyuan._house.command import Command, json_option, progress
from jiyuan._house.output import json_text, paint


@click.command(cls=Command, epilog="Example: jiyuan demo --out demo-out")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-out"),
    show_default=True,
    help="Folder for everything that the demo makes.",
)
@click.option(
    "--examples",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The examples folder of a clone; found by itself inside one.",
)
@click.option(
    "--backends",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A jiyuan.toml with the URLs of servers to use; embedded backends in --out otherwise.",
)
@json_option
def demo(out: Path, examples: Path | None, backends: Path | None, as_json: bool) -> None:
    """Work on real market data with all four libraries, and write a report."""
    from jiyuan.demo import read_backends, run_demo

    def said(step: dict[str, Any]) -> None:
        if not as_json:
            print(f"{paint('✓', 'green')} {step['library']:<8} {step['said']}  {paint(_seconds(step), 'dim')}")
            if step.get("shown"):
                print("\n" + step["shown"] + "\n")

    with progress("demo") as count:
        servers = read_backends(backends) if backends else {}
        result = run_demo(out, examples, backends=servers, said=said, progress=count)
    if as_json:
        print(json_text(result))
        return
    print(f"\nreport: {paint(result['report'], 'bold')}\n\nnext, try:")
    if shutil.which("ptolemy") is None:  # started by its path, as `make demo` does
        print(f"  source {Path(sys.prefix) / 'bin' / 'activate'}")
    print(f"  cd {out}")
    for command in result["next"]:
        print(f"  {command}")


def _seconds(step: dict[str, Any]) -> str:
    return f"{step['seconds']:.2f} s"
