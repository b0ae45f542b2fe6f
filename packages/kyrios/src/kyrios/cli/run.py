"""``kyrios run``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from kyrios._house.command import Command, dry_run_option, json_option, note
from kyrios._house.output import paint, print_record, print_records
from kyrios.cli._flow import load, param_option, parameters
from kyrios.errors import BadInput

if TYPE_CHECKING:
    from kyrios.state import Event

_COLOURS = {
    "succeeded": "green",
    "cached": "green",
    "failed": "red",
    "up_for_retry": "yellow",
    "cancelled": "yellow",
    "skipped": "dim",
}


@click.command(cls=Command, epilog="Example: kyrios run examples/flows/hello --param name=Kyrios")
@click.argument("flow", type=click.Path(), required=False)
@param_option
@click.option("--resume", metavar="RUN", help="Go on with a run; units that have succeeded are not run again.")
@click.option(
    "--from", "start", metavar="UNIT", help="Run this unit and all after it; the rest is from an earlier run."
)
@click.option("--only", multiple=True, metavar="UNIT", help="Run only this unit; may be given again.")
@click.option("--earlier", metavar="RUN", help="Which run gives what is not run; the newest that has it if not given.")
@dry_run_option
@click.option("--engine", help="What to run it on; the setting engine if not given.")
@click.option("--workers", type=int, help="How many units run at once.")
@json_option
def run(
    flow: str | None,
    given: tuple[str, ...],
    resume: str | None,
    start: str | None,
    only: tuple[str, ...],
    earlier: str | None,
    dry_run: bool,
    engine: str | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Run a flow and wait for its end; FLOW may be left out where a run is resumed."""
    if flow is None:
        if resume is None:
            raise BadInput("there is no flow to run", hint="kyrios run FLOW")
        from kyrios.run import get_run

        flow = get_run(resume).head.folder
    found = load(flow)
    if dry_run:
        from kyrios.params import bind

        bind(found.graph, parameters(found.graph, given))
        steps = found.plan(only=only, start=start, earlier=earlier)
        print_records([vars(step) for step in steps], ["unit", "what", "why"], as_json=as_json)
        return
    screen = _Screen(len(found.graph.tasks))
    try:
        finished = found.run(
            parameters(found.graph, given), resume=resume, engine=engine, workers=workers, on_event=screen.show,
            run_id=screen.begin(resume), only=only, start=start, earlier=earlier,
        )  # fmt: skip
    except KeyboardInterrupt:
        note(f"go on with: kyrios run --resume {screen.run_id}")
        raise
    from kyrios.run import outputs_of

    record = {
        "run": finished.run_id,
        "flow": finished.head.flow,
        "state": finished.state.value,
        "seconds": finished.seconds,
        "outputs": dict(outputs_of(finished)) if as_json else f"{finished.where}/outputs",
        "lineage": f"{finished.where}/lineage.json",
    }
    print_record(record, as_json=as_json)


class _Screen:
    """One line on stderr for each unit that ends."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.run_id = ""
        self.stream = sys.stderr  # units' own words are sent elsewhere while they run

    def begin(self, resume: str | None) -> str | None:
        """Return the id of the new run, which Ctrl-C must know before there is an answer."""
        from kyrios._house.ids import uuid7

        self.run_id = resume or uuid7()
        return None if resume else self.run_id

    def show(self, event: Event) -> None:
        """Show `event` if it ends a unit or tries it again."""
        if not event.task or event.state not in _COLOURS:
            return
        self.done += event.state != "up_for_retry"
        seconds = event.detail.get("seconds")
        more = (
            f"{seconds:.2f} s" if seconds is not None else event.detail.get("error") or event.detail.get("reason", "")
        )
        state = paint(f"{event.state.value:<12}", _COLOURS[event.state], self.stream)
        width = len(str(self.total))
        note(f"[{self.done:>{width}}/{self.total}] {state} {event.task}  {more}".rstrip())
