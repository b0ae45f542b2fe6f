"""``kyrios loop`` and ``kyrios tune``."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import click

from kyrios._house.command import Command, json_option, note
from kyrios._house.output import print_record
from kyrios.cli._flow import flow_argument, load, param_option, parameters

if TYPE_CHECKING:
    from kyrios.looping import Loop


@click.command(cls=Command, epilog="Example: kyrios loop examples/flows/pulse --ticks 20")
@flow_argument
@param_option
@click.option("--ticks", type=click.IntRange(1), help="How many ticks to run; until Ctrl-C if not given.")
@click.option("--realtime", is_flag=True, help="Go before all other programs of this machine; needs the right to.")
@click.option(
    "--checkpoint",
    type=click.FloatRange(0.05),
    metavar="SECONDS",
    help="Keep what the units remember this often, and go on from there when the loop is started again.",
)
@click.option("--fresh", is_flag=True, help="Forget the last checkpoint first.")
@json_option
def loop(
    flow: str, given: tuple[str, ...], ticks: int | None, realtime: bool, checkpoint: float | None, fresh: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Run a flow that is scheduled every so often as a service loop; its files may be changed while it runs."""
    found = load(flow)

    def started(running: Loop) -> None:
        # Whoever supervises a loop ends it so; the tick that runs is finished and all is recorded.
        signal.signal(signal.SIGTERM, lambda number, frame: running.stop())
        behind = f" behind tick {running.restored.tick}" if running.restored.tick >= 0 else ""
        note(f"{found.name} ticks every {running.pace.every:g} s as run {running.execution.head.run_id}{behind}")

    stderr = sys.stderr  # units' own words are sent elsewhere while they run

    def changed(said: str) -> None:
        print(said, file=stderr, flush=True)

    def hangs(seconds: float) -> None:
        import faulthandler

        print(f"error: a tick takes {seconds:.1f} s already; where it hangs:", file=stderr, flush=True)
        faulthandler.dump_traceback(stderr, all_threads=True)
        os._exit(1)  # a thread cannot be stopped; whoever supervises the loop starts it anew

    run, report = found.loop(
        parameters(found.graph, given), ticks=ticks, realtime=realtime, checkpoint=checkpoint, fresh=fresh,
        on_change=changed, on_hang=hangs, on_start=started,
    )  # fmt: skip
    record = {"run": run.run_id, "flow": found.name, "state": run.state.value, **vars(report)}
    record["outputs"] = f"{run.where}/outputs"
    print_record({name: value for name, value in record.items() if value != ""}, as_json=as_json)


@click.command(cls=Command, epilog="Example: kyrios tune examples/flows/pulse --param weight=0.5")
@flow_argument
@param_option
@click.option("--clear", is_flag=True, help="Forget first what was given before.")
@json_option
def tune(flow: str, given: tuple[str, ...], clear: bool, as_json: bool) -> None:
    """Give a service loop parameters while it runs, and show how it does; its next tick takes them."""
    from kyrios import watching
    from kyrios.errors import NotFound

    found = load(flow)
    if given or clear:
        watching.tune(found, parameters(found.graph, given), clear=clear)
    try:
        said = watching.status(found.name)
    except NotFound:
        said = {"flow": found.name, "state": "never run"}
    print_record({**said, "tuned": watching.tuned(found.name)}, as_json=as_json)
