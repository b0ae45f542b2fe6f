from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from exia.errors import BackendUnavailable, BadInput, MissingExtra, UnknownBackend
from exia.runs import RunStore, open_runs
from exia.testing import RunsContract
from exia.testing.runs import points, record


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=pytest.mark.mongodb)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunStore]:
    store = open_runs(backend_url(request.param, tmp_path))
    yield store
    for run in store.find(limit=1_000):
        store.delete(run.id)
    store.close()


def backend_url(word: str, tmp_path: Path) -> str:
    """Return the URL of an empty store; a server's is where EXIA_TEST_<WORD>_URL says."""
    if word == "sqlite":
        return f"sqlite:///{tmp_path / 'here.db'}"
    parts = urlsplit(os.environ[f"EXIA_TEST_{word.upper()}_URL"])
    return urlunsplit(parts._replace(path=f"/exia_test_{os.getpid()}"))


class TestRuns(RunsContract):
    """All of `RunsContract`, once per backend."""


def test_the_default_store_lies_in_the_home(exia_home):
    open_runs().close()

    assert (exia_home / "runs.db").is_file()


def test_the_configured_store_is_opened(tmp_path, monkeypatch):
    monkeypatch.setenv("EXIA_RUNS", f"sqlite:///{tmp_path / 'other.db'}")

    open_runs().close()

    assert (tmp_path / "other.db").is_file()


def test_what_was_written_is_there_when_the_store_is_opened_again(tmp_path):
    url = f"sqlite:///{tmp_path / 'here.db'}"
    first = open_runs(url)
    first.start(record())
    first.log("r1", points(0.5))
    first.close()

    second = open_runs(url)

    assert second.get("r1").metrics == {"ic": 0.5}
    second.close()


_OLDER = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL, started TEXT NOT NULL, ended TEXT,
    params TEXT NOT NULL, tags TEXT NOT NULL, host TEXT NOT NULL, "commit" TEXT, error TEXT, traceback TEXT
) WITHOUT ROWID;
CREATE TABLE metrics (
    run_id TEXT NOT NULL, seq INTEGER NOT NULL, name TEXT NOT NULL, value REAL NOT NULL, step INTEGER NOT NULL,
    time TEXT NOT NULL, PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;
INSERT INTO runs VALUES ('r1', 'old', 'finished', 't0', 't1', '{"a": 1}', '{"desk": "alpha"}', 'h', 'c', NULL, NULL);
INSERT INTO metrics VALUES ('r1', 0, 'ic', 0.5, 0, 't0'), ('r1', 1, 'ic', 0.25, 1, 't0');
"""


def test_a_store_of_an_older_exia_is_brought_up_to_date(tmp_path):
    older = sqlite3.connect(tmp_path / "old.db")
    older.executescript(_OLDER)
    older.close()

    store = open_runs(f"sqlite:///{tmp_path / 'old.db'}")

    run = store.get("r1")
    assert (run.params, run.tags, run.metrics, run.commit) == ({"a": 1}, {"desk": "alpha"}, {"ic": 0.25}, "c")
    store.start(record("r2"))
    store.log("r1", points(0.75, first=2), heartbeat="t2")
    assert store.get("r1").metrics == {"ic": 0.75}
    store.close()


def test_two_stores_may_write_to_one_file(tmp_path):
    url = f"sqlite:///{tmp_path / 'here.db'}"
    a, b = open_runs(url), open_runs(url)

    a.start(record("a"))
    b.start(record("b"))

    assert {r.id for r in a.find()} == {"a", "b"}
    a.close()
    b.close()


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "text.db").write_text("this is no database, and long enough to be read as one" * 20)

    with pytest.raises(BackendUnavailable, match=r"text\.db"):
        open_runs(f"sqlite:///{tmp_path / 'text.db'}")


def test_an_unknown_scheme_names_those_that_are_known():
    with pytest.raises(UnknownBackend, match=r"known: .*sqlite"):
        open_runs("sqllite://")


def test_a_host_makes_no_sense_for_a_file():
    with pytest.raises(BadInput, match="names a host"):
        open_runs("sqlite://db/runs")


def test_a_server_that_is_not_there_is_told_within_its_timeout():
    pytest.importorskip("pymongo", reason="pip install 'jiyuan-exia[mongodb]' to run this")

    with pytest.raises(BackendUnavailable, match=r"mongodb://desk:\*\*\*@127\.0\.0\.1:1/runs did not answer") as caught:
        open_runs("mongodb://desk:canary@127.0.0.1:1/runs")
    assert "canary" not in str(caught.value)


def test_a_store_without_its_driver_names_the_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pymongo", None)
    monkeypatch.delitem(sys.modules, "exia.runs.mongodb", raising=False)

    with pytest.raises(MissingExtra) as caught:
        open_runs("mongodb://127.0.0.1")
    assert caught.value.hint == "pip install 'jiyuan-exia[mongodb]'"
