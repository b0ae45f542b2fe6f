"""A collector that is killed: no day is kept in part, none is lost or doubled, and it goes on where it was."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.faults.figures import Faults

import ptolemy as pt
from ptolemy.calendars import sessions
from ptolemy.journal import Journal
from ptolemy.sources import Wanted

KILLED = 20
CODES = 20
FEED = f"""\
import time


def bars(dataset, start, end, codes):
    from ptolemy.calendars import sessions

    time.sleep(0.02)
    rows = []
    for day in sessions("XSHG", start, end):
        for i in range({CODES}):
            price = 10 + i + int(day) % 97 / 100
            rows.append(dict(ts_code=f"{{600000 + i}}.SH", trade_date=day, open=price, high=price + 0.2,
                             low=price - 0.2, close=price + 0.1, vol=1000 + int(day) % 89 + i))
    return rows
"""


def test_a_collector_that_is_killed_goes_on_where_it_was(
    tmp_path: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PTOLEMY_HOME", str(tmp_path / "home"))
    (tmp_path / "feed.py").write_text(FEED)
    figure = faults.figure("ptolemy-collect-asked-kill", "ptolemy", "kill -9 of a collector that asks day by day")
    days = sessions("XSHG", "20240102", "20240628")
    rng = random.Random(7)
    command = [str(Path(sys.executable).with_name("ptolemy")), "collect", "backfill", "python:feed.py:bars", "--quiet",
               "--dataset", "daily"]  # fmt: skip
    with Journal() as journal:
        for day in days:
            journal.add("", "daily", Wanted(day, day), "gap")
    kept: dict[str, int] = {}
    for _ in range(faults.count(KILLED)):
        with subprocess.Popen(command, cwd=tmp_path, env={**os.environ}) as process:
            before = len(kept)
            deadline = time.monotonic() + 60
            while process.poll() is None and len(days_of()) <= before and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(rng.uniform(0, 0.2))
            process.send_signal(signal.SIGKILL)
        found = days_of()
        torn = {day: count for day, count in found.items() if count != CODES}
        lost = set(kept) - set(found)
        figure.survives(f"torn {torn}, lost {lost}" if torn or lost else None)
        kept = found
    assert kept

    subprocess.run(command, cwd=tmp_path, check=True, env={**os.environ})

    assert days_of() == dict.fromkeys(days, CODES)
    assert figure.lost == 0


def days_of() -> dict[str, int]:
    """Return how many rows each day has."""
    with pt.open_series() as series:
        if "daily" not in series.datasets():
            return {}
        table = series.read("daily", columns=["ts_code", "trade_date"])
    counts: dict[str, int] = {}
    for day in table["trade_date"].to_pylist():
        counts[str(day)] = counts.get(str(day), 0) + 1
    return counts
