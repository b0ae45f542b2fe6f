"""The pytest part: servers start when the first test that carries their mark runs, and stop when the run ends.

A root ``conftest.py`` switches it on with ``pytest_plugins = ["tests.services.plugin"]``. ``JIYUAN_SERVICES`` says:

- ``auto`` (the default): servers that are installed are used; tests of the others are skipped by their own libraries.
- ``required``: as ``auto``, and a run where a required server or tool is missing fails at once and names it.
- ``off``: nothing is started; only the URLs that the person has set are used.

The URLs are in the environment before tests are collected, so that a ``skipif`` may look at them. A test that uses
one carries the mark of its backend (``@pytest.mark.minio``): the mark is what starts the server.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.services import places
from tests.services.running import Running, for_mark, given
from tests.services.table import SERVICES, Service

MODES = ("auto", "required", "off")
INHERITED = "JIYUAN_SERVICES_EXPORTED"
RUNNING = pytest.StashKey[Running]()
EXERCISED = pytest.StashKey[set[str]]()
EXPORTED = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    for mark in sorted({row.mark for row in SERVICES}):
        what = ", ".join(row.stand_in_for or row.word for row in SERVICES if row.mark == mark)
        config.addinivalue_line("markers", f"{mark}: needs {what}")
    # A pytest that a test of ours runs inherits URLs of servers that may not run yet; it starts its own.
    for variable in os.environ.pop(INHERITED, "").split():
        os.environ.pop(variable, None)
    config.stash[EXERCISED] = set()
    config.pluginmanager.register(_Reports(config.stash[EXERCISED]))
    exported = config.stash[EXPORTED] = list[str]()
    mode = _mode()
    if mode == "off" or config.option.collectonly:
        return
    if mode == "required":
        _refuse_missing()
    running = config.stash[RUNNING] = Running()
    for row in SERVICES:
        unset = [variable for variable in row.variables if variable not in given(row)]
        if unset and places.find(row) is not None:
            server = running.server(row.word)
            os.environ.update({variable: server.url(variable) for variable in unset})
            exported.extend(unset)
    os.environ[INHERITED] = " ".join(exported)


def pytest_unconfigure(config: pytest.Config) -> None:
    for variable in (*config.stash.get(EXPORTED, []), INHERITED):
        os.environ.pop(variable, None)
    running = config.stash.get(RUNNING, None)
    if running is not None:
        running.close()


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Return what is there with its version, and what is not with what to type."""
    own = {row.word: _own(config, row) for row in SERVICES}
    found = [row for row in SERVICES if places.find(row) is not None]
    with ThreadPoolExecutor() as side_by_side:  # seventeen programs, one after the other, take a second
        there = [f"{row.word} {seen}" for row, seen in zip(found, side_by_side.map(places.version, found), strict=True)]
    lines = [f"services ({_mode()}): {', '.join(there) or 'none installed'}"]
    lines += [f"services given: {row.word} by {', '.join(own[row.word])}" for row in SERVICES if own[row.word]]
    missing = [row.word for row in SERVICES if not own[row.word] and places.find(row) is None]
    if missing:
        lines.append(f"services missing: {', '.join(missing)}; hint: scripts/services install")
    return lines


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Start the servers whose marks the test carries, before any of its fixtures looks for one."""
    running = item.config.stash.get(RUNNING, None)
    for row in _marked(item):
        if running is not None and any(variable in item.config.stash[EXPORTED] for variable in row.variables):
            running.start(row.word)
        elif not given(row) and (row.server or places.find(row) is None):
            pytest.skip(_reason(row))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note which servers the test uses; the note travels with the report where processes share the tests."""
    report = yield
    report.user_properties.extend(("service", row.word) for row in _marked(item))
    return report


class _Reports:
    """Gather the servers that tests which ran, and passed, have used."""

    def __init__(self, exercised: set[str]) -> None:
        self._exercised = exercised

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self._exercised.update(str(word) for kind, word in report.user_properties if kind == "service")


def exercised(config: pytest.Config) -> tuple[int, int]:
    """Return how many of the table's servers were used by a passing test of this run, and how many there are."""
    servers = {row.word for row in SERVICES if row.server}
    return len(config.stash[EXERCISED] & servers), len(servers)


@pytest.fixture(scope="session")
def services(pytestconfig: pytest.Config) -> Running:
    """Return the servers of this run; ``services.start("redis")`` gives one that answers."""
    running = pytestconfig.stash.get(RUNNING, None)
    if running is None:
        pytest.skip("JIYUAN_SERVICES=off: no server is started")
    return running


def _mode() -> str:
    mode = os.environ.get("JIYUAN_SERVICES") or "auto"
    if mode not in MODES:
        raise pytest.UsageError(f"JIYUAN_SERVICES={mode!r} is none of {', '.join(MODES)}")
    return mode


def _marked(item: pytest.Item) -> list[Service]:
    rows = (for_mark(mark.name) for mark in item.iter_markers())
    return [row for row in rows if row is not None]


def _own(config: pytest.Config, row: Service) -> list[str]:
    """Return the variables of `row` that the person has set, in contrast to those that are exported here."""
    return [variable for variable in given(row) if variable not in config.stash[EXPORTED]]


def _reason(row: Service) -> str:
    set_one = f"set {' or '.join(row.variables)}, or " if row.variables else ""
    why = "is not started with JIYUAN_SERVICES=off" if places.find(row) else f"is not installed: {row.install}"
    return f"{set_one}{row.word} {why}"


def _refuse_missing() -> None:
    missing = [row for row in SERVICES if row.required and not given(row) and places.find(row) is None]
    if missing:
        lines = "".join(f"\n  {places.Missing(row)}" for row in missing)
        raise pytest.UsageError(f"JIYUAN_SERVICES=required, and {len(missing)} of {len(SERVICES)} are missing:{lines}")
