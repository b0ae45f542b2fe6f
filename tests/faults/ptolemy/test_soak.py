"""200,000 ticks a second for half an hour, of which five minutes are kept: what the service holds must not grow."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.faults.exia.soak import settled, slope, thirds
from tests.faults.figures import Faults
from tests.faults.ptolemy.soak import RATE, Feed, Watch

import ptolemy as pt

SECONDS = 1800.0
SHORTEST = 6.0
LONG = 600.0  #: Seconds from which on rate and memory are judged: five minutes pass before a row is too old.
FLAT = 0.05  #: Share of the memory by which it may drift over the whole soak.
FILE = 15  #: Seconds of ticks that may be kept too long, for a file goes as a whole.


@contextmanager
def service(folder: Path, retention: str) -> Iterator[subprocess.Popen[str]]:
    command = [str(Path(sys.executable).with_name("ptolemy")), "serve", "--port", "0", "--json", "--store",
               f"arrow://{folder}/store", "--push-socket", f"{folder}/p.sock"]  # fmt: skip
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "PTOLEMY_HOME": str(folder / "home"),
           "PTOLEMY_RETENTION": retention}  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env) as process:
        try:
            assert process.stdout is not None
            assert json.loads("".join(process.stdout.readline() for _ in range(4)))["url"]
            yield process
        finally:
            process.terminate()
            process.wait(timeout=60)


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_ticks_that_come_without_an_end_are_kept_for_a_while_in_a_bounded_memory(
    tmp_path: Path, faults: Faults, request: pytest.FixtureRequest
):
    seconds = request.config.getoption("--soak") or max(SHORTEST, SECONDS * (faults.share >= 1))
    long = seconds >= LONG
    kept = 300 if long else 1
    feed = Feed(seconds)
    with service(tmp_path, f"ticks={kept}s") as process:
        began = time.monotonic()
        with Watch(process.pid, feed) as watch:
            taken = pt.push("ticks", feed, tmp_path / "p.sock")
        took, cpu = time.monotonic() - began, cpu_of(process.pid)
        with pt.open_series(f"arrow://{tmp_path}/store") as series:
            stats = series.stats("ticks")
            newest = series.read(
                "ticks",
                start=feed.moment(feed.second),
                end=f"{feed.moment(feed.second)}.999999",
                columns=["trade_time"],
            ).num_rows

    calm = settled(watch.samples)
    usual = statistics.median(held.rss_anon for held in calm)
    drift = slope(calm) * (calm[-1].seconds - calm[0].seconds) / 3600
    open_files = [min(held.descriptors for held in third) for third in thirds(calm)]
    told = f"; RssAnon {usual / 1e6:.0f} MB and {drift / 1e6:+.1f} MB" if long else ""
    figure = faults.figure(
        "tick-soak", "ptolemy", f"{seconds:g} s of {RATE:,} ticks/s pushed, {kept} s of them kept{told}"
    )
    print(
        f"{taken:,} ticks in {took:.0f} s ({taken / took:,.0f}/s), {taken / cpu:,.0f} a CPU second, at most "
        f"{feed.late:.2f} s late; RssAnon median {usual / 1e6:.0f} MB, most "
        f"{max(held.rss_anon for held in watch.samples) / 1e6:.0f} MB, drift {drift / 1e6:+.1f} MB; files open in each "
        f"third {open_files}; {stats.rows:,} rows and {stats.files} files kept"
    )
    figure.survives(None if taken == feed.sent else f"{taken} of {feed.sent} ticks acknowledged")
    whole = min(RATE, feed.sent)
    figure.survives(None if newest == whole else f"{newest} of the last {whole} ticks are kept")
    least, most = min(kept * RATE, feed.sent), (kept + FILE) * RATE
    figure.survives(None if least <= stats.rows <= most else f"{stats.rows} rows are kept, not {least}")
    if long:
        figure.survives(None if abs(drift) < FLAT * usual else f"RssAnon drifts by {drift / 1e6:+.1f} MB")
        figure.survives(None if taken / took > 0.98 * RATE else f"{taken / took:.0f} ticks/s")
        figure.survives(None if max(open_files) - min(open_files) <= 5 else f"descriptors: {open_files}")
    assert figure.lost == 0, figure.harms
