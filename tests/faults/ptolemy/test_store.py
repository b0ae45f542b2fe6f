"""The series store when its writer is killed, its files are cut or changed, its disk is full or its server away."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from tests.faults.figures import Faults
from tests.faults.tools import disk
from tests.faults.tools.proxy import FaultProxy, Line

KEY = ("ts_code", "trade_date")
CODES = [f"{n:06d}.SZ" for n in range(40)]

#: Forks a writer for each folder named on stdin; it writes a day at a time, deletes and compacts, until it is killed.
WRITERS = """
import os, random, sys, warnings
import pyarrow as pa
import ptolemy.series.arrow
from ptolemy.series import open_series

warnings.simplefilter("ignore")
codes = sys.argv[1].split(",")
for line in sys.stdin:
    folder, seed = line.split()
    if (child := os.fork()) == 0:
        chance = random.Random(int(seed))
        ptolemy.series.arrow.BULK = 10**9 if chance.random() < 0.8 else len(codes)
        with open_series(f"arrow:{folder}") as series:
            for number in range(10**6):
                day = f"{20000101 + chance.randint(0, 30) * 10000 + number % 28}"
                close = [float(number)] * len(codes)
                news = pa.table({"ts_code": codes, "trade_date": [day] * len(codes), "close": close})
                version = series.upsert("daily", news, key=("ts_code", "trade_date"))
                os.write(1, f"ack {version.id} {day} {number}\\n".encode())
                if chance.random() < 0.2:
                    series.compact("daily")
                if chance.random() < 0.05:
                    version = series.delete("daily", start=day, end=day)
                    os.write(1, f"ack {version.id} {day} -1\\n".encode())
    os.write(1, f"pid {child}\\n".encode())
    os.waitpid(child, 0)
    os.write(1, b"dead\\n")
"""


def state_of(acknowledged: list[list[str]]) -> dict[str, float]:
    """Return the close of each day that the acknowledged writes leave."""
    state: dict[str, float] = {}
    for _, _, day, number in acknowledged:
        if number == "-1":
            state.pop(day, None)
        else:
            state[day] = float(number)
    return state


def days_of(folder: Path) -> dict[str, set[float]]:
    """Return the closes of each day, and fail where a day is not whole."""
    from ptolemy import open_series
    from ptolemy.errors import NothingCollected

    with open_series(f"arrow:{folder}") as series:
        try:
            table = series.read("daily")
        except NothingCollected:
            return {}
    found: dict[str, list[float]] = {}
    for row in table.to_pylist():
        found.setdefault(str(row["trade_date"]), []).append(float(row["close"]))
    assert all(len(closes) == len(CODES) for closes in found.values()), "a reader saw a part of a day"
    return {day: set(closes) for day, closes in found.items()}


def lost(folder: Path, acknowledged: list[list[str]]) -> str | None:
    """Return what a kill has done to what was acknowledged, None if nothing."""
    from ptolemy import open_series
    from ptolemy.errors import PtolemyError

    try:
        found = days_of(folder)
        expected = state_of(acknowledged)
        # One write more may have come in, whose acknowledgement the kill has swallowed.
        wrong = [day for day in {*found, *expected} if found.get(day) != {expected.get(day)}]
        if len(wrong) > 1:
            return f"{len(wrong)} days are not as acknowledged"
        if not acknowledged:
            return None
        with open_series(f"arrow:{folder}") as series:
            newest = series.versions("daily")[-1]
            series.verify("daily")
            if newest.id not in (int(acknowledged[-1][1]), int(acknowledged[-1][1]) + 1):
                return f"version {newest.id} after {acknowledged[-1][1]}"
    except (PtolemyError, AssertionError) as exc:
        return str(exc)
    return None


def test_a_writer_that_is_killed_loses_no_acknowledged_row_and_shows_no_half_day(tmp_path: Path, faults: Faults):
    figure = faults.figure(
        "store-kill", "ptolemy", "kill -9 of the series writer at a random moment, readers beside it"
    )
    chance = random.Random(20260101)
    command = [sys.executable, "-c", WRITERS, ",".join(CODES)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writers:
        assert writers.stdin is not None
        assert writers.stdout is not None
        for number in range(faults.count(100)):
            folder = tmp_path / str(number)
            writers.stdin.write(f"{folder} {number}\n")
            writers.stdin.flush()
            kill_at = time.monotonic() + chance.uniform(0.05, 1.0)
            lines: list[list[str]] = []
            pid = 0
            half = None
            while not pid:
                lines.append(writers.stdout.readline().split())
                pid = int(lines.pop()[1]) if lines[-1][0] == "pid" else 0
            while time.monotonic() < kill_at:
                try:
                    days_of(folder)
                except AssertionError as exc:
                    half = str(exc)
            os.kill(pid, signal.SIGKILL)
            while (line := writers.stdout.readline().split()) != ["dead"]:
                lines.append(line)
            figure.survives(half or lost(folder, lines))
            shutil.rmtree(folder, ignore_errors=True)
        writers.stdin.close()

    assert figure.lost == 0, figure.harms


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a store with compacted versions, history and a log."""
    from ptolemy import open_series

    folder = tmp_path_factory.mktemp("store")
    with open_series(f"arrow:{folder}") as series:
        for number in range(12):
            if number == 6:
                series.compact("daily")
            day = f"202401{1 + number % 4:02d}"
            series.upsert("daily", bars(day, float(number)), key=KEY)
    return folder


