"""``kyrios serve``."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Any

import click

from kyrios._house.command import Command, json_option, note
from kyrios._house.output import print_record
from kyrios.errors import MissingExtra

_FOLDER: Any = click.Path(file_okay=False, path_type=Path)


@click.command(cls=Command, epilog="Example: kyrios serve examples/flows --port 8300")
@click.argument("folders", nargs=-1, type=_FOLDER, metavar="[FOLDER]...")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8300, show_default=True, help="Port; 0 takes a free one."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; elsewhere it asks for tokens.")
@click.option(
    "--allow-host", "names", multiple=True, metavar="NAME", help="Name by which it is called; may be repeated."
)
@click.option("--out", type=_FOLDER, help="Folder of the files that callers may render; none are written without it.")
@click.option("--max-runs", type=click.IntRange(1, 1000), default=4, show_default=True, help="Runs at once.")
@json_option
def serve(
    folders: tuple[Path, ...], port: int, host: str, names: tuple[str, ...], out: Path | None, max_runs: int,
    as_json: bool,
) -> None:  # fmt: skip
    """Serve the flows below FOLDER (here, if none is given) over HTTP, with a page, until Ctrl-C.

    The page shows each flow as a graph that takes colours while the flow runs. GET /openapi.json describes the
    interface. Every caller needs a token once kyrios token create has made one. Ctrl-C and SIGTERM cancel the runs
    under way; they can be resumed.
    """
    try:
        from kyrios.serving.server import FlowServer
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] == "kyrios":
            raise
        raise MissingExtra(
            f"kyrios serve needs {exc.name}, which is not installed", hint="pip install 'jiyuan-kyrios[serve]'"
        ) from exc
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    with FlowServer(folders or (Path(),), port, host, names=names, out=out, max_runs=max_runs) as server:
        service = server.service
        is_open = service.guard.open
        flows = len(service.shelf.entries())
        if as_json:
            print_record({"url": server.url, "flows": flows, "tokens": "open" if is_open else "required"}, as_json=True)
        else:
            click.echo(f"serving {flows} flow{'s' if flows != 1 else ''} at {server.url}")
        sys.stdout.flush()  # whoever started this in a pipe waits for the address
        if is_open:
            note("no token exists yet, so whoever is on this machine may run flows: kyrios token create NAME")
        stop.wait()
        if under_way := len(service.runs.under_way):
            note(f"cancelling {under_way} run{'s' if under_way != 1 else ''}")
