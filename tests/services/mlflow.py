"""MLflow's tracking server over SQLite, in an environment of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.services import wire
from tests.services.places import MLFLOW
from tests.services.process import Server

_EMPTY = MLFLOW / "empty.db"  # what its sixty migrations make takes ten seconds, and is the same each time


class Mlflow(Server):
    word = "mlflow"
    patience = 120.0  # two processes that import a hundred packages each

    def prepare(self) -> None:
        if not _EMPTY.exists():
            self.run(self.program, "db", "upgrade", f"sqlite:///{self.folder}/mlflow.db")
            if MLFLOW.is_dir():
                made = MLFLOW / f"empty-{os.getpid()}.db"
                shutil.copyfile(self.folder / "mlflow.db", made)
                made.replace(_EMPTY)
        else:
            shutil.copyfile(_EMPTY, self.folder / "mlflow.db")

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
