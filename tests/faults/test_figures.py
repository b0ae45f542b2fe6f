from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.faults import figures
from tests.faults.figures import Faults


def test_a_share_of_each_count_is_tried_and_never_none():
    assert [Faults(share).count(300) for share in (1, 0.05, 0.0001)] == [300, 15, 1]


def test_a_figure_counts_what_was_tried_survived_and_lost():
    figure = Faults(1).figure("store-kill", "veda", "kill -9 while a package is pushed")
    figure.survives()
    figure.survives("blob 2 is torn")

    assert (figure.tried, figure.survived, figure.lost) == (2, 1, 1)
    assert str(figure) == "veda: kill -9 while a package is pushed: 2 tried, 1 lost"
    assert figure.harms == ["blob 2 is torn"]


def test_two_tests_cannot_count_into_one_figure():
    faults = Faults(1)
    faults.figure("store-kill", "veda", "kill -9")

    with pytest.raises(AssertionError, match="store-kill"):
        faults.figure("store-kill", "veda", "kill -9")


def test_the_file_holds_one_record_a_figure_with_its_commit(tmp_path: Path):
    faults = Faults(1)
    faults.figure("b", "veda", "kill").survives()
    faults.figure("a", "veda", "power loss").survives("gone")

    figures.write(faults.figures.values(), tmp_path / "figures.json")

    records = json.loads((tmp_path / "figures.json").read_text())
    assert [(r["id"], r["tried"], r["survived"], r["lost"]) for r in records] == [("a", 1, 0, 1), ("b", 1, 1, 0)]
    assert {tuple(r) for r in records} == {("id", "library", "figure", "tried", "survived", "lost", "commit")}
    assert all(r["commit"] for r in records)


def test_a_run_of_some_suites_keeps_the_figures_of_the_others(tmp_path: Path):
    path = tmp_path / "figures.json"
    before, now = Faults(1), Faults(1)
    before.figure("a", "veda", "kill").survives()
    before.figure("b", "veda", "kill").survives("gone")
    now.figure("b", "veda", "kill").survives()

    figures.write(before.figures.values(), path)
    figures.write(now.figures.values(), path, keep=True)

    assert [(r["id"], r["lost"]) for r in json.loads(path.read_text())] == [("a", 0), ("b", 0)]
