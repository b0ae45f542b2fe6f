"""How well a service loop keeps 100 Hz: lateness, ticks that were left out, and both while it is reloaded.

The loop runs as a process of its own, `kyrios loop`, for a thousand ticks a round. A bare loop that only sleeps runs
before it, at the same rate and with the same priority, and says what this machine allows. Both ask for real time where
this user may have it; on a machine that does other work too, every program waits for its turn otherwise. In the rounds
with reloads a unit's code, then the flow's parameters, change every quarter of a second.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_ROUNDS = 5
_TICKS = 1000
_ROOT = Path(__file__).parents[2]
_BARE = """
import os, sys, threading, time
if sys.argv[2] == "1":
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
event, start, late = threading.Event(), time.monotonic(), []
for i in range(int(sys.argv[1])):
    left = start + i * 0.01 - time.monotonic()
    if left > 0:
        event.wait(left)
    late.append(time.monotonic() - start - i * 0.01)
print(sorted(late)[int(len(late) * 0.99)])
"""


def figures() -> list[dict[str, Any]]:
    """Measure and return one dict per figure; the harness adds date, cpu and commit."""
    realtime = _may_go_first()
    found: dict[str, list[float]] = {"bare": [], "plain": [], "plain_lost": [], "reload": [], "reload_lost": []}
    reloads = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "pulse"
        shutil.copytree(_ROOT / "examples/flows/pulse", folder)
        for _ in range(_ROUNDS):
            found["bare"].append(_bare(realtime))
            for kind in ("plain", "reload"):
                answer = _loop(folder, Path(name) / "home", realtime, changing=kind == "reload")
                found[kind].append(answer["late_p99"])
                found[f"{kind}_lost"].append(answer["skipped"])
                reloads += answer["reloads"]
    assert reloads >= _ROUNDS
    often = "reloaded 4 times a second"
    how = "in real time" if realtime else "as any other program"
    peer = {"peer": f"a loop that only sleeps, {how}", "peer_value": round(statistics.median(found["bare"]) * 1e3, 3)}
    none = {"peer": None, "peer_value": None}
    late = f"service loop of three units at 100 Hz, {how}: p99 lateness of a tick"
    lost = "ticks that a service loop at 100 Hz left out"
    return [
        _figure("late", late, statistics.median(found["plain"]) * 1e3, "ms", 5, peer),
        _figure("lost", f"{lost}, of {_TICKS}", statistics.median(found["plain_lost"]), "ticks", 0, none),
        _figure("reload-late", f"{late}, {often}", statistics.median(found["reload"]) * 1e3, "ms", 5, peer),
        _figure("reload-lost", f"{lost} while {often}, of {_TICKS}",
                statistics.median(found["reload_lost"]), "ticks", 0, none),
    ]  # fmt: skip


def _figure(name: str, what: str, value: float, unit: str, bar: float, peer: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"kyrios-loop-{name}",
        "library": "kyrios",
        "figure": what,
        "value": round(value, 3),
        "unit": unit,
        "bar": bar,
        "better": "low",
        **peer,
        "rounds": _ROUNDS,
    }


def _may_go_first() -> bool:
    words = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))"
    return subprocess.run([sys.executable, "-c", words], capture_output=True).returncode == 0


def _bare(realtime: bool) -> float:
    words = [sys.executable, "-c", _BARE, str(_TICKS), str(int(realtime))]
    return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def _loop(folder: Path, home: Path, realtime: bool, *, changing: bool) -> dict[str, Any]:
    words = [sys.executable, "-c", "from kyrios.cli import main; main()", "loop", str(folder)]
    words += ["--ticks", str(_TICKS), "--json", *(["--realtime"] if realtime else [])]
    environment = {**os.environ, "KYRIOS_HOME": str(home)}
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    code, flow = (folder / "units.py").read_text(encoding="utf-8"), (folder / "flow.yaml").read_text(encoding="utf-8")
    turn = 0
    while changing and process.poll() is None:
        turn += 1
        time.sleep(0.25)
        if turn % 2:
            _write(folder / "units.py", f"{code}\nTURN = {turn}\n")
        else:
            _write(folder / "flow.yaml", flow.replace("weight: 0.2", f"weight: 0.{turn % 9 + 1}"))
    out, _ = process.communicate()
    _write(folder / "units.py", code)
    _write(folder / "flow.yaml", flow)
    answer: dict[str, Any] = json.loads(out)
    return answer


def _write(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
