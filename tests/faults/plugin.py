"""The options of the fault suites, and the figures that they count, also those of other processes (pytest-xdist)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from tests.faults import figures
from tests.faults.figures import Faults, Figure

_FAULTS = pytest.StashKey[Faults]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-share", type=float, default=0.05, help="share of each full fault count to try")
    parser.addoption(
        "--soak",
        type=float,
        default=None,
        metavar="SECONDS",
        help="length of a soak; by default an hour of full counts",
    )
    parser.addoption("--fault-figures", type=Path, default=None, help="write the figures of this run here")
    parser.addoption("--fault-keep", action="store_true", help="keep what that file has of figures not counted now")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_FAULTS] = Faults(config.getoption("--fault-share"))


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


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    counted = node.config.stash[_FAULTS].figures
    for facts, harms in getattr(node, "workeroutput", {}).get("faults", ()):  # a worker that crashed told nothing
        figure = counted[facts["id"]] = Figure(**facts)
        figure.harms = harms


def pytest_sessionfinish(session: pytest.Session) -> None:
    counted = session.config.stash[_FAULTS].figures.values()
    if hasattr(session.config, "workeroutput"):  # the process that started this one counts
        session.config.workeroutput["faults"] = [(asdict(f), f.harms) for f in counted]
        return
    path = session.config.getoption("--fault-figures")
    if path is not None:
        figures.write(counted, path, keep=session.config.getoption("--fault-keep"))
