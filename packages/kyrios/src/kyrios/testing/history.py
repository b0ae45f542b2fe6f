"""What every record of runs must do."""

from __future__ import annotations

import pytest

from kyrios.errors import IllegalTransition, RunNotFound
from kyrios.history import Head, History
from kyrios.state import Event, State, utc_now


def head(run_id: str = "run-1", created: str = "2026-01-05T10:00:00+00:00") -> Head:
    """Return the head of a run."""
    return Head(
        run_id=run_id,
        trace_id="trace",
        flow="momentum",
        digest="sha256:0",
        engine="local",
        host="here",
        data="file:///srv",
        folder="/flows/momentum",
        created=created,
        params={"top": 2, "codes": ["AAPL.US"], "name": "绩元"},
        graph='{"tasks":[]}',
        environment={"python": "3.11"},
    )


def events(*steps: tuple[str, State]) -> list[Event]:
    """Return an event for each step."""
    return [Event(task, state, utc_now(), {"n": i}) for i, (task, state) in enumerate(steps)]


class HistoryContract:
    """Give a `history` fixture that opens an empty record."""

    def test_a_run_is_read_as_it_was_begun(self, history: History) -> None:
        begun = history.begin(head())

        assert begun == head()
        assert history.head("run-1") == head()

    def test_a_run_that_is_begun_twice_stays_what_it_was_first(self, history: History) -> None:
        history.begin(head())

        assert history.begin(head(created="2027-01-01T00:00:00+00:00")) == head()

    def test_events_come_back_in_their_order(self, history: History) -> None:
        history.begin(head())
        first = events(("a", State.QUEUED), ("b", State.QUEUED), ("a", State.RUNNING))
        second = events(("a", State.SUCCEEDED), ("", State.QUEUED))
        history.append("run-1", first)
        history.append("run-1", second)

        assert history.events("run-1") == first + second

    def test_a_state_that_does_not_follow_is_refused_with_all_that_came_with_it(self, history: History) -> None:
        history.begin(head())
        history.append("run-1", events(("a", State.QUEUED)))

        with pytest.raises(IllegalTransition, match="a is queued, and succeeded cannot follow"):
            history.append("run-1", events(("b", State.QUEUED), ("a", State.SUCCEEDED)))

        assert [e.task for e in history.events("run-1")] == ["a"]

    def test_of_two_that_start_the_same_task_only_the_first_does(self, history: History) -> None:
        history.begin(head())
        history.append("run-1", events(("a", State.QUEUED), ("a", State.RUNNING)))

        with pytest.raises(IllegalTransition):
            history.append("run-1", events(("a", State.RUNNING)))

    def test_runs_do_not_see_each_others_events(self, history: History) -> None:
        history.begin(head("run-1"))
        history.begin(head("run-2"))
        history.append("run-1", events(("a", State.QUEUED)))

        assert history.events("run-2") == []

    def test_the_newest_runs_come_first(self, history: History) -> None:
        for day in (6, 8, 7):
            history.begin(head(f"run-{day}", f"2026-01-0{day}T10:00:00+00:00"))

        assert [h.run_id for h in history.heads()] == ["run-8", "run-7", "run-6"]
        assert [h.run_id for h in history.heads(1)] == ["run-8"]

    def test_a_reader_that_follows_the_record_hears_of_every_run_that_changed(self, history: History) -> None:
        history.begin(head("run-1"))
        history.begin(head("run-2"))
        history.append("run-1", events(("", State.QUEUED), ("a", State.QUEUED)))

        told, after = history.changed()
        assert told == ["run-1"]
        assert history.changed(after)[1] == after

        history.append("run-2", events(("", State.QUEUED)))
        history.append("run-1", events(("a", State.RUNNING)))
        assert set(history.changed(after)[0]) == {"run-1", "run-2"}
        assert history.changed(after)[1] > after

    def test_a_run_that_never_was_is_not_found(self, history: History) -> None:
        for ask in (history.head, history.events, lambda run: history.append(run, [])):
            with pytest.raises(RunNotFound, match="no run 'none'"):
                ask("none")
