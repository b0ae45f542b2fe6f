"""Flows inside flows, maps, branches, fallbacks, loops and gates: what they run and what they give."""

from __future__ import annotations

from textwrap import dedent

import pytest

import kyrios
from kyrios.state import TRANSITIONS, State

CODE = """
import os
import pyarrow as pa
import pyarrow.compute as pc

def numbers(*, first, factor=1.0):
    return pa.table({"n": pa.array([first, first + 1], pa.int64())})

def double(numbers):
    if os.environ.get("BREAK"):
        raise ValueError("broken")
    return pa.table({"n": pc.multiply(numbers["n"], 2)})

def both(left, right):
    return pa.table({"n": pc.add(left["n"], right["n"])})

def halve(numbers):
    values = pc.divide(numbers["n"], 2)
    return pa.table({"n": values, "left": pc.sum(values).as_py() and pa.array([pc.sum(values).as_py()] * 2)})
"""


@pytest.fixture
def flow(sums):
    def flow(units, more=""):
        sums.code(CODE)
        sums.unit(
            "numbers", "{params: {first: {type: integer}}, outputs: {numbers: {type: table, columns: {n: int64}}}}"
        )
        sums.unit("halve", "{inputs: {numbers: {type: table}}, outputs: {numbers: {type: table}}}")
        lines = "\n".join(f"  {line}" for line in dedent(units).strip().splitlines())
        sums.flow(f"kyrios: 1\nflow: sums\ninfo: {{version: '1'}}\n{more}\nunits:\n{lines}\n")
        return kyrios.load_flow(sums)

    return flow


def states(run):
    now = {}
    for event in run.events:
        assert event.state in TRANSITIONS[now.get(event.task, State.DECLARED)], event
        now[event.task] = event.state
    return {task.name: task.state.value for task in run.tasks}


def values(run, output):
    return run.table(output)["n"].to_pylist()


INNER = """
kyrios: 1
flow: twice
info: {version: "1.0"}
params: {add: 1}
inputs: {numbers: {type: table, columns: {n: int64}}}
outputs: {numbers: join.sums}
units:
  extra: {use: numbers@1, with: {first: "${params.add}"}}
  double: {use: double@1, in: {numbers: inputs.numbers}}
  join: {use: both@1, in: {left: double.numbers, right: extra.numbers}}
"""


@pytest.fixture
def nested(sums, flow):
    def nested(units, more=""):
        sums.write("units/twice/flow.yaml", INNER)
        for name in ("numbers", "double", "both"):
            text = (sums.folder / "units" / f"{name}.yaml").read_text()
            sums.write(f"units/twice/units/{name}.yaml", text.replace("units:", "inner:"))
        sums.write("units/twice/inner.py", CODE)
        return flow(units, more)

    return nested


def test_a_flow_is_a_unit_of_another_flow_with_its_own_code_and_parameters(nested):
    flow = nested(
        """
        a: {use: numbers@1, with: {first: 10}}
        b: {use: twice@1, in: {numbers: a.numbers}, with: {add: "${params.add}"}}
        c: {use: double@1, in: {numbers: b.numbers}, after: [b]}
        """,
        "params: {add: 5}",
    )

    run = flow.run()

    assert flow.graph.names == ("a", "b-double", "b-extra", "b-join", "c")
    assert values(run, "c.numbers") == [(20 + 5) * 2, (22 + 6) * 2]
    assert values(flow.run({"add": 0}), "c.numbers") == [40, 46]
    assert flow.graph.task("b-join").group == "b"


def test_a_mistake_in_a_flow_inside_a_flow_is_named_with_its_own_file(nested, sums):
    nested("a: {use: numbers@1, with: {first: 1}}\nb: {use: twice@1, in: {numbers: a.numbers}}")
    sums.replace("units/twice/flow.yaml", "left: double.numbers", "left: double.number")

    with pytest.raises(kyrios.FlowInvalid) as caught:
        kyrios.load_flow(sums)

    assert [p.file for p in caught.value.problems] == ["flows/sums/units/twice/flow.yaml"]


def test_a_flow_that_holds_itself_is_refused(nested, sums):
    nested("a: {use: numbers@1, with: {first: 1}}")
    (sums.folder / "units/twice/units/twice").symlink_to(sums.folder / "units/twice")
    sums.replace("units/twice/flow.yaml", "extra:", "again: {use: twice@1}\n  extra:")
    sums.replace("flow.yaml", "units:\n", "units:\n  x: {use: twice@1, in: {numbers: a.numbers}}\n")

    with pytest.raises(kyrios.FlowInvalid, match="the flow 'twice' holds itself"):
        kyrios.load_flow(sums)


