from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

_SETTINGS = (
    "RUNS",
    "ARTIFACTS",
    "MIRROR",
    "HEARTBEAT",
    "OBJECTS",
    "BLOBS",
    "PARAMS",
    "MONITOR",
    "HIDE",
    "SIGNING_KEY",
    "TRUSTED_KEYS",
    "UNPICKLE",
)


@pytest.fixture(autouse=True)
def exia_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Keep every test out of the user's own folders and settings."""
    for name in (*(f"EXIA_{setting}" for setting in _SETTINGS), "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("EXIA_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "home"
    if "exia.runs.journal" in sys.modules:
        sys.modules["exia.runs.journal"].close_journals()
    if "exia.models" in sys.modules:
        sys.modules["exia.models"].close()


def server_url(word: str) -> str:
    # Where there is no server the test's mark has skipped it; without its mark a test must fail, not hide.
    return os.environ[f"EXIA_TEST_{word.upper()}_URL"]


@pytest.fixture
def minio_url(tmp_path: Path) -> str:
    """A place of the test's own in the bucket."""
    pytest.importorskip("minio", reason="pip install 'jiyuan-exia[minio]' to run this")
    parts = urlsplit(server_url("minio"))
    return urlunsplit(parts._replace(path=f"{parts.path}/{tmp_path.name}-{os.getpid()}"))


@pytest.fixture
def mlflow_url(tmp_path: Path) -> str:
    """An experiment of the test's own."""
    return urlunsplit(urlsplit(server_url("mlflow"))._replace(path=f"/{tmp_path.name}-{os.getpid()}"))


@pytest.fixture
def postgresql_url() -> Iterator[str]:
    """An empty database of the test's own."""
    pytest.importorskip("relstorage", reason="pip install 'jiyuan-exia[postgresql]' to run this")
    server, name = server_url("postgresql"), f"exia_test_{os.getpid()}"
    _execute(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    _execute(server, f"CREATE DATABASE {name}")
    yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def execute(postgresql_url: str) -> Callable[[str], list[tuple]]:
    """Run one statement in that database and return its rows."""
    return lambda statement: _execute(postgresql_url, statement)


def _execute(url: str, statement: str) -> list[tuple]:
    import psycopg2

    session = psycopg2.connect(url)
    session.autocommit = True
    try:
        with session.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        session.close()
