"""The process, the power, the line or the server goes while runs are recorded: what was acknowledged is there."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlencode, urlsplit, urlunsplit

import pytest
from tests.faults.figures import Faults
from tests.faults.tools import disk, kill, power
from tests.faults.tools.proxy import FaultProxy, Line
from tests.services.process import Server
from tests.services.running import Running

strace = pytest.mark.skipif(kill.available() is not None, reason=str(kill.available()))

RUNS = 4
METRICS = 50  #: between two flushes; two flushes a run
KILLS = 60
LOSSES = 300
CUTS = 60
SERVER_KILLS = 10
FULL_DISKS = 20

#: Records runs; says when each has started, what of its metrics is flushed, which file is kept, and that it finished.
RECORD = """
import os, sys
os.environ["EXIA_HOME"] = sys.argv[1]
import exia
for n in range(int(sys.argv[2])):
    with exia.run("fault", params={"n": n}, store=f"sqlite:{sys.argv[1]}/runs.db") as run:
        print("started", run.id, flush=True)
        for flush in (1, 2):
            for _ in range(int(sys.argv[3])):
                run.log_metric("loss", 1.0)
            run.flush()
            print("flushed", run.id, flush * int(sys.argv[3]), flush=True)
            print("kept", run.id, run.log_artifact(b"%d" % flush * 500, f"{flush}.bin")["digest"], flush=True)
    print("finished", run.id, flush=True)
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("EXIA_RUNS", "EXIA_ARTIFACTS", "EXIA_MIRROR", "EXIA_HEARTBEAT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EXIA_HOME", str(tmp_path / "own"))
    yield tmp_path / "own"
    from exia.runs import journal

    journal.close_journals()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not delivered is tried again soon."""
    from exia.runs import shipper

    monkeypatch.setattr(shipper, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(shipper, "LONGEST_PAUSE", 0.2)


def argv(folder: Path) -> list[str]:
    return [sys.executable, "-c", RECORD, str(folder), str(RUNS), str(METRICS)]


def harm(folder: Path, acknowledged: Sequence[str], at: object, url: str | None = None) -> str | None:
    """Return what the fault did to what was acknowledged, None if nothing."""
    from exia.errors import ExiaError
    from exia.runs import open_runs, places

    if not acknowledged:
        return None
    os.environ["EXIA_HOME"] = str(folder)
    try:
        store = open_runs(url or f"sqlite:{folder}/runs.db")
        try:
            for line in acknowledged:
                word, run_id, *count = line.split()
                record = store.get(run_id)
                points = store.points(run_id, "loss")
                if [p.seq for p in points] != list(range(len(points))):
                    return f"{at}: metrics of {run_id} have gaps"
                if word == "flushed" and len(points) < int(count[0]):
                    return f"{at}: {len(points)} metrics, {count[0]} acknowledged"
                if word == "kept":
                    if count[0] not in [facts["digest"] for facts in record.artifacts.values()]:
                        return f"{at}: {run_id} does not know its file {count[0]}"
                    places.fetch(count[0])
                if word == "finished" and record.status != "finished":
                    return f"{at}: {run_id} is {record.status}"
        finally:
            store.close()
    except ExiaError as exc:
        return f"{at}: {exc}"
    return None


@strace
def test_runs_survive_the_kill_of_the_process_that_records_them(tmp_path: Path, faults: Faults):
    figure = faults.figure("runs-kill", "exia", "kill -9 while runs are recorded (sqlite)")
    folder = tmp_path / "home"

    for point in kill.spread(kill.points(argv(folder)), faults.count(KILLS)):
        shutil.rmtree(folder, ignore_errors=True)
        run = kill.kill_at(point, argv(folder))
        figure.survives(harm(folder, run.acknowledged, point))

    assert figure.lost == 0, figure.harms


@strace
def test_runs_survive_a_power_loss(tmp_path: Path, faults: Faults):
    figure = faults.figure("runs-power", "exia", "power loss while runs are recorded (sqlite)")
    recording = power.record(argv(tmp_path), tmp_path)

    for loss in recording.losses(faults.count(LOSSES)):
        loss.restore()
        figure.survives(harm(tmp_path, loss.acknowledged, loss.at))

    assert figure.lost == 0, figure.harms


@strace
def test_runs_survive_a_power_loss_while_their_store_is_away(tmp_path: Path, faults: Faults):
    figure = faults.figure("runs-log-power", "exia", "power loss while runs are recorded and their store is away")
    away = tmp_path / "away"  # a file where the store's folder should be
    away.write_text("in the way")
    script = RECORD.replace("/runs.db", "/away/runs.db")
    recording = power.record([sys.executable, "-W", "ignore", "-c", script, *argv(tmp_path)[3:]], tmp_path)

    for loss in recording.losses(faults.count(LOSSES)):
        loss.restore()
        away.unlink()
        figure.survives(harm(tmp_path, loss.acknowledged, loss.at, f"sqlite:{away}/runs.db"))

    assert figure.lost == 0, figure.harms


@strace
def test_a_new_home_survives_a_power_loss_with_the_runs_in_it(tmp_path: Path, faults: Faults):
    figure = faults.figure("runs-power-new-home", "exia", "power loss while the first runs of a new home are recorded")
    home = tmp_path / "data" / "exia"
    recording = power.record(argv(home), tmp_path)

    for loss in recording.losses(faults.count(LOSSES)):
        loss.restore()
        figure.survives(harm(home, loss.acknowledged, loss.at))

    assert figure.lost == 0, figure.harms


@strace
def test_a_new_home_survives_where_an_fsync_settles_older_names_as_on_ext4_and_xfs(tmp_path: Path, faults: Faults):
    home = tmp_path / "data" / "new"
    recording = power.record(argv(home), tmp_path)

    harms = []
    for loss in recording.losses(faults.count(LOSSES), names="journalled"):
        loss.restore()
        harms.append(harm(home, loss.acknowledged, loss.at))

    assert not any(harms)


@pytest.fixture(scope="module")
def own_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of this module's own; MLflow takes so long to start that one serves several tests."""
    running = Running()
    try:
        yield running.start(request.param)
    finally:
        running.close()


