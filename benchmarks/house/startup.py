"""Start-up: how long ``--help`` of each command takes, beside a bare interpreter."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

LIBRARIES = ("veda", "exia", "kyrios", "ptolemy", "jiyuan")
ROUNDS = 10
BAR = 200.0  # ms; a person notices more


def figures() -> list[dict[str, Any]]:
    """Return one figure per command, in milliseconds."""
    bare = [sys.executable, "-c", "pass"]
    found = []
    for library in LIBRARIES:
        command = [str(Path(sys.executable).parent / library), "--help"]
        _milliseconds(command)  # the first run reads files from disk and may write bytecode
        # Side by side in one loop: what else the machine does touches both alike.
        pairs = [(_milliseconds(command), _milliseconds(bare)) for _ in range(ROUNDS)]
        found.append(
            {
                "id": f"startup.{library}",
                "library": library,
                "figure": f"{library} --help",
                "value": round(statistics.median(own for own, _ in pairs), 1),
                "unit": "ms",
                "bar": BAR,
                "better": "low",
                "peer": f"python {sys.version.split()[0]} -c pass, the least that any Python command takes",
                "peer_value": round(statistics.median(peer for _, peer in pairs), 1),
                "rounds": ROUNDS,
            }
        )
    return found


def _milliseconds(command: list[str]) -> float:
    start = perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=os.environ)
    return (perf_counter() - start) * 1000
