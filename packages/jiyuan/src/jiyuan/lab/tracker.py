"""Become the lab's MLflow server: ``python -m jiyuan.lab.tracker FOLDER PORT``; its first start makes the tables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from jiyuan._house.files import sync_folder


def main(folder: Path, port: int) -> None:
    """Make the data base where there is none, and become the server.

    The tables are made in another file, which takes its name when it is whole: MLflow does not go on with
    tables of which it has made a part.
    """
    # Ten workers for jobs that nobody gives it would take 2.6 GB.
    environ = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "DO_NOT_TRACK": "true"}
    database = folder / "mlflow.db"
    if not database.exists():
        new = folder / "mlflow-new.db"
        for part in folder.glob(f"{new.name}*"):  # of a start that was killed
            part.unlink()
        subprocess.run(
            [sys.executable, "-P", "-m", "mlflow", "db", "upgrade", f"sqlite:///{new}"], env=environ, check=True
        )
        new.replace(database)
        sync_folder(folder)
    words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{database}", "--artifacts-destination", str(folder / "artifacts")]
    os.execve(sys.executable, [sys.executable, "-P", "-m", "mlflow", *words], environ)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
