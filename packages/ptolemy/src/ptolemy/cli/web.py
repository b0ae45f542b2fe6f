"""``ptolemy web``: the page of the centre."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ptolemy._house.command import Command, json_option, note
from ptolemy._house.output import print_record
from ptolemy.cli.services import services_option


@click.command(cls=Command, epilog="Example: ptolemy web --port 8101")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8101, show_default=True, help="Port; 0 takes a free one."
)
@click.option("--store", "--series", "series", metavar="URL", help="Series store, such as arrow:///srv/series.")
@services_option
@click.option(
    "--allow-host", "names", multiple=True, metavar="NAME", help="Name by which it is called; may be repeated."
)
@click.option(
    "--webhook-file", type=click.Path(path_type=Path), metavar="FILE", help="File with the URL that is told of alerts."
)
@json_option
def web(
    host: str,
    port: int,
    series: str | None,
    url: str | None,
    names: tuple[str, ...],
    webhook_file: Path | None,
    as_json: bool,
) -> None:
    """Show the components, data sets, tokens and alerts in a browser, until Ctrl-C.

    On loopback nobody signs in until the first token is made with ptolemy token create. On any other
    address, and from then on, a token with the scope web is asked for.
    """
    from ptolemy.web import running

    webhook = running.read_webhook(webhook_file) if webhook_file else ""
    watching = running.Watching(host, port, names, url, series, webhook)

    def ready(address: str, is_open: bool) -> None:
        if as_json:
            print_record({"url": address, "tokens": "none" if is_open else "required"}, as_json=True)
        else:
            click.echo(f"showing {address}")
        sys.stdout.flush()  # whoever started this in a pipe waits for the address
        if is_open:
            note("no token exists yet, so whoever uses this machine sees it; close it with: ptolemy token create NAME")

    running.serve(watching, ready)
