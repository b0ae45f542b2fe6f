"""A clock that is wrong, or leaps while the program runs; the monotonic clock goes on as it should."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import time_machine

HOUR = 3600.0
DAY = 24 * HOUR

#: Seconds by which a token, a lease or an identifier must stand a wrong clock.
SKEWS = (-DAY, -HOUR, -5.0, 5.0, HOUR, DAY)


class Clock:
    """A wall clock of this process that can be moved; see `skewed`."""

    def __init__(self, mover: time_machine.Traveller) -> None:
        self._mover = mover

    def leap(self, seconds: float) -> None:
        """Move the wall clock by `seconds`, back if negative, as ``ntpd`` or a person does."""
        self._mover.shift(seconds)


@contextmanager
def skewed(seconds: float) -> Iterator[Clock]:
    """Run the block with a wall clock that is `seconds` ahead (behind if negative) and goes on ticking."""
    import time_machine

    with time_machine.travel(time.time() + seconds, tick=True) as mover:
        yield Clock(mover)


def run_skewed(
    seconds: float,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run `argv` in a process whose wall clock is `seconds` ahead (faketime)."""
    # A wrong wall clock does not move the monotonic one; faketime would, unless told.
    environment = {**os.environ, **(env or {}), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    command = ["faketime", "-f", f"{seconds:+g}s", *argv]
    return subprocess.run(
        command, env=environment, cwd=cwd, timeout=timeout, capture_output=True, text=True, check=False
    )


def available() -> str | None:
    """Return None, or why `run_skewed` does not work here."""
    return None if shutil.which("faketime") else "faketime is not installed: apt-get install faketime"
