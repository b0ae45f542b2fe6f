"""A real Airflow in a throw-away home, and what each example flow needs before it can run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.airflow.running import ROOT, VERSIONS, Airflow


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


@pytest.fixture(scope="session", params=VERSIONS)
def airflow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    found = Airflow(tmp_path_factory.mktemp("airflow"), request.param)
    if not found.installed:
        pytest.skip(f"Airflow {found.version} is not installed in {found.environment.name}; run: make test-airflow")
    found.migrate()
    return found


@pytest.fixture(scope="session")
def preparations() -> dict[str, Callable[[Path], Prepared]]:
    return PREPARATIONS
