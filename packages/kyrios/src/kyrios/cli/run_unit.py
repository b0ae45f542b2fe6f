"""``kyrios run-unit``."""

from __future__ import annotations

import json

import click

from kyrios._house.command import Command, json_option
from kyrios._house.output import print_record
from kyrios.cli._flow import load
from kyrios.errors import BadInput


@click.command(
    "run-unit", cls=Command, epilog="Example: kyrios run-unit --flow examples/flows/hello --unit people --run-id try-1"
)
@click.option("--flow", required=True, type=click.Path(), help="Folder of the flow.")
@click.option("--unit", required=True, help="Which unit of it, or which group of fused units.")
@click.option("--run-id", envvar="KYRIOS_RUN_ID", required=True, help="Which run it belongs to; also KYRIOS_RUN_ID.")
@click.option("--params", "text", envvar="KYRIOS_PARAMS", help="The run's parameters as JSON; also KYRIOS_PARAMS.")
@click.option("--digest", help="Refuse if the flow has another digest.")
@click.option("--engine", default="local", help="What drives the run, for its record.")
@click.option(
    "--attempt", type=click.IntRange(1), envvar="KYRIOS_ATTEMPT", help="Which try of the caller's; also KYRIOS_ATTEMPT."
)
@json_option
def run_unit(
    flow: str,
    unit: str,
    run_id: str,
    text: str | None,
    digest: str | None,
    engine: str,
    attempt: int | None,
    as_json: bool,
) -> None:
    """Run one unit of a run that a scheduler drives; once is as good as twice."""
    try:
        params = json.loads(text) if text else {}
    except ValueError as exc:
        raise BadInput(f"--params is not JSON: {exc}") from None
    if not isinstance(params, dict):
        raise BadInput("--params must be a JSON object, such as '{\"top\": 3}'")
    from kyrios.warm.standby import stand_by

    stand_by()
    found = load(flow)
    run = found.run_unit(unit, run_id=run_id, params=params, digest=digest, engine=engine, attempt=attempt)
    tasks = [run.task(name) for name in found.graph.fused.get(unit, (unit,))]
    seconds = [task.seconds for task in tasks if task.seconds is not None]
    record = {
        "run": run.run_id,
        "unit": unit,
        "state": tasks[0].state.value if len(tasks) == 1 else {task.name: task.state.value for task in tasks},
        "seconds": round(sum(seconds), 6) if seconds else None,
        "outputs": [run.data.where(f"{run.run_id}/{output['path']}") for task in tasks for output in task.outputs],
    }
    print_record(record, as_json=as_json)