def test_a_flow_with_inputs_runs_only_inside_another(nested, sums):
    nested("a: {use: numbers@1, with: {first: 1}}")

    with pytest.raises(kyrios.BadInput, match="takes numbers"):
        kyrios.load_flow(sums.folder / "units/twice").run()


def test_a_map_over_a_list_runs_once_for_each_item_and_keeps_their_order(flow):
    run = flow("a: {use: numbers@1, map: {first: [30, 10, 20]}}\nb: {use: double@1, in: {numbers: a.numbers}}").run()

    assert list(states(run)) == ["a-0", "a-1", "a-2", "a", "b"]
    assert values(run, "b.numbers") == [60, 62, 20, 22, 40, 42]


def test_a_map_over_a_flow_lays_each_open(nested):
    run = nested(
        "a: {use: numbers@1, with: {first: 1}}\nb: {use: twice@1, in: {numbers: a.numbers}, map: {add: [0, 100]}}"
    ).run()

    assert values(run, "b.numbers") == [2, 5, 102, 105]


def test_a_map_over_a_parameter_or_a_column_is_decided_when_it_runs(flow):
    made = flow(
        """
        a: {use: numbers@1, map: {first: "${params.firsts}"}}
        b: {use: numbers@1, map: {first: a.numbers.n}}
        """,
        "params: {firsts: [1, 5]}",
    )

    assert values(made.run(), "b.numbers") == [1, 2, 2, 3, 5, 6, 6, 7]
    assert values(made.run({"firsts": [7]}), "b.numbers") == [7, 8, 8, 9]
    with pytest.raises(kyrios.UnitFailed, match="nothing to map over"):
        made.run({"firsts": []})


BRANCH = """
a: {use: numbers@1, with: {first: 1}}
b:
  branch: {on: params.mode, cases: {fast: double@1, slow: halve@1}}
  in: {numbers: a.numbers}
c: {use: double@1, in: {numbers: b.numbers}}
"""


@pytest.mark.parametrize(("mode", "found", "skipped"), [("fast", [4, 8], "b-1"), ("slow", [0, 2], "b-0")])
def test_a_branch_runs_one_case_and_hands_its_table_on(flow, mode, found, skipped):
    run = flow(BRANCH, "params: {mode: fast}").run({"mode": mode})

    assert values(run, "c.numbers") == found
    assert {name for name, state in states(run).items() if state == "skipped"} == {skipped}
    assert run.state == "succeeded"


def test_a_branch_without_a_case_for_the_value_skips_what_follows(flow):
    run = flow(BRANCH, "params: {mode: fast}").run({"mode": "none"})

    assert states(run) == {"a": "succeeded", "b-0": "skipped", "b-1": "skipped", "b": "skipped", "c": "skipped"}
    assert run.state == "succeeded"


def test_a_condition_may_read_a_table_and_what_follows_a_skipped_unit_is_skipped(flow):
    made = flow(
        """
        a: {use: numbers@1, with: {first: "${params.first}"}}
        b: {use: double@1, in: {numbers: a.numbers}, if: "a.numbers.n > 10 and params.first != 99"}
        c: {use: double@1, in: {numbers: b.numbers}}
        d: {use: numbers@1, with: {first: 0}, after: [c], when: all_done}
        """,
        "params: {first: 1}",
    )

    assert states(made.run()) == {"a": "succeeded", "b": "skipped", "c": "skipped", "d": "succeeded"}
    assert states(made.run({"first": 11})) == dict.fromkeys("abcd", "succeeded")
    assert states(made.run({"first": 99}))["b"] == "skipped"


def test_a_gate_lets_a_table_through_or_stops_what_follows(flow):
    made = flow(
        """
        a: {use: numbers@1, with: {first: "${params.first}"}}
        ok: {gate: a.numbers, if: "a.numbers.n >= 5"}
        b: {use: double@1, in: {numbers: ok.numbers}}
        """,
        "params: {first: 1}",
    )

    assert states(made.run()) == {"a": "succeeded", "ok": "skipped", "b": "skipped"}
    assert values(made.run({"first": 5}), "b.numbers") == [10, 12]


FALLBACK = """
a: {use: numbers@1, with: {first: 4}}
b: {use: double@1, in: {numbers: a.numbers}, fallback: [halve@1]}
c: {use: halve@1, in: {numbers: b.numbers}}
"""


def test_a_fallback_runs_only_where_the_unit_fails_and_then_the_run_succeeds(flow, monkeypatch):
    made = flow(FALLBACK)
    run = made.run()
    assert values(run, "b.numbers") == [8, 10]
    assert states(run)["b-1"] == "skipped"

    monkeypatch.setenv("BREAK", "1")
    run = made.run()

    assert values(run, "b.numbers") == [2, 2]
    assert states(run) == {"a": "succeeded", "b-0": "failed", "b-1": "succeeded", "b": "succeeded", "c": "succeeded"}
    assert run.state == "succeeded"


