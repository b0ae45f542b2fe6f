"""What a flow waits for, what a faster unit would give, and how a graph is drawn with a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kyrios import Graph, Task, critical, load_flow, picture
from kyrios.errors import BadInput, NotFound


def graph_of(before):
    """Return a graph of tasks, each with those that come before it."""
    tasks = tuple(Task(name, "u", "1", "m:f", after=tuple(after)) for name, after in before.items())
    return Graph("made", "1", tasks)


DIAMOND = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


def test_the_critical_path_is_the_longest_by_seconds_and_the_others_have_slack():
    found = critical.schedule(graph_of(DIAMOND), {"a": 1, "b": 5, "c": 2, "d": 1})

    assert (found.path, found.seconds) == (("a", "b", "d"), 7)
    assert {unit.unit: (unit.start, unit.slack) for unit in found.units} == {
        "a": (0, 0), "b": (1, 0), "c": (1, 3), "d": (6, 0),
    }  # fmt: skip


def test_a_unit_twice_as_fast_moves_the_critical_path():
    seconds = {"a": 1, "b": 5, "c": 3, "d": 1}

    assert critical.what_if(graph_of(DIAMOND), seconds, {"b": 2}).path == ("a", "c", "d")
    assert critical.what_if(graph_of(DIAMOND), seconds, {"b": 2}).seconds == 5
    assert critical.what_if(graph_of(DIAMOND), seconds, {"c": 0.5}).seconds == 8


@pytest.mark.parametrize(
    ("faster", "error", "text"),
    [
        ({"bb": 2}, NotFound, "did you mean 'b'"),
        ({"b": 0}, BadInput, "0 times"),
        ({"b": float("inf")}, BadInput, "inf"),
    ],
)
def test_what_cannot_be_asked_is_refused(faster, error, text):
    with pytest.raises(error) as caught:
        critical.what_if(graph_of({"b": []}), {"b": 1}, faster)
    assert text in f"{caught.value} {caught.value.hint}"


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_the_units_of_the_path_add_up_follow_one_another_and_have_no_slack(data):
    count = data.draw(st.integers(1, 12))
    names = [f"u{n}" for n in range(count)]
    before = {name: data.draw(st.sets(st.sampled_from(names[:n]))) if n else () for n, name in enumerate(names)}
    seconds = {name: data.draw(st.integers(0, 9)) for name in names}
    graph = graph_of(before)

    found = critical.schedule(graph, seconds)

    assert sum(seconds[name] for name in found.path) == found.seconds
    assert all(first in graph.task(then).upstream for first, then in zip(found.path, found.path[1:], strict=False))
    slack = {unit.unit: unit.slack for unit in found.units}
    assert all(slack[name] == 0 for name in found.path)
    # What has slack may take so much longer and the whole does not.
    for name in names:
        longer = critical.schedule(graph, {**seconds, name: seconds[name] + slack[name]})
        assert longer.seconds == found.seconds


def test_networkx_gets_the_graph_with_its_facts():
    import networkx

    found = critical.as_networkx(graph_of(DIAMOND), {"a": 2})

    assert networkx.is_directed_acyclic_graph(found)
    assert (found.nodes["a"]["seconds"], sorted(found.edges)) == (2.0, graph_of(DIAMOND).edges)


def test_the_svg_holds_every_unit_with_its_state_and_marks_the_critical_path():
    graph = graph_of(DIAMOND)
    shown = picture.Shown({"a": "succeeded", "b": "failed"}, {"a": 0.25}, ("a", "b", "d"))

    drawn = ElementTree.fromstring(picture.svg(graph, shown))

    units = {g.get("data-unit"): g for g in drawn.iter("{http://www.w3.org/2000/svg}g")}
    assert sorted(units) == ["a", "b", "c", "d"]
    assert units["b"].get("class") == "unit state-failed critical"
    assert "0.25 s" in "".join(units["a"].itertext())
    assert len([p for p in drawn.iter() if p.get("class") == "edge critical"]) == 2


def test_the_html_page_takes_nothing_for_code():
    task = Task("a", "u", "1", "m:f", summary="<script>alert(1)</script>")

    page = picture.html(Graph("made", "1", (task,), summary="a & b"))

    assert "<script" not in page
    assert "a &amp; b" in page
    assert "default-src 'none'" in page


def kyrios(*words):
    command = [sys.executable, "-c", "from kyrios.cli import main; main()", *map(os.fspath, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_draws_a_run_and_tells_what_it_waited_for(sums):
    run = load_flow(sums).run()

    text = kyrios("graph", sums, "--run", run.run_id).stdout
    told = json.loads(kyrios("graph", sums, "--run", run.run_id, "--faster", "numbers=1000000", "--json").stdout)
    mermaid = kyrios("graph", sums, "--run", run.run_id, "--critical", "--format", "mermaid").stdout

    assert text.count("succeeded") == 4
    assert told["measured"] == run.run_id
    assert told["seconds"] < told["before"]["seconds"]
    assert told["before"]["path"][0] == "numbers"
    assert "classDef succeeded" in mermaid
    assert kyrios("graph", sums, "--run", run.run_id, "--format", "html").stdout.startswith("<!doctype html>")
    assert kyrios("graph", sums, "--format", "svg").stdout.startswith("<svg")


def test_a_run_of_another_version_is_not_drawn(sums):
    run = load_flow(sums).run()
    sums.replace("flow.yaml", "first: 1", "first: 2")

    done = kyrios("graph", sums, "--run", run.run_id)

    assert (done.returncode, "another version" in done.stderr) == (5, True)


def test_a_number_that_is_none_is_refused(sums):
    done = kyrios("graph", sums, "--faster", "both=fast")

    assert (done.returncode, "--faster both=2" in done.stderr) == (2, True)
