"""Exia around the clock: what it holds after an hour is what it held after some minutes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.faults.exia.soak import Held, settled, slope, thirds
from tests.faults.figures import ROOT, Faults

SECONDS = 3600.0
SHORTEST = 20.0
MOST = 1e6  #: Bytes an hour that may be left over.
TOLD = 300.0  #: Seconds from which on the slope is told.
LONG = 1800.0  #: Seconds from which on it must hold: in less, one step of the allocator, a megabyte, is more than it.


def soaked(folder: Path, seconds: float) -> list[Held]:
    argv = [sys.executable, "-m", "tests.faults.exia.soak", str(folder), str(seconds)]
    plain = {k: v for k, v in os.environ.items() if not k.startswith("EXIA_")}
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, env=plain, check=False)
    assert done.returncode == 0, done.stderr
    return [Held.read(line) for line in done.stdout.splitlines()]


def rest(samples: Sequence[Held]) -> list[tuple[int, int]]:
    """Return the descriptors and threads of each third: the fewest, since some come and go."""
    return [(min(h.descriptors for h in third), min(h.threads for h in third)) for third in thirds(samples)]


def test_nothing_grows_while_all_parts_work_together(tmp_path: Path, faults: Faults, request: pytest.FixtureRequest):
    seconds = request.config.getoption("--soak") or max(SHORTEST, SECONDS * (faults.share >= 1))
    held = soaked(tmp_path, seconds)

    calm = settled(held)
    grown = slope(calm)
    told = f": RssAnon {grown / 1e6:+.2f} MB/h" if seconds >= TOLD else ""
    figure = faults.figure("soak", "exia", f"{seconds:g} s of pool, swaps, parameters, runs and monitor{told}")
    assert all(held[-1].done.values()), f"a part has done nothing: {held[-1].done}"
    first, *others = rest(calm)
    # One may be open by chance in every sample of a third; what stays open adds up.
    more = max(after - before for other in others for before, after in zip(first, other, strict=True))
    figure.survives(None if more <= 1 else f"descriptors, threads: {rest(calm)}")
    if seconds >= LONG:
        figure.survives(None if grown < MOST else f"RssAnon grows by {grown / 1e6:.2f} MB/h")
    assert figure.lost == 0, figure.harms


def _samples(rss: float, descriptors: float = 0.0) -> list[Held]:
    """Return an hour in which so many bytes and descriptors stay each second, and batches come and go."""
    return [Held(n, int(3e7 + rss * n + n % 7 * 1e6), int(16 + descriptors * n) + n % 2, 20, {}) for n in range(3600)]


@pytest.mark.parametrize("leak", [0.0, 200.0, 400.0, 100_000.0])
def test_a_leak_is_found_through_the_noise(leak: float):
    assert slope(settled(_samples(leak))) == pytest.approx(3600 * leak, abs=50_000)


def test_a_descriptor_that_stays_open_is_found():
    assert len(set(rest(settled(_samples(0))))) == 1
    assert len(set(rest(settled(_samples(0, 0.002))))) == 3
