"""Events are recorded while the process, the line or the server goes."""

from __future__ import annotations

import shutil
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.faults.figures import Faults
from tests.faults.tools import disk, kill, power
from tests.faults.tools.proxy import FaultProxy, Line
from tests.services.process import Server
from tests.services.running import Running

from exia.errors import BackendUnavailable, ExiaError
from exia.monitor import Document, MonitorStore, Refused, open_monitor, start
from exia.monitor.delivery import deliver_left

KILLS = 60
LOSSES = 200
CUTS = 60
SERVER_KILLS = 10
FULL_DISKS = 20
AWAY = 40

strace = pytest.mark.skipif(kill.available() is not None, reason=str(kill.available()))

#: Records events, and says which are durable; every second time they are delivered too.
RECORD = """
import sys
import exia.monitor
with exia.monitor.start(f"jsonl://{sys.argv[1]}/days", every=1000) as monitor:
    for n in range(6):
        monitor.event("told", n)
        monitor.flush()
        print(n, flush=True)
        if n % 2:
            monitor.deliver()
"""


def harm(store: MonitorStore, acknowledged: Sequence[int], at: object) -> str | None:
    """Return what was lost or is there twice, None if nothing; what others left is delivered first."""
    try:
        deliver_left(store)
        found = [one["event"]["duration"] for one in everything(store)]
    except (ExiaError, KeyError) as exc:
        return f"{at}: {type(exc).__name__}: {exc}"
    lost = [n for n in acknowledged if n not in found]
    twice = [n for n, times in Counter(found).items() if times > 1]
    return f"{at}: lost {lost}, twice {twice}" if lost or twice else None


def everything(store: MonitorStore) -> list[dict[str, Any]]:
    """Return all events, however many there are."""
    found: dict[str, dict[str, Any]] = {}
    until = None
    while True:
        page = store.query(where={"event.action": "told"}, until=until, limit=10_000)
        known = len(found)
        found |= {one["event"]["id"]: one for one in page}
        if len(page) < 10_000 or len(found) == known:
            return list(found.values())
        until = datetime.fromisoformat(page[0]["@timestamp"]) + timedelta(milliseconds=1)


@strace
def test_what_was_flushed_survives_the_kill_of_the_process(
    tmp_path: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch
):
    figure = faults.figure("monitor-kill", "exia", "kill -9 while events are recorded and delivered (jsonl)")
    folder = tmp_path / "store"
    monkeypatch.setenv("EXIA_HOME", str(folder / "home"))
    argv = [sys.executable, "-c", RECORD, str(folder)]

    for point in kill.spread(kill.points(argv), faults.count(KILLS)):
        shutil.rmtree(folder, ignore_errors=True)
        run = kill.kill_at(point, argv)
        figure.survives(harm(open_monitor(f"jsonl://{folder}/days"), [int(line) for line in run.acknowledged], point))

    assert figure.lost == 0, figure.harms


@strace
def test_what_was_flushed_survives_a_power_loss(tmp_path: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch):
    figure = faults.figure("monitor-power", "exia", "power loss while events are recorded and delivered (jsonl)")
    folder = tmp_path / "disk"
    folder.mkdir()
    monkeypatch.setenv("EXIA_HOME", str(folder / "home"))
    recording = power.record([sys.executable, "-c", RECORD, str(folder)], folder)

    for loss in recording.losses(faults.count(LOSSES)):
        loss.restore()
        store = open_monitor(f"jsonl://{folder}/days")
        figure.survives(harm(store, [int(line) for line in loss.acknowledged], loss.at))

    assert figure.lost == 0, figure.harms


@pytest.fixture
def server() -> Iterator[Server]:
    """A stand-in for Elasticsearch of the test's own, which it may kill."""
    running = Running()
    try:
        yield running.start("noida")
    finally:
        running.close()


