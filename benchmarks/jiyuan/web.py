"""How long the server takes for each view of the page: 1,000 runs, 200 packages, 50 flows."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.figures import figure
from benchmarks.jiyuan import lineage

RUNS, PACKAGES, FLOWS, ROUNDS = 1000, 200, 50, 7
VIEWS = ("centre", "runs", "packages", "flows")


def figures() -> list[dict[str, Any]]:
    """Return one figure for each view, from the request to the last byte."""
    with tempfile.TemporaryDirectory() as name, lineage.homes(Path(name)):
        folder = Path(name)
        _fill(folder)
        command = [str(Path(sys.executable).with_name("jiyuan")), "web", "--port", "0", "--json", "--flows",
                   str(folder / "flows")]  # fmt: skip
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as web:
            assert web.stdout is not None
            url = json.loads("".join(web.stdout.readline() for _ in range(4)))["url"]
            try:
                return [_view(url, view) for view in VIEWS]
            finally:
                web.terminate()


def _view(url: str, view: str) -> dict[str, Any]:
    seconds = []
    for _ in range(ROUNDS + 1):
        begin = perf_counter()
        with urllib.request.urlopen(f"{url}/{view}", timeout=120) as answer:
            text = answer.read().decode()
        seconds.append(perf_counter() - begin)
    expected = {"centre": 15, "runs": RUNS, "packages": PACKAGES, "flows": FLOWS}[view]
    assert text.count("<tr><td>") >= expected, view
    what = f"view {view} of jiyuan web: {RUNS:,} runs, {PACKAGES} packages, {FLOWS} flows; after the first request"
    return figure("jiyuan-web", view, what, statistics.median(seconds[1:]) * 1000, "ms", 300, rounds=ROUNDS)


def _fill(folder: Path) -> None:
    import shutil

    import kyrios
    from veda.registry import Release, open_registry

    for number in range(FLOWS):
        shutil.copytree(lineage.FLOW, folder / "flows" / f"flow{number:02}")
    run = kyrios.load_flow(lineage.FLOW).run()
    lineage.multiply(run.run_id, folder / "kyrios" / "history.db", RUNS)
    with open_registry() as registry:
        for number in range(PACKAGES):
            digest = f"sha256:{number:064x}"
            registry.publish(Release(f"package-{number:03}", "1.0.0", digest, {"name": f"package-{number:03}"}))
