from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exia.errors import BackendUnavailable, BadInput, UnknownBackend
from exia.runs import RunStore, open_runs
from exia.testing import RunsContract
from exia.testing.runs import points, record


@pytest.fixture(params=["sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunStore]:
    store = open_runs(f"sqlite:///{tmp_path / 'here.db'}")
    yield store
    store.close()


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
    with pytest.raises(UnknownBackend, match="known: .*sqlite"):
        open_runs("sqllite://")


def test_a_host_makes_no_sense_for_a_file():
    with pytest.raises(BadInput, match="names a host"):
        open_runs("sqlite://db/runs")
