"""A collect that is killed, loses power or finds the disk full: each version is there whole, or not at all."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.faults.figures import Faults
from tests.faults.tools import disk, kill, power

pytestmark = pytest.mark.skipif(kill.available() is not None, reason=str(kill.available()))

PARTS = 5
CODES = ("600000.SH", "000001.SZ")
DAYS = 20  #: in each part
KILLS = 100
LOSSES = 300

#: Collects each part and says the version that holds it.
COLLECT = """
import sys
import ptolemy
for part in sys.argv[2:]:
    (done,) = ptolemy.collect(f"csv:{part}", "daily", f"arrow:{sys.argv[1]}")
    print(done.version, done.digest, flush=True)
"""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Give CSV files of daily bars, one after the other in time."""
    folder = tmp_path_factory.mktemp("csv")
    return [bars(folder / f"{part}.csv", part) for part in range(PARTS)]


def bars(path: Path, part: int, days: int = DAYS) -> Path:
    lines = ["ts_code,trade_date,open,high,low,close,vol"]
    lines += [
        f"{code},2024{1 + part:02}{1 + day:02},10,11,9,{9.5 + day / 100:.2f},{1000 + day}"
        for code in CODES
        for day in range(days)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def argv(store: Path, parts: Sequence[Path]) -> list[str]:
    return [sys.executable, "-c", COLLECT, str(store), *map(str, parts)]


def harm(store: Path, acknowledged: Sequence[str], at: object) -> str | None:
    """Return what the fault did to the versions that were acknowledged, None if nothing."""
    from ptolemy import open_series
    from ptolemy.errors import PtolemyError

    try:
        with open_series(f"arrow:{store}") as series:
            found = series.versions("daily") if "daily" in series.datasets() else []
            there = [f"{version.id} {version.digest}" for version in found]
            if there[: len(acknowledged)] != list(acknowledged):
                return f"{at}: {len(there)} versions after {len(acknowledged)} were acknowledged"
            if len(there) > len(acknowledged) + 1:
                return f"{at}: {len(there)} versions, {len(acknowledged)} acknowledged"
            if not found:
                return None
            rows = series.read("daily").num_rows
            series.verify("daily")
            if rows != len(found) * DAYS * len(CODES):
                return f"{at}: {rows} rows in {len(found)} versions"
    except PtolemyError as exc:
        return f"{at}: {exc}"
    return None


def went_on(store: Path, parts: Sequence[Path]) -> str | None:
    """Run the same command again, and return what is wrong with what it leaves."""
    import ptolemy

    for part in parts:
        ptolemy.collect(f"csv:{part}", "daily", f"arrow:{store}")
    with ptolemy.open_series(f"arrow:{store}") as series:
        table = series.read("daily")
        found = [str(code) + str(day) for code, day in zip(table["ts_code"], table["trade_date"], strict=True)]
        if len(found) != PARTS * DAYS * len(CODES) or len(set(found)) != len(found):
            return f"{len(found)} rows, {len(set(found))} of them different"
        left = [p.name for p in store.rglob("*") if p.name.endswith(".tmp")]
        return f"left over: {left}" if left else None


def test_a_collect_that_is_killed_keeps_what_it_acknowledged_and_goes_on(
    tmp_path: Path, parts: list[Path], faults: Faults
):
    figure = faults.figure("collect-kill", "ptolemy", "kill -9 of a collect at a write, fsync or rename")
    store = tmp_path / "store"

    for point in kill.spread(kill.points(argv(store, parts)), faults.count(KILLS)):
        shutil.rmtree(store, ignore_errors=True)
        run = kill.kill_at(point, argv(store, parts))
        assert run.killed, (point, run.stderr)
        figure.survives(harm(store, run.acknowledged, point) or went_on(store, parts))

    assert figure.lost == 0, figure.harms


def test_a_collect_that_loses_power_keeps_what_it_acknowledged(tmp_path: Path, parts: list[Path], faults: Faults):
    figure = faults.figure("collect-power", "ptolemy", "power loss during a collect")
    recording = power.record(argv(tmp_path / "store", parts), tmp_path)

    for loss in recording.losses(faults.count(LOSSES)):
        loss.restore()
        figure.survives(harm(tmp_path / "store", loss.acknowledged, loss.at))

    assert figure.lost == 0, figure.harms


def test_a_full_disk_is_said_and_leaves_the_versions_before_it(tmp_path: Path, faults: Faults):
    if reason := disk.can_mount(tmp_path / "probe"):
        pytest.skip(reason)
    from ptolemy import open_series

    figure = faults.figure("collect-disk-full", "ptolemy", "disk full during a collect, each time at another size")
    part = bars(tmp_path / "0.csv", 0)
    for number in range(faults.count(20)):
        with disk.small_disk(tmp_path / "disk", 32768 + 8192 * number):
            store = tmp_path / "disk" / "store"
            run = fill(store, part)
            said = run.stdout.split()
            with open_series(f"arrow:{store}") as series:
                kept = [str(v.id) for v in series.versions("daily")] if "daily" in series.datasets() else []
                verified = series.verify("daily") if kept else 0
        clear = "cannot be written: No space left on device" in run.stderr and "exit 6" in run.stderr
        fine = clear and kept == said and verified == len(kept) * len(CODES)
        figure.survives(None if fine else f"size {number}: said {said[-1:]}, kept {kept[-1:]}: {run.stderr[-200:]}")

    assert figure.lost == 0, figure.harms


def fill(store: Path, part: Path) -> subprocess.CompletedProcess[str]:
    """Write versions of one more day each until the disk is full."""
    code = """
import sys
import pyarrow as pa
import ptolemy
from ptolemy.errors import PtolemyError
codes = sys.argv[2:]
with ptolemy.open_series(f"arrow:{sys.argv[1]}") as series:
    for day in range(1000):
        days = [f"{20200000 + day}"] * len(codes)
        table = pa.table({"ts_code": sorted(codes), "trade_date": days, "close": [1.0] * len(codes)})
        try:
            version = series.upsert("daily", table, key=("ts_code", "trade_date"))
        except PtolemyError as exc:
            print(exc, "exit", exc.exit_code, file=sys.stderr)
            break
        print(version.id, flush=True)
"""
    return subprocess.run(
        [sys.executable, "-c", code, str(store), *CODES], capture_output=True, text=True, check=True, timeout=120
    )


def test_a_file_that_may_not_grow_is_said_in_one_line_and_nothing_changes(tmp_path: Path, parts: list[Path]):
    import ptolemy
    from ptolemy.errors import BackendUnavailable

    store = tmp_path / "store"
    ptolemy.collect(f"csv:{parts[0]}", "daily", f"arrow:{store}")
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}

    with disk.file_limit(1000), pytest.raises(BackendUnavailable, match="File too large; what it held before"):
        ptolemy.collect(f"csv:{parts[1]}", "daily", f"arrow:{store}")

    after = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    assert after == before
