"""MLflow's tracking server over SQLite, in an environment of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.services import wire
from tests.services.process import Server


class Mlflow(Server):
    word = "mlflow"

    def command(self) -> Sequence[str | Path]:
        return [
            *(self.program, "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"),
            *("--artifacts-destination", self.folder / "artifacts"),
        ]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "DO_NOT_TRACK": "true"}

    def ping(self) -> None:
        wire.http_get(self.port, "/health")

    def url(self, variable: str) -> str:
        return f"mlflow://127.0.0.1:{self.port}/jiyuan"
