"""``kyrios run``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from kyrios._house.command import Command, dry_run_option, json_option, note
from kyrios._house.output import paint, print_record, print_records
from kyrios.cli._flow import composed, load, overrides_argument, param_option
from kyrios.errors import BadInput, UnitFailed

if TYPE_CHECKING:
    from kyrios.flows import Flow
    from kyrios.run import Run
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
@overrides_argument
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
    overrides: tuple[str, ...],
    given: tuple[str, ...],
    resume: str | None,
    start: str | None,
    only: tuple[str, ...],
    earlier: str | None,
    dry_run: bool,
    engine: str | None,
    workers: int | None,
    as_json: bool,
) -> int:
    """Run a flow and wait for its end; FLOW may be left out where a run is resumed.

    NAME=VALUE are overrides in Hydra's words: window=20 gives a parameter, market=cn chooses conf/market/cn.yaml of the
    flow, and window=5,20 runs the flow once for each. They need hydra-core; --param does not.
    """
    if flow is None:
        if resume is None:
            raise BadInput("there is no flow to run", hint="kyrios run FLOW")
        from kyrios.run import get_run

        flow = get_run(resume).head.folder
    found = load(flow)
    sweep = composed(found, overrides, given)
    if dry_run:
        _tell_plan(found, sweep, {"only": only, "start": start, "earlier": earlier}, as_json)
        return 0
    if resume and len(sweep) > 1:
        raise BadInput("a run that is resumed keeps its parameters", hint="start a new run for other parameters")
    records: list[dict[str, Any]] = []
    for number, params in enumerate(sweep, 1):
        if len(sweep) > 1:
            note(f"{number} of {len(sweep)}: {', '.join(f'{name}={value}' for name, value in params.items())}")
        screen = _Screen(len(found.graph.tasks))
        try:
            finished = found.run(
                params, resume=resume, engine=engine, workers=workers, on_event=screen.show,
                run_id=screen.begin(resume), only=only, start=start, earlier=earlier,
            )  # fmt: skip
        except KeyboardInterrupt:
            note(f"go on with: kyrios run --resume {screen.run_id}")
            raise
        except UnitFailed as exc:
            if len(sweep) == 1:
                raise
            note(f"{exc}; the others are run all the same")
            records.append({"run": exc.run_id, "flow": found.name, "state": "failed", "params": params})
        else:
            records.append({**_record(finished, as_json), **({"params": params} if len(sweep) > 1 else {})})
    if len(sweep) == 1:
        print_record(records[0], as_json=as_json)
        return 0
    print_records(records, ["run", "state", "seconds", "params"], as_json=as_json)
    return int(any(record["state"] == "failed" for record in records))


def _tell_plan(flow: Flow, sweep: list[dict[str, Any]], words: dict[str, Any], as_json: bool) -> None:
    from kyrios.params import bind

    for params in sweep:
        bind(flow.graph, params)
    if len(sweep) > 1:
        print_records([{"run": n, "params": params} for n, params in enumerate(sweep, 1)], ["run", "params"],
                      as_json=as_json)  # fmt: skip
        return
    print_records([vars(step) for step in flow.plan(**words)], ["unit", "what", "why"], as_json=as_json)


def _record(finished: Run, as_json: bool) -> dict[str, Any]:
    from kyrios.run import outputs_of

    return {
        "run": finished.run_id,
        "flow": finished.head.flow,
        "state": finished.state.value,
        "seconds": finished.seconds,
        "outputs": dict(outputs_of(finished)) if as_json else f"{finished.where}/outputs",
        "lineage": f"{finished.where}/lineage.json",
    }


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
