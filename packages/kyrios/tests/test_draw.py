"""Graphs as pictures made of characters."""

from __future__ import annotations

from textwrap import dedent

import kyrios
from kyrios import draw
from kyrios.graph import Graph, ReadySet, Task, ordered


def graph(**upstream):
    tasks = (Task(n, n, "1", "m:f", inputs={u: f"{u}.out" for u in before}) for n, before in upstream.items())
    return Graph("drawn", "1", ordered(tasks))


def test_a_chain_is_a_column_of_boxes():
    assert draw.text(graph(load=[], save=["load"])) == dedent("""\
        ┌───────┐
        │ load  │
        └───────┘
            │
            ▼
        ┌───────┐
        │ save  │
        └───────┘
    """)


def test_lines_part_and_meet():
    assert draw.text(graph(a=[], b=["a"], c=["a"], d=["b", "c"])) == dedent("""\
            ┌───┐
            │ a │
            └───┘
              │
          ╭───┴───╮
          ▼       ▼
        ┌───┐   ┌───┐
        │ b │   │ c │
        └───┘   └───┘
          │       │
          ╰───┬───╯
              ▼
            ┌───┐
            │ d │
            └───┘
    """)


def test_an_edge_that_skips_a_layer_passes_beside_its_boxes():
    lines = draw.text(graph(a=[], b=["a"], c=["b", "a"])).splitlines()

    assert "│ b │   │" in "\n".join(lines)


def test_a_note_stands_in_the_box_of_its_task():
    assert "│ 0.12 s  │" in draw.text(graph(load=[]), {"load": "0.12 s"})


def test_mermaid_names_the_tables_on_its_arrows_and_dots_a_mere_order(sums):
    sums.replace(
        "flow.yaml", "numbers: {use: numbers@1,", "first: {use: numbers@1}\n  numbers: {use: numbers@1, after: [first],"
    )

    text = draw.mermaid(kyrios.load_flow(sums).graph)

    assert text.startswith("flowchart TD\n")
    assert "    double -->|numbers| both\n" in text
    assert "    first -.-> numbers\n" in text


def test_the_order_of_a_graph_is_by_its_edges_and_then_by_name():
    names = graph(z=[], y=["z"], a=["y"], b=["z"], c=[]).names

    assert names == ("c", "z", "b", "y", "a")


def test_what_can_no_longer_run_is_everything_behind_a_failure():
    found = graph(a=[], b=["a"], c=["b"], d=["a"], e=["d", "c"])
    ready = ReadySet(found, ["a"])

    assert ready.drop("b") == ["c", "e"]
