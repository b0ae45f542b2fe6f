"""The options of the fault suites, the figures that they count, and the folders that they break."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.faults import figures
from tests.faults.figures import Faults

_FAULTS = pytest.StashKey[Faults]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-share", type=float, default=0.05, help="share of each full fault count to try")
    parser.addoption("--fault-figures", type=Path, default=None, help="write the figures of this run here")
    parser.addoption("--fault-keep", action="store_true", help="keep what that file has of figures not counted now")


def pytest_configure(config: pytest.Config) -> None:
    # Pytest meets this file too late for its options when it is not asked for tests/faults by name.
    config.stash[_FAULTS] = Faults(config.getoption("--fault-share", default=0.05))


@pytest.fixture
def faults(request: pytest.FixtureRequest) -> Faults:
    return request.config.stash[_FAULTS]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    counted = config.stash[_FAULTS].figures.values()
    if counted:
        terminalreporter.section("faults")
    for figure in counted:
        terminalreporter.write_line(str(figure))
        for harm in figure.harms[:5]:
            terminalreporter.write_line(f"    {harm}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("--fault-figures", default=None)
    if path is not None:
        figures.write(
            session.config.stash[_FAULTS].figures.values(), path, keep=session.config.getoption("--fault-keep")
        )
