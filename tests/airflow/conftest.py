"""A real Airflow in a throw-away home, and what each example flow needs before it can run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
AIRFLOW = ROOT / ".venv-airflow"


@dataclass(frozen=True)
class Prepared:
    """What a flow needs to run: variables, values of its parameters, and what makes it ready to run once more."""

    environment: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    again: Callable[[], None] = lambda: None


def _nothing(home: Path) -> Prepared:
    return Prepared()


def _momentum(home: Path) -> Prepared:
    from jiyuan.demo import prepare

    return Prepared(prepare(home, ROOT / "examples"))


def _retry(home: Path) -> Prepared:
    home.mkdir(parents=True)
    return Prepared(params={"mark": str(home)}, again=(home / "shaky-was-here").unlink)


#: Name of a folder in examples/flows to what must be there before it runs, put below the given empty folder.
#: A flow that needs data or packages gets its line here; one without a line needs nothing.
PREPARATIONS: dict[str, Callable[[Path], Prepared]] = {
    "hello": _nothing,
    "momentum": _momentum,
    "retry": _retry,
}


class Airflow:
    """Runs programs of the Airflow environment in one home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.dags = home / "dags"
        self.dags.mkdir(parents=True)

    def call(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if k in ("HOME", "LANG", "PATH", "TMPDIR", "SSL_CERT_FILE")}
        settings = {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home / 'airflow.db'}",
        }
        program = AIRFLOW / "bin" / words[0]
        return subprocess.run(
            [str(program), *words[1:]],
            env={**kept, **settings, **environment},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=600,
        )


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    if not (AIRFLOW / "bin" / "airflow").exists():
        pytest.skip("Airflow is not installed in .venv-airflow; run: make test-airflow")
    found = Airflow(tmp_path_factory.mktemp("airflow"))
    made = found.call("airflow", "db", "migrate")
    assert made.returncode == 0, made.stderr
    return found


@pytest.fixture(scope="session")
def preparations() -> dict[str, Callable[[Path], Prepared]]:
    return PREPARATIONS
