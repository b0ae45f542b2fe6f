"""``kyrios graph``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from kyrios._house.command import Command, json_option, note
from kyrios._house.output import json_text, print_records
from kyrios.cli._flow import flow_argument, load
from kyrios.errors import BadInput, Conflict

if TYPE_CHECKING:
    from kyrios.critical import Schedule
    from kyrios.flows import Flow
    from kyrios.run import Run


@click.command(cls=Command, epilog="Example: kyrios graph examples/flows/hello --format mermaid")
@flow_argument
@click.option(
    "--format", "form", type=click.Choice(["text", "mermaid", "svg", "html"]), default="text", help="How to draw it."
)
@click.option("--run", "run_id", metavar="RUN", help="Draw how the units of this run stand, and their seconds.")
@click.option("--critical", is_flag=True, help="Find the units that the whole flow waits for; needs networkx.")
@click.option(
    "--faster", multiple=True, metavar="UNIT=TIMES", help="What if UNIT were so many times as fast; may be repeated."
)
@json_option
def graph(flow: str, form: str, run_id: str | None, critical: bool, faster: tuple[str, ...], as_json: bool) -> None:
    """Draw the graph of a flow, how a run stands, or what the whole waits for.

    With --critical or --faster a table tells when each unit would start with workers enough, and by how much it may be
    late; without --run each unit counts as one second.
    """
    from kyrios import draw, picture

    found = load(flow)
    run = _run_of(found, run_id) if run_id else None
    plain = form == "text" or as_json
    if plain and (critical or faster):
        _tell_schedule(found, run, faster, as_json)
        return
    path = _schedule(found, run, faster).path if critical or faster else ()
    shown = picture.Shown.of(run, path) if run else picture.Shown(critical=path)
    if as_json:
        print(json_text(json.loads(found.graph.canonical)))
    elif form == "svg":
        print(picture.svg(found.graph, shown), end="")
    elif form == "html":
        print(picture.html(found.graph, shown, run), end="")
    elif form == "mermaid":
        print(draw.mermaid(found.graph, shown.states, path), end="")
    else:
        notes = {name: said for name in found.graph.names if (said := shown.note(name))}
        print(draw.text(found.graph, notes), end="")


def _run_of(flow: Flow, run_id: str) -> Run:
    from kyrios.run import get_run

    run = get_run(run_id)
    if run.head.digest != flow.digest:
        raise Conflict(
            f"run {run_id} was of another version of {run.head.flow}", hint=f"kyrios graph {run.head.folder}"
        )
    return run


def _schedule(flow: Flow, run: Run | None, faster: tuple[str, ...]) -> Schedule:
    from kyrios import critical

    return critical.what_if(flow.graph, critical.durations(flow.graph, run), _times(faster))


def _tell_schedule(flow: Flow, run: Run | None, faster: tuple[str, ...], as_json: bool) -> None:
    from kyrios import critical

    seconds = critical.durations(flow.graph, run)
    now = critical.schedule(flow.graph, seconds)
    then = critical.what_if(flow.graph, seconds, _times(faster)) if faster else now
    rows: list[dict[str, Any]] = [{**vars(unit), "critical": unit.unit in then.path} for unit in then.units]
    if as_json:
        record = {"seconds": then.seconds, "path": then.path, "measured": run.run_id if run else None, "units": rows}
        print(json_text(record | ({"before": {"seconds": now.seconds, "path": now.path}} if faster else {})))
        return
    print_records(rows, ["unit", "seconds", "start", "end", "slack", "critical"], as_json=False)
    note(f"at least {then.seconds:g} s: {' -> '.join(then.path)}")
    if faster:
        note(f"before: {now.seconds:g} s: {' -> '.join(now.path)}")
    if run is None:
        note("each unit counts as 1 s; --run RUN takes the seconds of a run")


def _times(faster: tuple[str, ...]) -> dict[str, float]:
    found = {}
    for text in faster:
        unit, _, times = text.partition("=")
        try:
            found[unit] = float(times or 2)
        except ValueError:
            raise BadInput(f"--faster {text!r} has no number", hint=f"--faster {unit}=2") from None
    return found