def test_a_unit_that_cleans_up_runs_after_a_failure_and_the_run_fails_all_the_same(flow, monkeypatch):
    monkeypatch.setenv("BREAK", "1")
    made = flow(
        """
        a: {use: numbers@1, with: {first: 4}}
        b: {use: double@1, in: {numbers: a.numbers}}
        alert: {use: numbers@1, with: {first: 0}, after: [b], when: any_failed}
        clean: {use: numbers@1, with: {first: 0}, after: [b], when: all_done}
        """
    )

    with pytest.raises(kyrios.UnitFailed, match="unit b failed"):
        made.run()
    assert states(kyrios.runs()[0]) == {"a": "succeeded", "b": "failed", "alert": "succeeded", "clean": "succeeded"}
    monkeypatch.delenv("BREAK")
    assert states(made.run())["alert"] == "skipped"


def test_a_unit_that_may_fail_does_not_fail_the_run(flow, monkeypatch):
    monkeypatch.setenv("BREAK", "1")
    made = flow("a: {use: numbers@1, with: {first: 4}}\nb: {use: double@1, in: {numbers: a.numbers}, may_fail: true}")

    assert made.run().state == "succeeded"


def test_a_loop_takes_what_it_gave_until_its_condition_holds(flow):
    made = flow(
        """
        a: {use: numbers@1, with: {first: 16}}
        b: {use: halve@1, in: {numbers: a.numbers}, loop: {times: 10, until: "numbers.n <= params.small"}}
        c: {use: double@1, in: {numbers: a.numbers}, loop: {times: 3}}
        """,
        "params: {small: 2}",
    )

    run = made.run()

    assert values(run, "b.numbers") == [2, 2]
    assert values(run, "c.numbers") == [16 * 8, 17 * 8]


def test_what_a_use_says_of_tries_goes_before_the_units_file_and_that_before_the_flows_defaults(flow, sums):
    made = flow(
        """
        a: {use: numbers@1, with: {first: 1}, retries: 5, backoff: 2}
        b: {use: double@1, in: {numbers: a.numbers}}
        """,
        "defaults: {retries: 1, retry_delay: 2s, timeout: 1m, longest_delay: 5s}",
    )

    a, b = made.graph.task("a"), made.graph.task("b")
    assert (a.retries, b.retries, a.timeout) == (5, 1, 60.0)
    assert [a.delay(n) for n in (1, 2, 3)] == [2.0, 4.0, 5.0]


def test_units_called_one_by_one_end_as_in_one_process(flow, monkeypatch):
    monkeypatch.setenv("BREAK", "1")
    made = flow(FALLBACK)
    local = made.run()

    for unit in made.graph.names:
        try:
            made.run_unit(unit, run_id="one-by-one")
        except kyrios.UnitFailed:
            assert unit == "b-0"

    run = kyrios.get_run("one-by-one")
    assert states(run) == states(local)
    assert run.state == "succeeded"


def test_the_rendered_dag_runs_handlers_of_failures(flow, tmp_path):
    text = flow(FALLBACK).render("airflow", tmp_path / "dags")[0].text

    assert text.count('trigger_rule="all_done"') == 2
    assert "[a, b__0] >> b__1" in text


CACHED = """
a: {use: numbers@1, with: {first: "${params.first}"}}
b: {use: double@1, in: {numbers: a.numbers}}
"""


def test_a_unit_with_a_cache_runs_again_only_for_other_inputs_code_or_parameters(flow, sums):
    def made():
        flow(CACHED, "params: {first: 1}")
        for name in ("numbers", "double"):
            sums.replace(f"units/{name}.yaml", "interface:", "state: {cache: true}\ninterface:")
        sums.unit("double", "{inputs: {numbers: {type: table}}, outputs: {numbers: {type: table}}}")
        sums.replace("units/double.yaml", "interface:", "state: {cache: true}\ninterface:")
        return kyrios.load_flow(sums)

    first = made().run()
    again = made().run()
    assert states(first) == {"a": "succeeded", "b": "succeeded"}
    assert states(again) == {"a": "cached", "b": "cached"}
    assert [t.outputs for t in again.tasks] == [t.outputs for t in first.tasks]
    assert values(again, "b.numbers") == [2, 4]
    assert states(made().run({"first": 2})) == {"a": "succeeded", "b": "succeeded"}
    sums.write("units.py", CODE.replace("], 2)", "], 30)"))
    assert values(kyrios.load_flow(sums).run(), "b.numbers") == [30, 60]


