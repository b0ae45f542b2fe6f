"""The servers that tests can use: one table, the marks, the skips and the summary line.

A test that needs a server carries the server's word as its mark. Without the server it is skipped
with one line that says what to set or install; a server counts as exercised when a test with its
mark has run and passed.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Server:
    """One word: URL scheme, extra, adapter file, mark, and middle of ``<LIB>_TEST_<WORD>_URL``.

    Parameters
    ----------
    libraries
        Who has an adapter for it.
    driver
        Module that the adapters import; empty if they need none.
    url
        An address as its variable takes it; empty if the tests start what they need themselves.
    command
        A program that must be on PATH; empty if none.
    get
        How to come by the server.
    """

    word: str
    libraries: tuple[str, ...]
    driver: str = ""
    url: str = ""
    command: str = ""
    get: str = ""

    def variable(self, library: str) -> str:
        """Return the environment variable that names a running server to `library`'s tests."""
        return f"{library}_TEST_{self.word}_URL".upper()

    def missing(self, library: str) -> str | None:
        """Return what to set or install before `library` can be tested on it, or None."""
        if self.driver and find_spec(self.driver) is None:
            return f"{self.word}: no module {self.driver}; run: scripts/install servers"
        if self.command and shutil.which(self.command) is None:
            return f"{self.word}: no program {self.command}; {self.get}"
        if self.url and not os.environ.get(self.variable(library)):
            return f"{self.word}: set {self.variable(library)}={self.url} ({self.get})"
        return None


SERVERS = (
    Server("airflow", ("kyrios",), driver="airflow", get="make test-airflow has an environment for it"),
    Server("alluxio", ("kyrios",), "alluxiofs", "alluxio://127.0.0.1:19999", get="Alluxio 2.9"),
    Server("ansible", ("veda",), "ansible_runner", command="ansible-playbook", get="scripts/install servers"),
    Server("celery", ("kyrios",), "celery", "redis://127.0.0.1:6379/1", get="apt-get install redis-server"),
    Server("clickhouse", ("veda",), "clickhouse_driver", "clickhouse://default@127.0.0.1:9000/default",
           get="apt-get install clickhouse-server"),
    Server("consul", ("exia",), "consul", "consul://127.0.0.1:8500/exia", get="Consul 1.8 or newer"),
    Server("dask", ("kyrios",), "distributed", get="scripts/install servers"),
    Server("elasticsearch", ("exia",), "elasticsearch", "elasticsearch://127.0.0.1:9200", get="Elasticsearch 9"),
    Server("influxdb", ("ptolemy",), "influxdb_client", "influxdb://127.0.0.1:8086/ptolemy",
           get="apt-get install influxdb"),
    Server("minio", ("exia", "kyrios", "veda"), "minio", "minio://KEY:SECRET@127.0.0.1:9000/BUCKET?secure=false",
           get="any S3 server, such as SeaweedFS: weed server -s3"),
    Server("mlflow", ("exia",), "mlflow", "mlflow://127.0.0.1:5000/exia", get="mlflow server"),
    Server("modules", ("veda",), command="modulecmd", get="apt-get install environment-modules"),
    Server("mongodb", ("exia",), "pymongo", "mongodb://127.0.0.1:27017/exia", get="MongoDB 7 or newer"),
    Server("mysql", ("kyrios",), "pymysql", "mysql://root@127.0.0.1:3306/kyrios", get="apt-get install mariadb-server"),
    Server("postgresql", ("exia",), "psycopg2", "postgresql://exia@127.0.0.1:5432/exia",
           get="apt-get install postgresql"),
    Server("ray", ("kyrios",), "ray", get="scripts/install servers"),
    Server("redis", ("kyrios",), "redis", "redis://127.0.0.1:6379/0", get="apt-get install redis-server"),
    Server("supervisor", ("ptolemy",), "supervisor", get="scripts/install servers"),
    Server("tushare", ("ptolemy",), "tushare", "tushare://TOKEN@api.tushare.pro", get="a token of tushare.pro"),
)  # fmt: skip

_exercised: set[str] = set()


def pytest_configure(config: pytest.Config) -> None:
    for server in SERVERS:
        config.addinivalue_line("markers", f"{server.word}: needs {server.word}")
    config.addinivalue_line("markers", "network: needs the package index, through pip's own configuration")


def pytest_runtest_setup(item: pytest.Item) -> None:
    library = _library(item.path)
    for server in _servers(item):
        reason = server.missing(library if library in server.libraries else server.libraries[0])
        if reason:
            pytest.skip(reason)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and report.passed:
        _exercised.update(str(word) for kind, word in report.user_properties if kind == "server")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    names = f" ({', '.join(sorted(_exercised))})" if _exercised else ""
    terminalreporter.write_line(f"servers exercised: {len(_exercised)} of {len(SERVERS)}{names}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    # Keywords hold file and test names as well; only a real mark counts.
    report.user_properties.extend(("server", s.word) for s in _servers(item))
    return report


def _servers(item: pytest.Item) -> Iterable[Server]:
    marks = {mark.name for mark in item.iter_markers()}
    return [s for s in SERVERS if s.word in marks]


def _library(path: Path) -> str:
    parts = path.parts
    return parts[parts.index("packages") + 1] if "packages" in parts else ""
