"""Redis, with every acknowledged write on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.services import wire
from tests.services.process import Server


class Redis(Server):
    word = "redis"

    def command(self) -> Sequence[str | Path]:
        return [
            self.program,
            *("--bind", "127.0.0.1", "--port", str(self.port), "--dir", self.folder),
            *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
            *("--maxmemory", "256mb", "--maxmemory-policy", "noeviction"),
        ]

    def ping(self) -> None:
        answer = wire.redis(self.port, "PING")
        if answer != "+PONG":
            raise wire.NotReady(answer)

    def url(self, variable: str) -> str:
        return f"redis://127.0.0.1:{self.port}/0"
