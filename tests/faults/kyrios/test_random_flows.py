"""Flows that nobody wrote give on every engine the tables and the states of a local run, and only legal states."""

from __future__ import annotations

from collections import Counter
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.faults.figures import Faults
from tests.faults.kyrios.test_engines import ENGINES, needs

FLOWS = 100  # for each engine
LONGEST = 200  # units

_VALUES = "{type: table, columns: {n: int64}}"
_UNITS = {
    "source": "params: {by: {type: integer}}",
    "add": f"params: {{by: {{type: integer}}}}\n  inputs: {{values: {_VALUES}}}",
    "join": f"inputs: {{left: {_VALUES}, right: {_VALUES}}}",
    "flaky": f"params: {{name: {{type: string}}, marks: {{type: string}}}}\n  inputs: {{values: {_VALUES}}}",
    "broken": f"inputs: {{values: {_VALUES}}}",
}
_CODE = """
from pathlib import Path
import pyarrow as pa

def source(*, by):
    return pa.table({"n": [by, by + 1]})

def add(values, *, by):
    return pa.table({"n": [n + by for n in values["n"].to_pylist()]})

def join(left, right):
    return pa.table({"n": [sum(left["n"].to_pylist()) % 1000, sum(right["n"].to_pylist()) % 1000]})

def flaky(values, *, name, marks):
    mark = Path(marks, name)
    if not mark.exists():
        mark.touch()
        raise ConnectionError("not yet")
    return values

def broken(values):
    raise ValueError("never")
"""


@st.composite
def flows(draw: st.DrawFn) -> str:
    """Draw the text of a flow: chains, joins, maps, branches, tries again, failures, units that run all the same."""
    lines = []
    for i in range(draw(st.integers(1, LONGEST))):
        kinds = ["source"] if not i else ["source", "add", "add", "join", "map", "flaky", "branch", "after", "broken"]
        kind = draw(st.sampled_from(kinds))
        # Seldom, or nothing would be left that runs.
        if kind == "broken" and draw(st.integers(0, 4)):
            kind = "add"
        above, other = (f"u{draw(st.integers(max(0, i - 12), max(0, i - 1)))}" for _ in range(2))
        by = draw(st.integers(-3, 3))
        values = f"in: {{values: {above}.result}}"
        lines.append(f"  u{i}: {{use: " + {
            "source": f"source@1, with: {{by: {by}}}",
            "add": f"add@1, {values}, with: {{by: {by}}}",
            "join": f"join@1, in: {{left: {above}.result, right: {other}.result}}",
            "map": f"add@1, {values}, map: {{by: [{by}, {by + 1}]}}",
            "flaky": f'flaky@1, {values}, with: {{name: u{i}, marks: "${{params.marks}}"}}',
            "branch": f"add@1, {values}, with: {{by: {by}}}, if: {other}.result.n > {by}",
            "after": f"source@1, with: {{by: {by}}}, after: [{above}], when: all_done",
            "broken": f"broken@1, {values}",
        }[kind] + "}")  # fmt: skip
    head = "kyrios: 1\nflow: drawn\ninfo: {version: '1.0', summary: Drawn}\nparams: {marks: ''}\nunits:\n"
    return head + "\n".join(lines) + "\n"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_drawn_flow_has_on_every_engine_the_tables_and_states_of_a_local_run(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: Faults, request: pytest.FixtureRequest
):
    word = engine.partition(":")[0]
    needs(word)
    monkeypatch.setenv("KYRIOS_HOME", str(tmp_path / "home"))
    url = request.getfixturevalue("celery") if engine == "celery" else engine
    figure = faults.figure(f"random-flows-{word}", "kyrios", f"a random flow on {word}, against a local run")
    number = count()

    @settings(
        max_examples=faults.count(FLOWS), derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(flows())
    def alike(text: str) -> None:
        folder = written(tmp_path / f"flow-{next(number)}", text)
        local, there = outcome(folder, "local"), outcome(folder, url)
        figure.survives(None if there == local else f"{folder}: {difference(local, there)}")
        assert there == local, difference(local, there)

    alike()

    assert figure.lost == 0, figure.harms


def written(folder: Path, text: str) -> Path:
    """Write the flow and its units."""
    (folder / "units").mkdir(parents=True)
    for name, interface in _UNITS.items():
        tries = ", retries: 1, retry_delay: 10ms" if name == "flaky" else ""
        (folder / "units" / f"{name}.yaml").write_text(
            f'kyrios: 1\nunit: {name}\ninfo: {{version: "1.0", summary: One unit}}\n'
            f'run: {{call: "units:{name}"{tries}}}\ninterface:\n  {interface}\n  outputs: {{result: {_VALUES}}}\n'
        )
    (folder / "units.py").write_text(_CODE)
    (folder / "flow.yaml").write_text(text)
    return folder


def outcome(folder: Path, engine: str) -> dict[str, object]:
    """Run the flow; return how the run ended, every table, and every state of every unit."""
    import kyrios
    from kyrios.state import State, check_transition

    marks = folder / f"marks-{engine.partition(':')[0]}"
    marks.mkdir()
    run_id = f"{folder.name}-{engine.partition(':')[0]}"
    try:
        run = kyrios.load_flow(folder).run({"marks": str(marks)}, engine=engine, run_id=run_id)
    except kyrios.UnitFailed:
        run = kyrios.get_run(run_id)
    last: dict[str, State] = {}
    for event in run.events:
        check_transition(event.task, last.get(event.task, State.DECLARED), event.state)
        last[event.task] = event.state
    tables = {
        f"{t.name}.{o['name']}": bytes(run.data.get(f"{run_id}/{o['path']}")) for t in run.tasks for o in t.outputs
    }
    return {"state": run.state, "tables": tables, "states": Counter((e.task, e.state) for e in run.events)}


def difference(local: dict[str, object], there: dict[str, object]) -> str:
    """Return which parts differ."""
    return ", ".join(f"{key}: {local[key]!r:.300} != {there[key]!r:.300}" for key in local if local[key] != there[key])
