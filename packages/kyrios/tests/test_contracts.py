"""Every adapter keeps the promises of its port."""

from __future__ import annotations

import pytest

from kyrios import open_data, open_engine, open_history
from kyrios.testing import DataContract, HistoryContract, RunnerContract


@pytest.fixture(params=["file", "memory"])
def data(request, tmp_path):
    return open_data({"file": f"file://{tmp_path}/data", "memory": "memory://"}[request.param])


@pytest.fixture(params=["sqlite"])
def history(request, tmp_path):
    with open_history(f"sqlite://{tmp_path}/history.db") as history:
        yield history


@pytest.fixture(params=["local:?workers=1", "local:?workers=4"])
def runner(request):
    return open_engine(request.param)


class TestData(DataContract):
    """All of `DataContract`, once per backend."""


class TestHistory(HistoryContract):
    """All of `HistoryContract`, once per backend."""


class TestRunner(RunnerContract):
    """All of `RunnerContract`, with one worker and with four."""


def test_what_is_put_into_a_named_memory_is_seen_by_all_that_name_it():
    open_data("memory:shared").put("run/key", b"x")

    assert open_data("memory:shared").has("run/key")
    assert not open_data("memory:other").has("run/key")


def test_the_record_outlives_its_process(tmp_path):
    from kyrios.testing.history import head

    with open_history(f"sqlite://{tmp_path}/history.db") as history:
        history.begin(head())
    with open_history(f"sqlite://{tmp_path}/history.db") as history:
        assert history.head("run-1") == head()


def test_a_recorded_event_cannot_be_changed_behind_the_records_back(tmp_path):
    import sqlite3

    from kyrios.testing.history import State, events, head

    with open_history(f"sqlite://{tmp_path}/history.db") as history:
        history.begin(head())
        history.append("run-1", events(("a", State.QUEUED)))
    db = sqlite3.connect(tmp_path / "history.db")
    for statement in ("update events set state = 'failed'", "delete from events"):
        with pytest.raises(sqlite3.DatabaseError, match=r"events (never change|stay)"):
            db.execute(statement)
    db.close()
