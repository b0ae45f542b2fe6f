"""Measure figures and keep them: ``python -m benchmarks [LIBRARY...]``.

Each module ``benchmarks/<library>/<name>.py`` with a ``figures() -> list[dict]`` is run; what it
returns takes the place of the figures with the same ids in ``results.json``. Docs take their tables
from that file, so a figure that missed its bar is kept and named, never dropped. The exit code is 0
then too: a loaded machine is no defect. ``--strict`` makes it 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

Figure = dict[str, Any]

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "results.json"
KEYS = ("id", "library", "figure", "value", "unit", "bar", "better", "peer", "peer_value", "rounds")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the modules asked for, merge, print, and name what missed its bar."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__, allow_abbrev=False)
    parser.add_argument("library", nargs="*", help="only these folders of benchmarks/")
    parser.add_argument("--strict", action="store_true", help="exit 1 if a figure missed its bar")
    options = parser.parse_args(arguments)

    known = {path.name for path in FOLDER.iterdir() if any(path.glob("[!_]*.py"))}
    unknown = set(options.library) - known
    if unknown:
        print(f"error: benchmarks/ has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}")
        return 2
    figures = measure(options.library or sorted(known))
    RESULTS.write_text(json.dumps(merged(_kept(), figures), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    for line in table(figures):
        print(line)
    missed = [f["id"] for f in figures if not meets_bar(f)]
    print(f"missed their bar: {', '.join(missed)}" if missed else f"all {len(figures)} figures meet their bar")
    return 1 if missed and options.strict else 0


def measure(libraries: Iterable[str]) -> list[Figure]:
    """Run every module of `libraries` and stamp its figures with date, CPU and commit."""
    stamp = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "cpu": cpu(), "commit": commit()}
    figures = []
    for library in libraries:
        for path in sorted((FOLDER / library).glob("[!_]*.py")):
            print(f"{library}/{path.stem} ...", file=sys.stderr, flush=True)
            start = time.monotonic()
            for figure in import_module(f"benchmarks.{library}.{path.stem}").figures():
                if set(figure) != set(KEYS):
                    raise SystemExit(f"error: {path}: a figure has exactly the keys {', '.join(KEYS)}")
                figures.append({**{key: figure[key] for key in KEYS}, **stamp})
            print(f"{library}/{path.stem}: {time.monotonic() - start:.0f} s", file=sys.stderr)
    return figures


def merged(kept: Iterable[Figure], new: Iterable[Figure]) -> list[Figure]:
    """Return the figures by id, sorted; a new one takes the place of the old."""
    return [f for _, f in sorted({f["id"]: f for f in (*kept, *new)}.items())]


def meets_bar(figure: Figure) -> bool:
    """Tell whether a figure is as good as its bar; one without a bar always is."""
    if figure["bar"] is None:
        return True
    if figure["better"] == "low":
        return bool(figure["value"] <= figure["bar"])
    return bool(figure["value"] >= figure["bar"])


def table(figures: Sequence[Figure]) -> list[str]:
    """Return the figures as aligned lines, the heading first."""
    rows = [("ID", "VALUE", "BAR", "PEER", "OK")]
    for f in figures:
        bar = "-" if f["bar"] is None else f"{'<=' if f['better'] == 'low' else '>='} {f['bar']:g}"
        peer = "-" if f["peer_value"] is None else f"{f['peer_value']:g}"
        rows.append((f["id"], f"{f['value']:g} {f['unit']}", bar, peer, "yes" if meets_bar(f) else "MISSED"))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def cpu() -> str:
    """Return the model of the processor and how many of them this process may use."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return f"{len(os.sched_getaffinity(0))} x {model}"


def commit() -> str:
    """Return the commit measured, with a ``+`` if the tree held changes; ``unknown`` without git."""
    git = ["git", "-C", str(FOLDER)]
    try:
        head = _output([*git, "rev-parse", "--short=12", "HEAD"])
        # The results themselves change with every run and say nothing about what was measured.
        changed = _output([*git, "status", "--porcelain", "--", ":/", f":(exclude){RESULTS}"])
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if changed else "")


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _kept() -> list[Figure]:
    kept: list[Figure] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else []
    return kept


if __name__ == "__main__":
    sys.exit(main())
