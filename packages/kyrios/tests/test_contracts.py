"""Every adapter keeps the promises of its port."""

from __future__ import annotations

import os

import pytest

from kyrios import open_data, open_engine, open_history
from kyrios._house.backends import BackendURL
from kyrios.testing import DataContract, HistoryContract, RunnerContract


@pytest.fixture(params=["file", "memory"])
def data(request, tmp_path):
    return open_data({"file": f"file://{tmp_path}/data", "memory": "memory://"}[request.param])


@pytest.fixture(params=["sqlite", pytest.param("mysql", marks=pytest.mark.mysql)])
def history(request, tmp_path):
    if request.param == "mysql":
        clear(os.environ["KYRIOS_TEST_MYSQL_URL"])
        url = os.environ["KYRIOS_TEST_MYSQL_URL"]
    else:
        url = f"sqlite://{tmp_path}/history.db"
    with open_history(url) as history:
        yield history


def clear(url):
    import pymysql

    with open_history(url):
        pass
    address = BackendURL.parse(url)
    database = pymysql.connect(
        host=address.host,
        port=address.port,
        user=address.user,
        password=address.password,
        database=address.path.strip("/"),
        autocommit=True,
    )
    with database, database.cursor() as cursor:
        for table in ("kyrios_events", "kyrios_runs"):
            cursor.execute(f"truncate table {table}")


ENGINES = [
    "local:?workers=1",
    "local:?workers=4",
    pytest.param("celery", marks=[pytest.mark.celery, pytest.mark.redis]),
    pytest.param("dask:?workers=2", marks=pytest.mark.dask),
    pytest.param("ray:?workers=2", marks=pytest.mark.ray),
]


@pytest.fixture(params=ENGINES)
def runner(request):
    if request.param == "celery":
        return open_engine(request.getfixturevalue("celery_workers"))
    return open_engine(request.param)


class TestData(DataContract):
    """All of `DataContract`, once per backend."""


class TestHistory(HistoryContract):
    """All of `HistoryContract`, once per backend."""


class TestRunner(RunnerContract):
    """All of `RunnerContract`, once per engine; the local one with one worker and with four."""


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
