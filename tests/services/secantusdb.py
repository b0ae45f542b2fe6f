"""SecantusDB, which stands in for MongoDB: the same wire protocol over WiredTiger, without authentication."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.services import wire
from tests.services.process import Server


class Secantusdb(Server):
    word = "secantusdb"

    def command(self) -> Sequence[str | Path]:
        return [
            *(self.program, "--host", "127.0.0.1", "--port", str(self.port)),
            *("--storage-path", self.folder / "data", "--cache-size", "64M", "--log-level", "WARNING"),
            "--sync-on-commit",  # without it an acknowledged write may be lost by kill -9
        ]

    def ping(self) -> None:
        wire.mongodb_hello(self.port)

    def url(self, variable: str) -> str:
        return f"mongodb://127.0.0.1:{self.port}/jiyuan"
