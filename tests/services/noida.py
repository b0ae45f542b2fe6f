"""noida-db with nothing but its Elasticsearch: the official client works with it as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.services import wire
from tests.services.process import Server


class Noida(Server):
    word = "noida"

    def command(self) -> Sequence[str | Path]:
        # One panic in any protocol ends the whole process, hence one protocol only.
        return [
            *(self.program, "start", "--only", "elasticsearch", "--host", "127.0.0.1"),
            *("--elasticsearch-port", str(self.port), "--data-dir", self.folder / "data"),
        ]

    def ping(self) -> None:
        wire.json_get(self.port, "/")

    def url(self, variable: str) -> str:
        return f"elasticsearch://127.0.0.1:{self.port}"
