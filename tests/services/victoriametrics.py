"""VictoriaMetrics, which takes what InfluxDB 2's client writes; it has no Flux to read it with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.services import wire
from tests.services.process import Server


class Victoriametrics(Server):
    word = "victoriametrics"

    def command(self) -> Sequence[str | Path]:
        return [
            self.program,
            f"-storageDataPath={self.folder / 'data'}",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            "-retentionPeriod=100y",  # the default keeps one month, and the data of tests are years old
            "-memory.allowedBytes=67108864",
            "-loggerLevel=WARN",
        ]

    def ping(self) -> None:
        wire.http_get(self.port, "/health")

    def url(self, variable: str) -> str:
        return f"influxdb://127.0.0.1:{self.port}/jiyuan?dialect=v2"
