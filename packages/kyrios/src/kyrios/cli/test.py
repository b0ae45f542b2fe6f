"""``kyrios test``."""

from __future__ import annotations

import click

from kyrios._house.command import Command, json_option, note
from kyrios._house.output import print_records
from kyrios.cli._flow import flow_argument, load, param_option, parameters


@click.command(cls=Command, epilog="Example: kyrios test examples/flows/hello --engine local --engine local:?workers=1")
@flow_argument
@param_option
@click.option("--engine", "engines", multiple=True, help="One to compare; all that are installed if none is given.")
@json_option
def test(flow: str, given: tuple[str, ...], engines: tuple[str, ...], as_json: bool) -> int:
    """Run a flow on several engines; exit 1 unless all give the same bytes and states."""
    from dataclasses import asdict

    from kyrios.compare import compare

    found = load(flow)
    answers = list(
        compare(found, engines or None, parameters(found.graph, given), begins=lambda name: note(f"runs on {name}"))
    )
    rows = [asdict(answer) for answer in answers]
    print_records(rows, ["engine", "state", "same", "seconds", "detail"], as_json=as_json)
    for answer in answers:
        if answer.differs:
            note(f"{answer.engine} differs in {', '.join(answer.differs)}")
    # An engine that was named must answer; one that is merely installed need not run.
    judged = [a for a in answers if engines or a.state != "unreachable"]
    return 0 if judged and all(a.same and a.state == "succeeded" for a in judged) else 1
