"""How long the demo takes once everything is set up."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROUNDS = 5


def figures() -> list[dict[str, Any]]:
    """Run the demo in one folder again and again; the first run is measured apart."""
    jiyuan = Path(sys.executable).parent / "jiyuan"
    with tempfile.TemporaryDirectory() as folder:
        walls = []
        for _ in range(1 + ROUNDS):
            begin = time.perf_counter()
            subprocess.run([jiyuan, "demo", "--out", f"{folder}/out", "--quiet"], check=True, capture_output=True)
            walls.append(time.perf_counter() - begin)
    common = {"library": "jiyuan", "unit": "s", "better": "low", "peer": None, "peer_value": None}
    return [
        {"id": "demo-first", "figure": "demo, first run", "value": walls[0], "bar": None, "rounds": 1, **common},
        {
            "id": "demo-again",
            "figure": "demo, second run and later",
            "value": statistics.median(walls[1:]),
            "bar": 10.0,
            "rounds": ROUNDS,
            **common,
        },
    ]
