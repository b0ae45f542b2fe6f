"""Fuzz the reader of packages for a while and count: ``python -m tests.fuzz [SECONDS]``, half an hour by default.

The figure of half an hour or more goes into ``tests/faults/figures.json``. What breaks the reader is kept in
``.cache/fuzz/``, as is what was found to reach new places of it, so that a later run goes on from there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.faults import figures

ROOT = Path(__file__).resolve().parents[2]
HALF_AN_HOUR = 1800


def main() -> int:
    """Fuzz, print the figure, write one of the full time, and return 1 if an input broke the reader."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else HALF_AN_HOUR
    kept = ROOT / ".cache" / "fuzz"
    (kept / "inputs").mkdir(parents=True, exist_ok=True)
    before = set(kept.glob("*-*"))
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={kept}/", "-max_len=16384"]
    # One input may take a second on a busy machine; ten are a hang, and 2 GB a bomb that was let in.
    limits = ["-timeout=60", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=0"]
    command = [sys.executable, "-m", "tests.fuzz.reader", str(kept / "inputs"), *options, *limits]
    environment = {**os.environ, "VEDA_HOME": str(kept / "home")}
    done = subprocess.run(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    found = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    broke = sorted(set(kept.glob("*-*")) - before)
    figure = figures.Figure("fuzz-reader", "veda", f"input made by a fuzzer for {seconds} s, read as a package")
    figure.tried = int(found[1]) if found else 0
    figure.lost = len(broke)
    figure.survived = figure.tried - figure.lost
    print(figure)
    if done.returncode or not figure.tried:
        print(done.stderr[-4000:], file=sys.stderr)
        print(*(f"kept: {path}" for path in broke), sep="\n", file=sys.stderr)
        return 1
    if seconds >= HALF_AN_HOUR:  # a shorter run, such as CI's, is a check and no figure
        figures.write([figure], ROOT / "tests" / "faults" / "figures.json", keep=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
