"""The contract of the port ``runs``."""

from __future__ import annotations

from typing import Any

import pytest

from exia.errors import BadInput, RunNotFound
from exia.runs import Point, RunRecord, RunStore

_AT = "2026-01-02T03:04:05.000000+00:00"
_LATER = "2026-01-02T03:05:00.000000+00:00"


def record(run_id: str = "r1", **values: Any) -> RunRecord:
    """Return a run that has just started."""
    return RunRecord(**{"id": run_id, "name": "momentum", "started": _AT, "host": "desk", **values})


def points(*values: float, metric: str = "ic", first: int = 0) -> list[Point]:
    """Return one point for each value."""
    return [Point(first + i, metric, value, i, _AT) for i, value in enumerate(values)]


class RunsContract:
    """Give a fixture ``store`` that opens an empty store."""

    def test_what_was_started_comes_back_as_it_was(self, store: RunStore) -> None:
        run = record(params={"window": 20, "names": ["a", None]}, tags={"desk": "甲"}, commit="abc")

        store.start(run)

        assert store.get("r1") == run

    def test_starting_twice_changes_nothing(self, store: RunStore) -> None:
        store.start(record(params={"window": 20}))
        store.start(record(params={"window": 30}))

        assert store.get("r1").params == {"window": 20}
        assert len(store.find()) == 1

    def test_metrics_come_back_in_order_and_the_last_is_in_the_record(self, store: RunStore) -> None:
        store.start(record())

        store.log("r1", points(0.1, 0.3))
        store.log("r1", points(0.2, first=2))

        assert [p.value for p in store.points("r1", "ic")] == [0.1, 0.3, 0.2]
        assert store.get("r1").metrics == {"ic": 0.2}

    def test_logging_the_same_points_again_changes_nothing(self, store: RunStore) -> None:
        store.start(record())
        store.log("r1", points(0.1, 0.3))

        store.log("r1", points(0.1, 0.3, 0.5))

        assert [p.value for p in store.points("r1", "ic")] == [0.1, 0.3, 0.5]

    def test_a_metric_that_was_not_logged_has_no_points(self, store: RunStore) -> None:
        store.start(record())

        assert store.points("r1", "ic") == []

    def test_params_and_tags_are_added_to_those_that_are_there(self, store: RunStore) -> None:
        store.start(record(params={"a": 1, "b": {"deep": 1}}, tags={"desk": "alpha"}))

        store.log("r1", values={"params": {"b": {"other": 2}, "c.d": None}, "tags": {"stage": "live"}})

        assert store.get("r1").params == {"a": 1, "b": {"other": 2}, "c.d": None}
        assert store.get("r1").tags == {"desk": "alpha", "stage": "live"}

    def test_what_a_run_was_made_of_comes_back(self, store: RunStore) -> None:
        given: dict[Any, dict[str, Any]] = {
            "facts": {"code": {"digest": "ab", "dirty": False}, "rss": 2**40, "python": "3.11"},
            "artifacts": {"plots/ic.svg": {"digest": "cd", "size": 3}},
            "notes": {_AT: "the first $try, 50% done"},
            "output": {"0": {"n": 0, "text": "printed"}},
        }
        store.start(record(facts={"python": "3.10", "user": "li"}))

        store.log("r1", values=given)
        store.log("r1", values=given)

        run = store.get("r1")
        assert run.facts == {"user": "li", **given["facts"]}
        assert (run.artifacts, run.notes, run.output) == (given["artifacts"], given["notes"], given["output"])
        assert store.find()[0].facts == run.facts
        assert store.find()[0].output == {}

    def test_values_of_an_unknown_kind_are_refused(self, store: RunStore) -> None:
        store.start(record())
        unknown: dict[Any, dict[str, Any]] = {"status": {"a": 1}}

        with pytest.raises(BadInput, match="'status'"):
            store.log("r1", values=unknown)

    def test_the_latest_sign_of_life_counts(self, store: RunStore) -> None:
        store.start(record())
        assert store.get("r1").heartbeat is None

        store.log("r1", heartbeat=_LATER)
        store.log("r1", heartbeat=_AT)

        assert store.get("r1").heartbeat == _LATER

    def test_an_older_batch_that_comes_again_does_not_take_the_last_value_back(self, store: RunStore) -> None:
        store.start(record())
        store.log("r1", points(0.9, 0.8))
        store.log("r1", points(0.1, first=2))

        store.log("r1", points(0.9, 0.8))

        assert store.get("r1").metrics == {"ic": 0.1}

    def test_the_first_end_of_a_run_counts(self, store: RunStore) -> None:
        store.start(record())

        store.finish("r1", "failed", _LATER, "ValueError: no", "Traceback ...")
        store.finish("r1", "finished", _AT)

        run = store.get("r1")
        assert (run.status, run.ended, run.error, run.traceback) == (
            "failed",
            _LATER,
            "ValueError: no",
            "Traceback ...",
        )

    def test_runs_are_found_newest_first_by_name_and_status(self, store: RunStore) -> None:
        for i, name in enumerate(["a", "b", "a"]):
            store.start(record(f"r{i}", name=name, started=f"2026-01-0{i + 1}T00:00:00+00:00"))
        store.finish("r0", "finished", _LATER)

        assert [r.id for r in store.find()] == ["r2", "r1", "r0"]
        assert [r.id for r in store.find(limit=1)] == ["r2"]
        assert [r.id for r in store.find(name="a")] == ["r2", "r0"]
        assert [r.id for r in store.find(name="a", status="running")] == ["r2"]
        assert store.find(name="a' OR '1'='1") == []
        assert [r.id for r in store.find(after="r2")] == ["r1", "r0"]
        assert [r.id for r in store.find(name="a", after="r2", limit=1)] == ["r0"]
        assert store.find(after="r0") == []

    def test_runs_that_started_together_are_all_found(self, store: RunStore) -> None:
        for run_id in ("a", "b", "c"):
            store.start(record(run_id))

        assert [r.id for r in store.find(after="c")] == ["b", "a"]

    def test_ids_are_found_by_how_they_begin(self, store: RunStore) -> None:
        for run_id in ("ab1", "ab2", "b1", "a%"):
            store.start(record(run_id))

        assert store.ids("ab") == ["ab1", "ab2"]
        assert store.ids("ab", limit=1) == ["ab1"]
        assert store.ids("a%") == ["a%"]
        assert store.ids("_") == []
        assert len(store.ids("")) == 4

    def test_a_deleted_run_is_gone_with_its_metrics(self, store: RunStore) -> None:
        store.start(record())
        store.log("r1", points(0.1))
        store.delete("r1")
        with pytest.raises(RunNotFound):
            store.get("r1")

        store.start(record())

        assert store.points("r1", "ic") == []

    @pytest.mark.parametrize("verb", ["get", "log", "finish", "points", "delete"])
    def test_an_unknown_run_is_not_found(self, store: RunStore, verb: str) -> None:
        arguments: dict[str, tuple[Any, ...]] = {
            "log": (points(0.1),),
            "finish": ("finished", _LATER),
            "points": ("ic",),
        }

        with pytest.raises(RunNotFound, match="ghost"):
            getattr(store, verb)("ghost", *arguments.get(verb, ()))
        assert store.find() == []

    def test_it_says_that_it_answers(self, store: RunStore) -> None:
        assert store.ping()
