"""``jiyuan web``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from jiyuan._house.command import Command, json_option, note
from jiyuan._house.output import print_record


@click.command(cls=Command, epilog="Example: jiyuan web --flows flows --port 8000")
@click.option(
    "--flows",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of a flow or of flows, may be repeated; the project's folder by default.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port; 0 takes a free one."
)
@click.option(
    "--allow-host", "names", multiple=True, metavar="NAME", help="Name by which it is called; may be repeated."
)
@json_option
def web(flows: tuple[Path, ...], host: str, port: int, names: tuple[str, ...], as_json: bool) -> None:
    """Show flows, runs, pools, packages, components and data of the centre in a browser, until Ctrl-C.

    On loopback nobody signs in until the first token is made with ptolemy token create. On any other
    address, and from then on, a token with the scope web is asked for.
    """
    from exia.pooling.showing import Watch
    from jiyuan._house.config import project_file
    from jiyuan.web.views import centre
    from ptolemy.web import running

    def ready(address: str, is_open: bool) -> None:
        if as_json:
            print_record({"url": address, "tokens": "none" if is_open else "required"}, as_json=True)
        else:
            click.echo(f"showing {address}")
        sys.stdout.flush()  # whoever started this in a pipe waits for the address
        if is_open:
            note("no token exists yet, so whoever uses this machine sees it; close it with: ptolemy token create NAME")

    project = project_file()
    with Watch() as watch:
        more = centre(flows or (project.parent if project else Path.cwd(),), watch)
        running.serve(running.Watching(host, port, names), ready, more)