def bars(day: str, close: float):
    import pyarrow as pa

    return pa.table({"ts_code": CODES, "trade_date": [day] * len(CODES), "close": [close] * len(CODES)})


def test_a_log_that_is_cut_anywhere_is_read_up_to_there(tmp_path: Path, kept: Path, faults: Faults):
    from ptolemy import open_series

    figure = faults.figure("store-torn", "ptolemy", "log of the series store cut at a random byte")
    chance = random.Random(1)
    with open_series(f"arrow:{kept}") as series:
        states = {version.id: series.read("daily", as_of=version.id) for version in series.versions("daily")}
    for _ in range(faults.count(200)):
        folder = tmp_path / "cut"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(kept, folder)
        (log,) = (folder / "daily").glob("log-*")
        os.truncate(log, chance.randint(0, log.stat().st_size))
        with open_series(f"arrow:{folder}") as series:
            newest = series.versions("daily")[-1]
            fine = series.read("daily").equals(states[newest.id]) and series.verify("daily") == newest.rows
            series.upsert("daily", bars("20250101", 1.0), key=KEY)
            fine = fine and series.versions("daily")[-1].id == newest.id + 1
        figure.survives(None if fine else f"version {newest.id} is not what it was")

    assert figure.lost == 0, figure.harms


def test_a_changed_byte_is_found_wherever_it_is(tmp_path: Path, kept: Path, faults: Faults):
    from ptolemy import open_series
    from ptolemy.errors import PtolemyError

    figure = faults.figure("store-flipped", "ptolemy", "bit flipped in a file of the series store, found by verify")
    chance = random.Random(2)
    names = sorted(path.name for path in (kept / "daily").iterdir() if path.suffix in (".cube", ".history"))
    names += [path.name for path in (kept / "daily").glob("log-*")]
    assert len(names) == 3
    for number in range(faults.count(300)):
        folder = tmp_path / "flipped"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(kept, folder)
        path = folder / "daily" / names[number % 3]
        data = bytearray(path.read_bytes())
        at = chance.randrange(len(data))
        data[at] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        with open_series(f"arrow:{folder}") as series:
            try:
                rows = series.verify("daily")
                newest = series.versions("daily")[-1].id
            except PtolemyError:
                figure.survives()
                continue
        figure.survives(f"{path.name} at byte {at} of {len(data)}: verified {rows} rows at version {newest}")

    assert figure.lost == 0, figure.harms


def test_a_compaction_without_room_changes_nothing(tmp_path: Path, faults: Faults):
    if reason := disk.can_mount(tmp_path / "probe"):
        pytest.skip(reason)
    from ptolemy import open_series
    from ptolemy.errors import BackendUnavailable

    figure = faults.figure("store-compact-full", "ptolemy", "disk full during a compaction, each time at another size")
    for number in range(faults.count(20)):
        with disk.small_disk(tmp_path / "disk", 131072 + 8192 * number):
            store = tmp_path / "disk" / "store"
            with open_series(f"arrow:{store}") as series:
                day = 0
                try:
                    while day < 28:
                        series.upsert("daily", bars(f"202401{1 + day:02d}", float(day)), key=KEY)
                        day += 1
                except BackendUnavailable:
                    pass
                before = series.read("daily")
                said = "nothing"
                try:
                    series.compact("daily")
                except BackendUnavailable as exc:
                    said = str(exc)
                there = series.read("daily").equals(before) and series.verify("daily") == day * len(CODES)
            with open_series(f"arrow:{store}") as series:
                there = there and series.read("daily").equals(before)
        figure.survives(None if there and ("No space" in said or said == "nothing") else f"size {number}: {said}")

    assert figure.lost == 0, figure.harms


@pytest.fixture
def influxdb(tmp_path: Path) -> Iterator[tuple[FaultProxy, str, str]]:
    """Give a proxy before a real InfluxDB, and the URL of one database through it and straight."""
    address = urlsplit(os.environ["PTOLEMY_TEST_INFLUXDB_URL"])
    assert address.hostname is not None
    assert address.port is not None
    database = f"faults_{uuid4().hex[:12]}?timeout=2&spool={tmp_path / 'spool'}"
    with FaultProxy(address.hostname, address.port, seed=3) as proxy:
        yield proxy, f"influxdb://127.0.0.1:{proxy.port}/{database}", f"influxdb://{address.netloc}/{database}"


@pytest.mark.influxdb
def test_a_line_that_breaks_delivers_every_point_once(influxdb: tuple[FaultProxy, str, str], faults: Faults):
    from ptolemy import open_series

    figure = faults.figure("store-influx-line", "ptolemy", "line to InfluxDB reset during delivery, then whole again")
    proxy, broken, straight = influxdb
    rounds = faults.count(40)
    for number in range(rounds):
        proxy.fault(to_server=Line(reset=(0, 6000)), to_client=Line(reset=(0, 600)))
        with open_series(broken) as series:
            for day in range(5):
                series.upsert("daily", bars(f"{2000 + number}01{1 + day:02d}", float(day)), key=KEY)
    with open_series(straight) as series:
        rows = series.read("daily").num_rows
        expected = len(CODES) * 5 * rounds
        verified = series.verify("daily")
        waiting = series.stats("daily").log_records
    for _ in range(rounds):
        figure.survives(None if (rows, verified, waiting) == (expected, expected, 0) else f"{rows} of {expected} rows")

    assert figure.lost == 0, figure.harms
