"""One flow on several engines: the same bytes, the same states, whatever runs it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import kyrios
from kyrios.compare import compare, runners

FLOWS = sorted(p.parent for p in (Path(__file__).parents[3] / "examples" / "flows").glob("*/flow.yaml"))
NEEDS_DATA = {"momentum"}


def test_the_engines_to_compare_are_those_that_are_installed():
    assert runners()[0] == "local"
    assert "airflow" not in runners()


def test_two_ways_to_run_a_flow_give_the_same_bytes(sums):
    one, many = compare(kyrios.load_flow(sums), ["local:?workers=1", "local:?workers=4"])

    assert (one.state, one.same) == (many.state, many.same) == ("succeeded", True)


def test_an_output_that_differs_is_named(sums):
    sums.code(sums.code_text().replace("[first, first + 1]", "[first, __import__('time').time_ns()]"))
    one, many = compare(kyrios.load_flow(sums), ["local:?workers=1", "local:?workers=4"])

    assert one.same
    assert not many.same
    assert "numbers.numbers" in many.differs


def test_an_engine_that_does_not_answer_is_said_so(sums):
    pytest.importorskip("celery")
    (answer,) = compare(kyrios.load_flow(sums), ["celery://127.0.0.1:1/0"])

    assert answer.state == "unreachable"
    assert "celery://127.0.0.1:1/0" in answer.detail


@pytest.mark.celery
@pytest.mark.redis
@pytest.mark.dask
@pytest.mark.parametrize("folder", [f for f in FLOWS if f.name not in NEEDS_DATA], ids=lambda f: f.name)
def test_every_example_gives_the_same_bytes_on_celery_and_dask_as_here(folder, celery_workers):
    answers = list(compare(kyrios.load_flow(folder), ["local", celery_workers, "dask:?workers=2"]))

    assert [(a.state, a.differs) for a in answers] == [("succeeded", ())] * 3


@pytest.mark.mysql
def test_a_flow_keeps_its_record_in_mysql(sums, monkeypatch):
    monkeypatch.setenv("KYRIOS_HISTORY", os.environ["KYRIOS_TEST_MYSQL_URL"])
    run = kyrios.load_flow(sums).run()

    assert kyrios.get_run(run.run_id).events == run.events
    assert run.state == "succeeded"
