"""The servers behind a run are killed while it goes on, and started again: the run completes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.faults.figures import Faults
from tests.faults.kyrios.conftest import working
from tests.faults.kyrios.test_engines import UNITS, harm, needs, slow
from tests.services.process import Server
from tests.services.running import Running

RESTARTS = 40


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Callable[[str], Server]]:
    """Give what starts a server of the test's own, which nobody else misses."""
    services = Running()
    yield services.start
    services.close()


@pytest.mark.celery
@pytest.mark.redis
def test_a_broker_that_is_killed_and_started_again_costs_only_what_is_under_way(
    own: Callable[[str], Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: Faults
):
    needs("celery")
    figure = faults.figure("engine-restart-redis", "kyrios", "kill -9 of the Redis behind Celery, and a start")
    monkeypatch.setenv("KYRIOS_HOME", str(tmp_path / "home"))
    redis = own("redis")
    url = redis.url("").replace("redis:", "celery:", 1) + "?lease=2"

    with working(url, tmp_path):
        killed(redis, url, tmp_path, figure.survives, faults.count(RESTARTS))

    assert figure.lost == 0, figure.harms


@pytest.mark.mysql
def test_a_database_that_is_killed_and_started_again_has_every_state_of_the_run(
    own: Callable[[str], Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: Faults
):
    needs("pymysql")
    figure = faults.figure(
        "engine-restart-mysql", "kyrios", "kill -9 of the MariaDB with the record of a run, and a start"
    )
    monkeypatch.setenv("KYRIOS_HOME", str(tmp_path / "home"))
    mariadb = own("mariadb")
    monkeypatch.setenv("KYRIOS_HISTORY", mariadb.url("KYRIOS_TEST_MYSQL_URL"))

    killed(mariadb, "local", tmp_path, figure.survives, faults.count(RESTARTS))

    assert figure.lost == 0, figure.harms


def killed(server: Server, engine: str, folder: Path, judged: Callable[[str | None], object], times: int) -> None:
    """Run the slow flow some times, and kill and start `server` in the middle of each."""
    import kyrios

    flow = kyrios.load_flow(slow(folder / "flow"))
    for n in range(times):
        notes = folder / f"notes-{n}"
        # The server dies with the thread that has started it, so the run gets a thread of its own and not the kill.
        with ThreadPoolExecutor(1) as beside:
            run = beside.submit(flow.run, {"notes": str(notes)}, engine=engine)
            restart(server, notes, 1 + n % UNITS)
            judged(harm(run.result(), notes))


def restart(server: Server, notes: Path, calls: int) -> None:
    """Kill `server` as soon as the call number `calls` is noted, and start it."""
    pause = threading.Event()
    for _ in range(3000):
        if notes.exists() and len(notes.read_text().splitlines()) >= calls:
            server.kill()
            server.start()
            return
        pause.wait(0.02)
