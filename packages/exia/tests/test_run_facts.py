"""A run knows what it was made of, and whether it still lives."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import exia
from exia.errors import BadInput
from exia.params.version import ParamsVersion
from exia.runs.life import judged


@pytest.fixture
def store():
    store = exia.open_runs()
    yield store
    store.close()


def test_a_run_knows_what_it_was_made_of(store, exia_home, monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "__file__", __file__, raising=False)  # one of many processes has none
    with exia.run("made of") as run:
        pass

    found = store.get(run.id).facts
    assert found["process"]["pid"] == os.getpid()
    assert found["environment"]["digest"].startswith("sha256:")
    assert found["environment"]["packages"] > 10
    assert found["code"]["digest"].startswith("sha256:")
    assert found["python"].startswith("3.")
    assert found["resources"]["cpu_seconds"] > 0
    assert found["resources"]["rss_max_bytes"] >= found["resources"]["rss_bytes"] > 10_000_000
    assert "git" not in found


def test_the_commit_branch_and_changes_of_the_working_folder_are_recorded(store, tmp_path):
    def git(*words):
        names = ("-c", "user.name=li", "-c", "user.email=li@example.org")
        return subprocess.run(["git", *names, *words], check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q", "-b", "research")
    (tmp_path / "a.py").write_text("1")
    git("add", "a.py")
    git("commit", "-qm", "one")
    (tmp_path / "a.py").write_text("2")
    with exia.run("in git") as run:
        pass

    kept = store.get(run.id)
    assert kept.commit == git("rev-parse", "HEAD")
    assert kept.facts["git"] == {"commit": kept.commit, "branch": "research", "dirty": True}


def test_packages_data_sets_and_parameter_versions_are_recorded(store):
    loaded = exia.load("python:statistics:NormalDist")
    with exia.run("traced") as run:
        run.log_package(loaded)
        run.log_package("momentum", version="1.2.0", digest="sha256:ab")
        run.log_dataset("bars/daily", "v7", rows=5_000, first=20260102, last="20261120", adjusted=True)
        with pytest.raises(BadInput, match="rows of bars must be a whole number"):
            run.log_dataset("bars", "v7", rows=-1)
        run.log_parameters(ParamsVersion("momentum", 3, {}, {}, "", "li"))

    found = store.get(run.id).facts
    assert found["packages/momentum"] == {"version": "1.2.0", "digest": "sha256:ab"}
    assert found[f"packages/{loaded.name}"]["version"] == loaded.version
    assert found["datasets/bars/daily"] == {
        "version": "v7", "rows": 5_000, "first": "20260102", "last": "20261120", "adjusted": True,
    }  # fmt: skip
    assert found["parameters/momentum"] == {"version": 3}


def test_a_run_gives_signs_of_life_with_what_it_uses(store, monkeypatch):
    monkeypatch.setenv("EXIA_HEARTBEAT", "0.05")
    with exia.run("lives") as run:
        while "system/rss_bytes" not in store.get(run.id).metrics:
            pass
        kept = store.get(run.id)

    assert kept.heartbeat is not None
    assert kept.heartbeat > kept.started
    assert kept.metrics["system/rss_bytes"] > 10_000_000
    assert kept.metrics["system/cpu_percent"] >= 0


def test_a_heartbeat_of_nothing_is_refused(monkeypatch):
    monkeypatch.setenv("EXIA_HEARTBEAT", "0")

    with pytest.raises(BadInput, match="heartbeat must be more than 0"):
        exia.run("dead").start()


def test_a_run_that_goes_on_is_not_lost(store):
    with exia.run("alive") as run:
        assert judged(store.get(run.id)).status == "running"


@pytest.mark.parametrize("change", [{"boot": "another"}, {"started": 1}, {"pid": 2**22 + 1}])
def test_a_run_whose_process_is_gone_is_lost(store, change):
    with exia.run("gone") as run:
        kept = store.get(run.id)
        kept.facts["process"] |= change

        assert judged(kept).status == "lost"


def test_a_run_of_another_machine_is_lost_when_it_is_silent(store):
    with exia.run("far") as run:
        kept = store.get(run.id)
        kept.host = "another"
        assert judged(kept).status == "running"
        kept.heartbeat = kept.started = "2026-01-02T03:04:05.000000+00:00"

        assert judged(kept).status == "lost"