@pytest.fixture
def server(own_server: Server) -> Server:
    """A server that the test may kill."""
    if own_server.pid is None:
        own_server.start()
    return own_server


def through(url: str, proxy: FaultProxy) -> str:
    return urlunsplit(urlsplit(url)._replace(netloc=f"127.0.0.1:{proxy.port}"))


def settled(run_id: str) -> None:
    """Return when everything that this process has recorded so far is delivered."""
    from exia.runs import journal

    for each in list(journal._journals.values()):
        each.writer.flush()
        for shipper in each._shippers:
            assert shipper.settle(each.writer.written, 60, insist=True), f"{run_id} was not delivered: {shipper.down}"


def in_mongodb(url: str, run_id: str) -> list[float]:
    from exia.runs import open_runs

    store = open_runs(url)
    try:
        return [p.value for p in store.points(run_id, "n")]
    finally:
        store.close()


def in_mlflow(url: str, run_id: str) -> list[float]:
    base = f"http://{urlsplit(url).netloc}/api/2.0/mlflow"
    body = {"experiment_ids": ["1"], "filter": f"tags.`exia.run_id` = '{run_id}'"}
    request = urllib.request.Request(
        f"{base}/runs/search", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        (run,) = json.load(answer)["runs"]
    values: list[float] = []
    page = ""
    while True:  # 25,000 at a time is the most that it gives
        query = {"run_id": run["info"]["run_id"], "metric_key": "n", "max_results": 25_000, "page_token": page}
        with urllib.request.urlopen(f"{base}/metrics/get-history?{urlencode(query)}") as answer:
            told = json.load(answer)
        values += [m["value"] for m in told.get("metrics", [])]
        page = told.get("next_page_token", "")
        if not page:
            return values


SETTING = {"mongodb": "EXIA_RUNS", "mlflow": "EXIA_MIRROR"}
PLACES = pytest.mark.parametrize(
    ("own_server", "found"),
    [
        pytest.param("secantusdb", in_mongodb, marks=pytest.mark.mongodb),
        pytest.param("mlflow", in_mlflow, marks=pytest.mark.mlflow),
    ],
    indirect=["own_server"],
    ids=["mongodb", "mlflow"],
)


@PLACES
@pytest.mark.usefixtures("quick")
def test_a_line_that_is_cut_loses_nothing_and_delivers_nothing_twice(
    server: Server, found: Callable[[str, str], list[float]], faults: Faults, monkeypatch: pytest.MonkeyPatch
):
    import exia

    mark = server.row.mark
    figure = faults.figure(f"runs-{mark}-proxy", "exia", f"{mark}: the line is cut while runs are delivered")
    url = server.url(f"EXIA_TEST_{mark.upper()}_URL")
    with FaultProxy("127.0.0.1", server.port, seed=5) as proxy:
        monkeypatch.setenv(SETTING[mark], through(url, proxy))
        run = exia.run("cut").start()
        settled(run.id)
        for n in range(faults.count(CUTS)):
            way = "to_client" if n % 2 else "to_server"
            proxy.fault(**{way: Line(reset=(0, 20_000))})
            for i in range(METRICS):
                run.log_metric("n", float(n * METRICS + i))
            run.flush()
            proxy.heal()
            settled(run.id)
            there = found(url, run.id)
            whole = there == [float(i) for i in range((n + 1) * METRICS)]
            figure.survives(None if whole else f"cut {n}: {len(there)} of {(n + 1) * METRICS} metrics")
        run.finish()
        settled(run.id)
        from exia.runs import journal

        journal.close_journals()

    assert figure.lost == 0, figure.harms


@PLACES
@pytest.mark.usefixtures("quick")
def test_a_place_that_is_killed_under_load_gets_everything_once_and_delays_nobody(
    server: Server, found: Callable[[str, str], list[float]], faults: Faults, monkeypatch: pytest.MonkeyPatch
):
    import exia

    mark = server.row.mark
    figure = faults.figure(f"runs-{mark}-kill", "exia", f"{mark} is killed and started while runs are delivered")
    url = server.url(f"EXIA_TEST_{mark.upper()}_URL")
    monkeypatch.setenv(SETTING[mark], url)
    run = exia.run("killed").start()
    stop, logged = threading.Event(), 0

    def load() -> None:
        nonlocal logged
        while not stop.wait(0.004):
            run.log_metric("n", float(logged))
            logged += 1

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for _ in range(faults.count(SERVER_KILLS)):
            before = logged
            while logged < before + 60:  # under load, not beside it
                stop.wait(0.01)
            server.kill()
            before = logged
            while logged < before + 60:  # the load goes on as if nothing had happened
                stop.wait(0.01)
            told = logged
            server.start()
            settled(run.id)
            there = found(url, run.id)
            whole = there == [float(i) for i in range(len(there))] and len(there) >= told
            figure.survives(None if whole else f"{len(there)} metrics, {told} were logged")
    finally:
        stop.set()
        thread.join()
    run.finish()
    settled(run.id)

    there = found(url, run.id)
    figure.survives(None if there == [float(i) for i in range(logged)] else f"{len(there)} of {logged} metrics")
    assert figure.lost == 0, figure.harms


@strace
@pytest.mark.mongodb
@pytest.mark.parametrize("own_server", ["secantusdb"], indirect=True)
def test_what_a_killed_process_could_not_deliver_is_delivered_by_the_next(
    server: Server, tmp_path: Path, faults: Faults
):
    figure = faults.figure("runs-mongodb-spool", "exia", "kill -9 while mongodb is down, delivered later")
    url = server.url("EXIA_TEST_MONGODB_URL")
    script = RECORD.replace('f"sqlite:{sys.argv[1]}/runs.db"', repr(url))
    home = tmp_path / "spool"
    told = [sys.executable, "-c", script, str(home), "2", str(METRICS)]
    server.kill()

    for point in kill.spread(kill.points(told), faults.count(KILLS) // 3 + 1):
        shutil.rmtree(home, ignore_errors=True)
        run = kill.kill_at(point, told)
        server.start()
        figure.survives(harm(home, run.acknowledged, point, url))
        server.kill()

    assert figure.lost == 0, figure.harms


def recorded(run_id: str) -> list[float]:
    import exia

    store = exia.open_runs()
    try:
        return [p.value for p in store.points(run_id, "n")]
    finally:
        store.close()


def test_a_full_disk_is_told_and_loses_nothing_that_was_or_is_acknowledged(home: Path, faults: Faults):
    import exia
    from exia.errors import BackendUnavailable

    figure = faults.figure("runs-disk-full", "exia", "disk full while runs are recorded, each time at another size")
    with exia.run("full") as run:
        for n in range(100):
            run.log_metric("n", float(n))
        run.flush()
        for fault in range(faults.count(FULL_DISKS)):
            done = 100 * (fault + 1)
            size = max(path.stat().st_size for path in home.rglob("*.seg"))
            with disk.file_limit(size + 10 + 100 * fault):
                for n in range(done, done + 100):
                    run.log_metric("n", float(n))
                with pytest.raises(BackendUnavailable, match="cannot be written") as caught:
                    run.flush()
                assert "nothing that was acknowledged is lost" in str(caught.value.hint)
                there = recorded(run.id)
                figure.survives(None if there[:done] == [float(n) for n in range(done)] else f"{fault}: {len(there)}")
            run.flush()
            settled(run.id)

    assert recorded(run.id) == [float(n) for n in range(100 * (faults.count(FULL_DISKS) + 1))]
    assert exia.get_run(run.id).status == "finished"
    assert figure.lost == 0, figure.harms
