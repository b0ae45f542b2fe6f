"""osmem-server: OpenSearch's dialect in memory, with the aggregations that noida-db lacks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.services import wire
from tests.services.process import Server


class Osmem(Server):
    word = "osmem"
    durable = False

    def command(self) -> Sequence[str | Path]:
        return [self.program, "-addr", f"127.0.0.1:{self.port}", "-no-stdin-watch", "-no-ja"]

    def ping(self) -> None:
        wire.json_get(self.port, "/")

    def url(self, variable: str) -> str:
        return f"opensearch://127.0.0.1:{self.port}"
