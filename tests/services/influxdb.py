"""InfluxDB 1.6: line protocol at ``/write``, InfluxQL at ``/query``, database ``jiyuan``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.services import wire
from tests.services.process import Server

_CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{backup}"
[meta]
  dir = "{data}/meta"
[data]
  dir = "{data}/data"
  wal-dir = "{data}/wal"
  query-log-enabled = false
  cache-max-memory-size = "64m"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{http}"
  log-enabled = false
[logging]
  level = "warn"
"""


class Influxdb(Server):
    word = "influxdb"
    port_names = ("http", "backup")

    def prepare(self) -> None:
        (self.folder / "influxdb.conf").write_text(_CONFIG.format(data=self.folder, **self.ports))

    def command(self) -> Sequence[str | Path]:
        return [self.program, "-config", self.folder / "influxdb.conf"]

    def ping(self) -> None:
        wire.http_get(self.port, "/ping")
        wire.http(self.port, "POST", "/query?q=CREATE%20DATABASE%20jiyuan")  # says nothing if it is there

    def url(self, variable: str) -> str:
        return f"influxdb://127.0.0.1:{self.port}/jiyuan"
