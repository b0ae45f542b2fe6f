"""``exia serve``: a pool over HTTP."""

from __future__ import annotations

import json
import signal
import sys
import threading
from contextlib import ExitStack

import click

from exia._house.command import Command, json_option, note
from exia._house.output import print_record
from exia.errors import BadInput
from exia.monitor import start
from exia.pooling import Follower, pool
from exia.serving import PoolServer


@click.command(cls=Command, epilog="Example: exia serve python:statistics:NormalDist --port 8200")
@click.argument("ref")
@click.option("--port", type=click.IntRange(0, 65535), default=8200, show_default=True, help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; elsewhere it asks for tokens.")
@click.option("--max-size", type=click.IntRange(1), default=8, show_default=True, help="Objects at most.")
@click.option("--max-waiting", type=click.IntRange(0), default=256, show_default=True, help="Callers that may wait.")
@click.option("--timeout", type=click.FloatRange(0), default=30.0, show_default=True, help="Seconds that they wait.")
@click.option("--params", metavar="JSON", default="{}", help="What the objects are made with, as a JSON object.")
@click.option("--process", is_flag=True, help="Let each object live in a process of its own.")
@click.option("--ray", is_flag=True, help="Let each object live in a Ray actor of its own.")
@click.option("--monitor/--no-monitor", default=True, help="Record events and figures; see exia monitor.")
@click.option("--record/--no-record", default=True, help="Record the versions and parameters served; see exia runs.")
@click.option("--follow", type=click.FloatRange(0.1), help="Look each so many seconds for what REF names, and swap.")
@click.option("--live", metavar="NAME", help="Follow the parameters NAME of exia params while it runs.")
@click.option("--canary", type=click.FloatRange(0, 1, max_open=True), default=0.0, help="Its share of calls at first.")
@json_option
def serve(
    ref: str,
    port: int,
    host: str,
    max_size: int,
    max_waiting: int,
    timeout: float,
    params: str,
    process: bool,
    ray: bool,
    monitor: bool,
    record: bool,
    follow: float | None,
    live: str | None,
    canary: float,
    as_json: bool,
) -> None:
    """Serve the object that REF names, by itself on 127.0.0.1 only.

    POST /call/METHOD with JSON arguments calls it; GET /methods, /stats, /metrics and /healthz tell
    about it, and / is a status page. Every caller needs a token once exia token create has made one.
    With --follow a moved tag or a newer release is swapped in without a lost call, and with --live each
    object takes changed parameters at its next call. SIGTERM or Ctrl-C ends it after the running calls.
    """
    try:
        made_with = json.loads(params)
    except ValueError as exc:
        raise BadInput(f"--params is no JSON: {exc}", hint="""write it as --params '{"window": 20}'""") from None
    if not isinstance(made_with, dict):
        raise BadInput("--params is no object", hint="""write it as --params '{"window": 20}'""")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with ExitStack() as stack:
        served = stack.enter_context(
            pool(
                ref,
                params=made_with,
                max_size=max_size,
                max_waiting=max_waiting,
                timeout=timeout,
                min_idle=1,
                process=process,
                ray=ray,
                record=record,
            )
        )
        if monitor:
            stack.enter_context(start(service=served.name))
        if follow is not None:
            stack.enter_context(Follower(served, ref, every=follow, canary=canary))
        if live is not None:
            from exia.params import follow as follow_params

            stack.enter_context(follow_params(live, served))
        server = stack.enter_context(PoolServer(served, port, host))
        print_record({"url": server.url, "version": served.version}, as_json=as_json)
        sys.stdout.flush()
        note("Ctrl-C ends it")
        while not stop.wait(0.5):
            pass
