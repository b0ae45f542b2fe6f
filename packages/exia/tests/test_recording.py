"""A run records what it was given and what came out; what makes no sense is refused."""

from __future__ import annotations

import math
import multiprocessing
import re
import threading

import pytest

import exia
from exia.errors import BadInput, RunClosed


@pytest.fixture
def store():
    store = exia.open_runs()
    yield store
    store.close()


def _log_and_raise(run, error):
    run.log_metric("ic", 0.03)
    raise error


def test_a_run_records_what_it_was_given_and_what_came_out(store):
    with exia.run("momentum-live", params={"window": 20}, tags={"desk": "alpha"}) as run:
        assert store.get(run.id).status == "running"
        run.log_metric("ic", 0.03)
        run.log_metric("ic", 0.04)
        run.log_metric("val/ic", 0.05, step=7)
        run.log_params({"universe": ["A", "B"]})
        run.log_tags({"stage": "live"})

    kept = store.get(run.id)
    assert (kept.status, kept.error) == ("finished", None)
    assert kept.params == {"window": 20, "universe": ["A", "B"]}
    assert kept.tags == {"desk": "alpha", "stage": "live"}
    assert kept.metrics == {"ic": 0.04, "val/ic": 0.05}
    assert [(p.seq, p.value, p.step) for p in store.points(run.id, "ic")] == [(0, 0.03, 0), (1, 0.04, 1)]
    assert [p.step for p in store.points(run.id, "val/ic")] == [7]


def test_times_are_utc_and_the_id_is_a_uuid7(store):
    with exia.run("clock") as run:
        pass

    kept = store.get(run.id)
    assert kept.started.endswith("+00:00")
    assert kept.ended is not None
    assert kept.started <= kept.ended
    assert kept.host
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", run.id)


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("no prices"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_an_exception_is_recorded_with_its_traceback_and_goes_on(store, error, status):
    run = exia.run("breaks")
    with pytest.raises(type(error)), run:
        _log_and_raise(run, error)

    kept = store.get(run.id)
    assert kept.status == status
    assert kept.error is not None
    assert kept.error.startswith(type(error).__name__)
    assert kept.traceback is not None
    assert "raise error" in kept.traceback
    assert kept.metrics == {"ic": 0.03}


def test_flushed_metrics_are_durable_before_the_run_ends(store):
    with exia.run("flushes") as run:
        for i in range(5_000):
            run.log_metric("ic", i)
        run.flush()

        assert len(store.points(run.id, "ic")) == 5_000


def test_many_threads_log_to_one_run(store):
    with exia.run("threads") as run:
        threads = [
            threading.Thread(target=lambda i=i: [run.log_metric(f"m{i}", n) for n in range(500)]) for i in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert all([p.value for p in store.points(run.id, f"m{i}")] == list(range(500)) for i in range(8))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "0.3", None, True, 1j])
def test_a_metric_that_is_no_finite_number_is_refused(store, value):
    with exia.run("strict") as run, pytest.raises(BadInput, match="ic must be a finite number"):
        run.log_metric("ic", value)

    assert store.get(run.id).metrics == {}


@pytest.mark.parametrize(
    "name", ["", "../runs", "a/b", "/etc", "a\x00b", "a\nb", ".hidden", "..", "x" * 201, "a\\b", None]
)
def test_a_run_name_that_could_pass_for_a_path_is_refused(store, name):
    with pytest.raises(BadInput, match="cannot be called"):
        exia.run(name)
    assert store.find() == []


@pytest.mark.parametrize("name", ["", "../ic", "/ic", "val//ic", "val/", "a\nb", "x" * 201])
def test_a_metric_name_that_could_pass_for_a_path_is_refused(name):
    with exia.run("strict") as run, pytest.raises(BadInput, match="metric cannot be called"):
        run.log_metric(name, 1.0)


def test_chinese_names_are_names(store):
    with exia.run("动量策略", tags={"部门": "量化"}) as run:
        run.log_metric("收益", 0.1)

    assert store.find(name="动量策略")[0].metrics == {"收益": 0.1}


@pytest.mark.parametrize("params", [{"a": object()}, {"a": math.nan}, {"../a": 1}])
def test_params_that_are_no_json_are_refused_and_nothing_is_recorded(store, params):
    with pytest.raises(BadInput):
        exia.run("strict", params=params)
    assert store.find() == []


def test_a_run_is_closed_once(store):
    run = exia.run("twice").start()
    run.finish()

    with pytest.raises(RunClosed):
        run.finish("failed")
    with pytest.raises(RunClosed):
        run.log_metric("ic", 1.0)
    with pytest.raises(RunClosed):
        run.start()
    assert store.get(run.id).status == "finished"


def test_a_run_that_was_not_started_takes_nothing():
    with pytest.raises(RunClosed, match="was not started"):
        exia.run("early").log_metric("ic", 1.0)


def test_a_forked_child_cannot_log_to_its_parents_run(store):
    context = multiprocessing.get_context("fork")
    hears, says = context.Pipe(duplex=False)

    def child():
        try:
            run.log_metric("ic", 9.0)
        except RunClosed as exc:
            says.send(str(exc))
        with exia.run("the child") as own:
            own.log_metric("ic", 2.0)
        says.send(own.id)

    with exia.run("parent") as run:
        run.log_metric("ic", 1.0)
        process = context.Process(target=child)
        process.start()
        assert hears.poll(20)
        assert "was forked off" in hears.recv()
        assert hears.poll(20)
        own = hears.recv()
        process.join()

    assert [p.value for p in store.points(run.id, "ic")] == [1.0]
    assert store.get(own).metrics == {"ic": 2.0}


@pytest.mark.parametrize("step", [1.5, "1", True, 2**63, -(2**63) - 1])
def test_a_step_that_is_no_whole_number_is_refused(step):
    with exia.run("strict") as run, pytest.raises(BadInput, match="must be a whole number of 64 bits"):
        run.log_metric("ic", 1.0, step)


def test_several_metrics_are_logged_at_one_step(store):
    with exia.run("several") as run:
        run.log_metrics({"ic": 0.1, "rank": 0.2}, step=5)

    assert store.get(run.id).metrics == {"ic": 0.1, "rank": 0.2}
    assert store.points(run.id, "rank")[0].step == 5
