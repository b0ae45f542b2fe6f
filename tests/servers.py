"""What an adapter's tests need beside the library: one table, the marks, the skips and the summary line.

A test that needs a server carries the word of its backend as its mark. Servers themselves are in
``tests/services/table.py``, whose plugin starts them; here is which driver each word needs, and the words whose
tests start what they need themselves. Without it a test is skipped with one line that says what to set or install;
a server counts as exercised when a test with its mark has run and passed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.services.plugin import exercised
from tests.services.table import SERVICES


@dataclass(frozen=True)
class Backend:
    """One word: URL scheme, extra, adapter file, mark, and middle of ``<LIB>_TEST_<WORD>_URL``.

    Parameters
    ----------
    libraries
        Who has an adapter for it.
    driver
        Module that the adapters import; empty if they need none.
    url
        What to set in ``<LIB>_TEST_<WORD>_URL``, for a server that nothing here can start; else empty.
    """

    word: str
    libraries: tuple[str, ...]
    driver: str = ""
    url: str = ""

    def missing(self, library: str) -> str | None:
        """Return what to set or install before `library` can be tested on it, or None."""
        variable = f"{library}_TEST_{self.word}_URL".upper()
        if self.driver and find_spec(self.driver) is None:
            how = "make test-airflow" if self.word == "airflow" else "scripts/install servers"
            return f"{self.word}: no module {self.driver}; run: {how}"
        if self.url and not os.environ.get(variable):
            return f"{self.word}: set {variable}={self.url}"
        return None


BACKENDS = (
    Backend("airflow", ("kyrios",), "airflow"),
    Backend("alluxio", ("kyrios",), "alluxiofs", "alluxio://127.0.0.1:19999"),
    Backend("ansible", ("veda",), "ansible_runner"),
    Backend("celery", ("kyrios",), "celery"),
    Backend("clickhouse", ("veda",), "clickhouse_driver"),
    Backend("consul", ("exia",), "consul"),
    Backend("dask", ("kyrios",), "distributed"),
    Backend("elasticsearch", ("exia",), "elasticsearch"),
    Backend("influxdb", ("ptolemy",), "influxdb_client"),
    Backend("minio", ("exia", "veda"), "minio"),
    Backend("minio", ("kyrios",), "s3fs"),
    Backend("mlflow", ("exia",)),
    Backend("modules", ("veda",)),
    Backend("mongodb", ("exia",), "pymongo"),
    Backend("mysql", ("kyrios",), "pymysql"),
    Backend("postgresql", ("exia",), "psycopg2"),
    Backend("ray", ("exia", "kyrios"), "ray"),
    Backend("redis", ("kyrios",), "redis"),
    Backend("supervisor", ("ptolemy",), "supervisor"),
    Backend("tushare", ("ptolemy",), "tushare", "tushare://TOKEN@api.tushare.pro"),
)

#: Words whose servers no table holds: a token, a cluster in the test's own process, an environment of its own.
OTHERS = sorted({b.word for b in BACKENDS} - {row.mark for row in SERVICES})

_exercised: set[str] = set()


def pytest_configure(config: pytest.Config) -> None:
    for word in OTHERS:
        config.addinivalue_line("markers", f"{word}: needs {word}")
    config.addinivalue_line("markers", "network: needs the package index")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    # Before a server is started: without the driver nobody would speak to it.
    library = _library(item.path)
    for backend in BACKENDS:
        marked = item.get_closest_marker(backend.word) and library in backend.libraries
        if marked and (reason := backend.missing(library)):
            pytest.skip(reason)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and report.passed:
        _exercised.update(str(word) for kind, word in report.user_properties if kind == "server")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    report.user_properties.extend(("server", word) for word in OTHERS if item.get_closest_marker(word))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    used, there = exercised(config)
    terminalreporter.write_line(f"servers exercised: {used + len(_exercised)} of {there + len(OTHERS)}")


def _library(path: Path) -> str:
    parts = path.parts
    return parts[parts.index("packages") + 1] if "packages" in parts else ""
