from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
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
    "ISOLATE",
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
def in_thread() -> Callable[[Callable[[], Any]], tuple[threading.Thread, list[Any]]]:
    """Call a function in a thread; gives the thread, and a list that gets what came of it."""

    def start(target: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
        result: list[Any] = []

        def work() -> None:
            try:
                result.append(target())
            except BaseException as exc:
                result.append(exc)

        thread = threading.Thread(target=work)
        thread.start()
        return thread, result

    return start


@pytest.fixture
def wait_until_waiting() -> Callable[[Any, int], None]:
    """Return once so many callers wait for a pool's objects."""

    def wait(pool: Any, n: int) -> None:
        tick = threading.Event()
        while pool.stats().waiting < n:
            tick.wait(0.001)

    return wait


@pytest.fixture
def minio_url(tmp_path: Path) -> str:
    """A place of the test's own in the bucket."""
    pytest.importorskip("minio", reason="pip install 'jiyuan-exia[minio]' to run this")
    parts = urlsplit(server_url("minio"))
    return urlunsplit(parts._replace(path=f"{parts.path}/{tmp_path.name}-{os.getpid()}"))


@pytest.fixture
def consul_agent() -> Iterator[Any]:
    """Consul's own client, on the server of the tests."""
    consul = pytest.importorskip("consul", reason="pip install 'jiyuan-exia[consul]' to run this")
    parts = urlsplit(server_url("consul"))
    client = consul.Consul(parts.hostname, parts.port)
    yield client
    client.http.session.close()


@pytest.fixture
def consul_url(tmp_path: Path, consul_agent: Any) -> Iterator[str]:
    """A folder of the test's own in Consul."""
    prefix = f"exia-test/{os.getpid()}/{tmp_path.name}"
    yield urlunsplit(urlsplit(server_url("consul"))._replace(path=f"/{prefix}"))
    consul_agent.kv.delete(prefix, recurse=True)


@pytest.fixture(params=["file", pytest.param("consul", marks=pytest.mark.consul)])
def params_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place for parameters, once per backend."""
    return f"file://{tmp_path}/params" if request.param == "file" else str(request.getfixturevalue("consul_url"))


@pytest.fixture
def params(params_url: str) -> Iterator[Any]:
    """The parameters of `params_url`, opened."""
    from exia.params import open_params

    with open_params(params_url) as opened:
        yield opened


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