class Load:
    """Records events until told to stop, each flushed; `done` are those that were acknowledged."""

    def __init__(self, url: str) -> None:
        self.monitor = start(url, every=1000)
        self.done: list[int] = []
        self._stop = threading.Event()
        self._goes_on = threading.Event()
        self._goes_on.set()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while self._goes_on.wait() and not self._stop.wait(0.02):
            for n in range(len(self.done), len(self.done) + 5):  # more than this the stand-in does not take
                self.monitor.event("told", n)
            self.monitor.flush()
            self.done += range(len(self.done), len(self.done) + 5)

    def wait_for_more(self, number: int) -> None:
        """Wait until so many more were acknowledged: nothing blocks the caller, whatever the store does."""
        wanted = len(self.done) + number
        while len(self.done) < wanted:
            self._stop.wait(0.01)

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Record nothing meanwhile: what is read then is no more than what was recorded between faults."""
        self._goes_on.clear()
        try:
            yield
        finally:
            self._goes_on.set()

    def end(self) -> None:
        self._stop.set()
        self._thread.join()
        try:
            self.monitor.deliver(60)
        finally:
            self.monitor.close()


@pytest.mark.elasticsearch
def test_a_line_that_is_cut_loses_no_event_and_brings_none_twice(
    server: Server, faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    figure = faults.figure("monitor-proxy", "exia", "elasticsearch: the line is cut while events are delivered")
    monkeypatch.setenv("EXIA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("exia.monitor.delivery._AGAIN", 1.0)  # a server that goes on forgets nothing
    monkeypatch.setattr("exia.monitor.recorder._PAUSES", (0.02, 0.1))
    direct = open_monitor(f"elasticsearch://127.0.0.1:{server.port}")
    with FaultProxy("127.0.0.1", server.port, seed=5) as proxy:
        load = Load(f"elasticsearch://127.0.0.1:{proxy.port}")
        try:
            for n in range(faults.count(CUTS)):
                way = "to_client" if n % 2 else "to_server"
                proxy.fault(**{way: Line(reset=(0, 3_000))})
                load.wait_for_more(100)
                proxy.heal()
                load.monitor.deliver(60)
                with load.resting():
                    figure.survives(harm(direct, [], n))
        finally:
            load.end()
        figure.survives(harm(direct, load.done, "in the end"))

    assert figure.lost == 0, figure.harms


@pytest.mark.elasticsearch
def test_a_server_that_is_killed_under_load_loses_no_event(
    server: Server, faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    figure = faults.figure(
        "monitor-server-kill", "exia", "elasticsearch is killed and started while events are delivered"
    )
    monkeypatch.setenv("EXIA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("exia.monitor.recorder._PAUSES", (0.02, 0.1))
    url = f"elasticsearch://127.0.0.1:{server.port}"
    load = Load(url)
    try:
        for n in range(faults.count(SERVER_KILLS)):
            load.wait_for_more(100)
            server.kill()
            load.wait_for_more(200)
            server.start()
            load.monitor.deliver(60)
            with load.resting():
                figure.survives(harm(open_monitor(url), [], n))
    finally:
        load.end()

    figure.survives(harm(open_monitor(url), load.done, "in the end"))
    assert figure.lost == 0, figure.harms


def test_a_full_disk_is_told_stops_nobody_and_loses_no_event(
    tmp_path: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch
):
    figure = faults.figure("monitor-disk-full", "exia", "disk full while events are recorded, at other sizes")
    monkeypatch.setenv("EXIA_HOME", str(tmp_path / "home"))
    done = 1
    with start(f"jsonl://{tmp_path}/days", every=1000) as monitor:
        monitor.event("told", 0)
        monitor.deliver()
        for fault in range(faults.count(FULL_DISKS)):
            size = max(path.stat().st_size for path in tmp_path.rglob("*.seg"))
            with disk.file_limit(size + 10 + 500 * fault):
                for n in range(done, done + 50):
                    monitor.event("told", n)
                with pytest.raises(ExiaError, match="cannot be written"):
                    monitor.flush(2)
                figure.survives(harm(open_monitor(f"jsonl://{tmp_path}/days"), range(done), fault))
            done += 50
            monitor.deliver(30)
        figure.survives(harm(monitor.store, range(done), "in the end"))

    assert figure.lost == 0, figure.harms


class Away:
    """A store that cannot be reached until it is back."""

    def __init__(self, inner: MonitorStore) -> None:
        self._inner = inner
        self.back = False

    def write(self, documents: Sequence[Document]) -> list[Refused]:
        if not self.back:
            raise BackendUnavailable("away")
        return self._inner.write(documents)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_a_store_that_is_away_delays_nobody_and_gets_each_event_once(
    tmp_path: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch
):
    figure = faults.figure("monitor-away", "exia", "a process records and ends while the monitor's store is away")
    monkeypatch.setenv("EXIA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("exia.monitor.recorder._PAUSES", (0.02, 0.1))
    place = open_monitor(f"jsonl://{tmp_path}/days")
    done: list[int] = []
    for fault in range(faults.count(AWAY)):
        store = Away(place)
        with start(store, every=1000) as monitor:  # ends away, and the next delivers
            for n in range(len(done), len(done) + 200):
                monitor.event("told", n)
            monitor.flush()
            done += range(len(done), len(done) + 200)
            store.back = fault % 3 == 2
        figure.survives(harm(place, done, fault) if store.back else None)

    figure.survives(harm(place, done, "in the end"))
    assert figure.lost == 0, figure.harms
