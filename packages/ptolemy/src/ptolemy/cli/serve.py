"""``ptolemy serve``: the service."""

from __future__ import annotations

import sys

import click

from ptolemy._house.command import Command, json_option, note
from ptolemy._house.output import print_record


@click.command(cls=Command, epilog="Example: ptolemy serve --port 8100")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8100, show_default=True, help="Port; 0 takes a free one."
)
@click.option("--store", "--series", "series", metavar="URL", help="Series store, such as arrow:///srv/series.")
@click.option(
    "--allow-host", "names", multiple=True, metavar="NAME", help="Name by which it is called; may be repeated."
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that answer.")
@click.option("--max-rows", type=click.IntRange(1), default=200_000, show_default=True, help="Rows in one answer.")
@click.option("--push", is_flag=True, help="Take rows: PUT /v1/DATASET; a token needs the scope push:DATASET.")
@click.option("--push-socket", metavar="PATH", help="Take rows at this socket of the machine too.")
@click.option("--web", is_flag=True, help="Show the page of the centre under /web; a token needs the scope web.")
@json_option
def serve(
    host: str, port: int, series: str | None, names: tuple[str, ...], workers: int, max_rows: int, push: bool,
    push_socket: str | None, web: bool, as_json: bool,
) -> None:  # fmt: skip
    """Answer Tushare's clients and our own over HTTP, until Ctrl-C.

    On loopback any token is taken until the first is made with ptolemy token create. On any other
    address a token is always required.
    """
    from ptolemy.http import running

    serving = running.Serving(series, host, port, names, workers, max_rows, push, push_socket or "", web)

    def ready(url: str, is_open: bool) -> None:
        record = {"url": url, "tokens": "any" if is_open else "required"}
        if as_json:
            print_record(record, as_json=True)
        else:
            click.echo(f"serving {url}  (page: {url}/{'web' if web else 'docs'})")
        sys.stdout.flush()  # whoever started this in a pipe waits for the address
        if is_open:
            note("no token exists yet, so any token is taken; close it with: ptolemy token create NAME")
        elif not running.open_tokens().all():
            note("no token exists yet, so every call is refused; make one with: ptolemy token create NAME")

    running.serve(serving, ready)
