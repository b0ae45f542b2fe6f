"""The contract of the port ``monitor``."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from exia.errors import BadInput
from exia.monitor import MonitorStore

_SOURCE = "0199f2a0-0000-7000-8000-000000000001"


def document(number: int = 0, at: str = "2026-01-02T03:04:05.000Z", **more: Any) -> dict[str, Any]:
    """Return an event of the pool ``scores``."""
    event = {"id": f"{_SOURCE}-{number}", "sequence": number, "kind": "event", "dataset": "exia.pool", "duration": 1500}
    return {"@timestamp": at, "event": event, "exia": {"pool": {"name": "scores"}}, **more}


class MonitorContract:
    """Give a fixture ``store`` that opens an empty store."""

    def test_what_was_written_comes_back_as_it_was(self, store: MonitorStore) -> None:
        told = document(message="甲", error={"stack_trace": "a.py:1 in f\nb.py:2 in g"})

        assert store.write([told]) == []

        assert store.query() == [told]

    def test_an_empty_store_has_nothing(self, store: MonitorStore) -> None:
        assert store.query() == []
        assert store.days() == []

    def test_writing_again_changes_nothing(self, store: MonitorStore) -> None:
        three = [document(number) for number in range(3)]
        store.write(three[:2])

        store.write(three)
        store.write(three[:1])

        assert [one["event"]["sequence"] for one in store.query()] == [0, 1, 2]

    def test_sources_are_told_apart(self, store: MonitorStore) -> None:
        other = document(0, "2026-01-02T03:04:06.000Z")
        other["event"]["id"] = other["event"]["id"].replace("0001-", "0002-")

        store.write([document(0)])
        store.write([other])

        assert len(store.query()) == 2

    def test_the_newest_come_oldest_first(self, store: MonitorStore) -> None:
        store.write([document(n, f"2026-01-02T03:04:0{n}.000Z") for n in range(5)])

        assert [one["event"]["sequence"] for one in store.query(limit=2)] == [3, 4]

    def test_a_span_includes_its_start_and_not_its_end(self, store: MonitorStore) -> None:
        store.write([document(n, f"2026-01-0{n + 1}T00:00:00.000Z") for n in range(4)])

        since, until = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 4, tzinfo=UTC)

        assert [one["event"]["sequence"] for one in store.query(since=since, until=until)] == [1, 2]

    def test_documents_are_found_by_their_fields(self, store: MonitorStore) -> None:
        store.write([document(0), document(1, exia={"pool": {"name": "other", "calls": 7}})])

        assert [one["event"]["sequence"] for one in store.query(where={"exia.pool.name": "other"})] == [1]
        assert [one["event"]["sequence"] for one in store.query(where={"exia.pool.calls": "7"})] == [1]
        assert store.query(where={"exia.pool.name": "other", "event.dataset": "exia.params"}) == []
        assert store.query(where={"no.such.field": "x"}) == []

    def test_days_are_listed_and_dropped_whole(self, store: MonitorStore) -> None:
        store.write([document(0, "2026-01-02T23:59:59.999Z"), document(1, "2026-01-03T00:00:00.000Z")])
        assert store.days() == [date(2026, 1, 2), date(2026, 1, 3)]

        store.drop(date(2026, 1, 2))
        store.drop(date(2020, 1, 1))

        assert store.days() == [date(2026, 1, 3)]
        assert [one["event"]["sequence"] for one in store.query()] == [1]

    def test_what_is_no_document_is_refused_and_the_others_are_kept(self, store: MonitorStore) -> None:
        bad = {"@timestamp": "yesterday", "event": {"id": f"{_SOURCE}-0"}}

        (refused,) = store.write([bad, document(1)])

        assert refused.document == bad
        assert refused.reason
        assert [one["event"]["sequence"] for one in store.query()] == [1]

    @pytest.mark.parametrize("limit", [0, 10_001, True, 1.5])
    def test_a_limit_that_is_none_is_refused(self, store: MonitorStore, limit: Any) -> None:
        with pytest.raises(BadInput):
            store.query(limit=limit)

    def test_a_time_without_a_zone_is_refused(self, store: MonitorStore) -> None:
        with pytest.raises(BadInput, match="no time zone"):
            store.query(since=datetime(2026, 1, 1))

    def test_it_says_what_answers(self, store: MonitorStore) -> None:
        assert store.ping()