def test_a_cached_table_that_was_damaged_is_made_again(flow, sums, home):
    flow(CACHED, "params: {first: 1}")
    sums.replace("units/numbers.yaml", "interface:", "state: {cache: true}\ninterface:")
    made = kyrios.load_flow(sums)
    made.run()
    for path in (home / "data" / "objects").iterdir():
        path.write_bytes(b"torn")

    assert states(made.run())["a"] == "succeeded"


CHAIN = """
a: {use: numbers@1, with: {first: 1}}
b: {use: double@1, in: {numbers: a.numbers}}
c: {use: double@1, in: {numbers: b.numbers}}
d: {use: double@1, in: {numbers: a.numbers}}
"""


def test_a_run_from_a_unit_takes_what_comes_before_it_from_the_run_before(flow):
    made = flow(CHAIN)
    first = made.run()

    run = made.run(start="b")

    assert states(run) == {"a": "cached", "b": "succeeded", "c": "succeeded", "d": "skipped"}
    assert values(run, "c.numbers") == values(first, "c.numbers")
    assert run.state == "succeeded"


def test_a_run_of_only_some_units_leaves_the_others_out(flow):
    made = flow(CHAIN)
    made.run()

    assert states(made.run(only=["c"])) == {"a": "skipped", "b": "cached", "c": "succeeded", "d": "skipped"}


def test_only_some_units_need_a_run_before_that_has_the_rest(flow):
    made = flow(CHAIN)

    with pytest.raises(kyrios.NotFound, match="b has no outputs in an earlier run"):
        made.run(only=["c"])
    with pytest.raises(kyrios.NotFound, match="no unit 'x'"):
        made.run(only=["x"])
    assert kyrios.runs() == []


def test_a_plan_says_what_a_run_would_do(flow):
    made = flow(CHAIN)
    made.run()

    assert [(step.unit, step.what) for step in made.plan(start="c")] == [
        ("a", "leave out"),
        ("b", "take from before"),
        ("c", "run"),
        ("d", "leave out"),
    ]


MISTAKES = [
    ("b: {use: double@1, select: [a.numbers]}", "exactly one of use, branch, select and gate"),
    ("b: {gate: a.numbers}", "a gate needs a condition"),
    ("b: {gate: a.numbers, if: 'a.numbers.m > 1'}", "a.numbers has no column 'm'"),
    ("b: {gate: a.numbers, if: 'a.number.n > 1'}", "has no output 'number'; did you mean 'numbers'?"),
    ("b: {gate: a.numbers, if: '__import__(1)'}", "'if' may compare and combine values"),
    ("b: {gate: a.numbers, if: 'a >'}", "'if' is no condition"),
    ("b: {use: double@1, in: {numbers: a.numbers}, if: params.nothing}", "the flow has no parameter 'nothing'"),
    ("b: {use: numbers@1, map: {first: []}}", "must not be empty"),
    ("b: {use: numbers@1, map: {first: 3}}", "must be a list, ${params.<name>} or unit.output.column, not 3"),
    ("b: {use: numbers@1, map: {first: [x]}}", "'first' must be a whole number, not 'x'"),
    ("b: {use: numbers@1, map: {first: a.numbers.m}}", "has no column 'm'"),
    ("b: {use: double@1, in: {numbers: a.numbers}, loop: {times: 0}}", "'times' must be greater than or equal to 1"),
    ("b: {use: double@1, in: {numbers: a.numbers}, loop: {times: 2, until: x.y}}", "has no output 'x'"),
    ("b: {use: double@1, in: {numbers: a.numbers}, fallback: [dubble@1]}", "there is no unit 'dubble'"),
    ("b: {use: double@1, in: {numbers: a.numbers}, when: always}", "'when' must be 'all_succeeded'"),
    ("b: {use: double@1, in: {numbers: a.numbers}, when: any_failed}", "'b' never runs: nothing in 'after' may fail"),
    ("b: {branch: {on: params.x, cases: {}}, in: {numbers: a.numbers}}", "'cases' must not be empty"),
    ("b: {use: double@1, in: {numbers: inputs.numbers}}", "the flow has no input 'numbers'"),
]


@pytest.mark.parametrize(("line", "said"), MISTAKES, ids=[said for _, said in MISTAKES])
def test_a_mistake_in_the_structure_is_named(flow, line, said):
    with pytest.raises(kyrios.FlowInvalid) as caught:
        flow(f"a: {{use: numbers@1, with: {{first: 1}}}}\n{line}")

    named = [p for p in caught.value.problems if said in str(p)]
    assert named, str(caught.value)
    assert named[0].line >= 6
