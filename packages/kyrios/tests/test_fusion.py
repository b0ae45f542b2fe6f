"""Fused units: which of them share a task, and that each of them is recorded as if it had one of its own."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kyrios
from kyrios.fusion import auto, blocks, cycle_of
from kyrios.graph import Graph, Task, ordered


def tasks(above: dict[str, list[str]]) -> tuple[Task, ...]:
    return ordered(Task(name, "unit", "1", "m:f", after=tuple(before)) for name, before in above.items())


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Draw up to 200 tasks, each with up to three before it."""
    count = draw(st.integers(1, 200))
    return {
        f"t{i:03}": sorted({f"t{j:03}" for j in draw(st.lists(st.integers(0, i - 1), max_size=3))}) if i else []
        for i in range(count)
    }


@settings(max_examples=30, deadline=None)
@given(graphs())
def test_groups_that_kyrios_finds_hold_each_task_once_and_make_no_cycle(above):
    found = tasks(above)
    groups = auto(found)

    inside = [name for group in groups.values() for name in group]
    assert len(inside) == len(set(inside))
    assert cycle_of(found, groups) is None
    assert groups == auto(found)


def test_chains_side_by_side_share_four_lanes():
    above = {f"c{c:02}_{i:02}": [f"c{c:02}_{i - 1:02}"] if i else [] for c in range(50) for i in range(20)}

    graph = Graph("many", "1", tasks(above), fused=auto(tasks(above)))

    assert len(blocks(graph)) == 12
    assert {len(block.tasks) for block in blocks(graph)} == {48, 52, 96, 104}


def test_a_name_that_kyrios_gives_a_group_is_that_of_no_unit():
    groups = auto(tasks({"fused-0": [], "a": ["fused-0"]}))

    assert list(groups) == ["fused_-0"]


def test_few_units_are_one_task(sums):
    sums.replace("flow.yaml", "fuse: none", "fuse: auto")

    assert kyrios.load_flow(sums).graph.fused == {"fused-0": ("numbers", "again", "double", "both")}


def fused(sums, groups):
    sums.replace("flow.yaml", "fuse: none", f"fuse: {groups}")
    return kyrios.load_flow(sums)


def test_a_scheduler_runs_a_group_by_its_name(sums):
    flow = fused(sums, "{middle: [double, again]}")

    for unit in ("numbers", "middle", "both"):
        run = flow.run_unit(unit, run_id="driven", engine="airflow")

    assert run.state == "succeeded"
    assert run.table("both.sums").to_pydict() == {"n": [4, 8]}
    local = flow.run()
    assert sorted((e.task, e.state) for e in run.events) == sorted((e.task, e.state) for e in local.events)


def test_a_group_that_has_succeeded_does_not_run_again(sums):
    flow = fused(sums, "{first: [numbers, double]}")

    before = flow.run_unit("first", run_id="driven").events

    assert flow.run_unit("first", run_id="driven").events == before


def test_a_failure_in_a_group_fails_its_task_and_what_needs_it(sums, monkeypatch):
    flow = fused(sums, "{first: [numbers, double]}")
    monkeypatch.setenv("BREAK", "yes")

    with pytest.raises(kyrios.UnitFailed, match="unit double failed: ValueError: the numbers are wrong"):
        flow.run_unit("first", run_id="driven")
    with pytest.raises(kyrios.Conflict, match="both needs again, double"):
        flow.run_unit("both", run_id="driven")
    states = {task.name: task.state for task in kyrios.get_run("driven").tasks}
    assert states == {"numbers": "succeeded", "double": "failed", "both": "skipped", "again": "declared"}

    monkeypatch.delenv("BREAK")
    for unit in ("first", "again", "both"):
        run = flow.run_unit(unit, run_id="driven")
    assert run.state == "succeeded"
    assert [e.state for e in run.events if e.task == "numbers"] == ["queued", "running", "succeeded"]


def test_a_group_whose_units_are_cut_off_is_no_success_for_its_scheduler(sums, monkeypatch):
    flow = fused(sums, "{last: [double, both]}")
    sums.code(sums.code_text().replace("def numbers(*, first, factor):", "def numbers(*, first, factor):\n    1 / 0"))

    with pytest.raises(kyrios.UnitFailed):
        flow.run_unit("numbers", run_id="driven")
    with pytest.raises(kyrios.Conflict, match="last needs numbers, which has not succeeded"):
        flow.run_unit("last", run_id="driven")
    assert kyrios.get_run("driven").state == "failed"


def test_a_group_waits_for_all_that_its_units_need(sums):
    flow = fused(sums, "{last: [double, both]}")
    flow.run_unit("numbers", run_id="driven")

    with pytest.raises(kyrios.Conflict, match="last needs again, which has not ended"):
        flow.run_unit("last", run_id="driven")


def test_the_command_runs_a_group(sums, capsys):
    from kyrios.cli import root

    fused(sums, "auto")
    words = ["run-unit", "--flow", os.fspath(sums), "--unit", "fused-0", "--run-id", "by-hand"]

    root.main(words, standalone_mode=False)

    assert "both.sums.arrow" in capsys.readouterr().out
    assert kyrios.get_run("by-hand").state == "succeeded"


def test_a_flow_in_python_says_what_is_fused(tmp_path):
    import pyarrow as pa

    @kyrios.unit(outputs=["rows"])
    def one() -> pa.Table:
        return pa.table({"n": [1]})

    @kyrios.unit(outputs=["rows"])
    def two(rows: pa.Table) -> pa.Table:
        return rows

    with kyrios.flow("small", fuse="auto") as small:
        two(one())

    assert small.flow.graph.fused == {"fused-0": ("one", "two")}
