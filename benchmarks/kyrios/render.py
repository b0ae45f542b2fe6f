"""What rendering 200 flows of 20 units for Airflow costs: cold, with nothing changed, planned and checked.

CPU time of this process without imports, which each command pays once. Cold, the flows are read, judged, linked,
digested, rendered, compiled and written durably. With nothing changed, the bytes of every file that a flow was read
from, and of every rendered file, are digested and compared with the manifest.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from kyrios import render

_ROUNDS = 5
_FLOWS, _UNITS = 200, 20
_UNIT = """\
kyrios: 1
unit: step
info: {version: "1.0", summary: One step}
run: {call: "units:step"}
interface: {}
"""


def figures() -> list[dict[str, Any]]:
    """Measure and return one dict per figure; the harness adds date, cpu and commit."""
    with tempfile.TemporaryDirectory() as name, mock.patch.dict(os.environ, {"KYRIOS_HOME": f"{name}/home"}):
        folder = Path(name)
        flows = [flow_of(folder / "flows", i) for i in range(_FLOWS)]
        _render(flows[:1], folder / "warm")
        times: dict[str, list[float]] = {"cold": [], "same": [], "plan": [], "check": []}
        for n in range(_ROUNDS):
            out = folder / f"dags-{n}"
            times["cold"].append(_taken(partial(_render, flows, out)))
            times["same"].append(_taken(partial(_render, flows, out)))
            times["plan"].append(_taken(partial(_plan, flows, out)))
            times["check"].append(_taken(partial(render.check, out)))
    bars = {"cold": 0.7, "same": 0.25, "plan": 0.3, "check": 0.3}
    said = {
        "cold": "cold render of 200 flows of 20 units for Airflow",
        "same": "render of the same 200 flows, nothing changed",
        "plan": "plan of 200 flows",
        "check": "check of 200 flows",
    }
    return [
        {
            "id": f"kyrios-render-{name}",
            "library": "kyrios",
            "figure": f"{said[name]}, CPU time",
            "value": round(statistics.median(found), 3),
            "unit": "s",
            "bar": bars[name],
            "better": "low",
            "peer": None,
            "peer_value": None,
            "rounds": _ROUNDS,
        }
        for name, found in times.items()
    ]


def flow_of(folder: Path, number: int) -> Path:
    """Write flow `number` of 20 units in layers of five; return its folder."""
    flow = folder / f"flow_{number:03}"
    (flow / "units").mkdir(parents=True)
    (flow / "units" / "step.yaml").write_text(_UNIT, encoding="utf-8")
    (flow / "units.py").write_text("def step():\n    return None\n", encoding="utf-8")
    lines = [f"kyrios: 1\nflow: flow_{number:03}\ninfo: {{version: '1.0', summary: Flow {number}}}\nunits:"]
    for k in range(_UNITS):
        above = ", ".join(f"u{j:02}" for j in range(k // 5 * 5 - 5, k // 5 * 5) if j >= 0)
        lines.append(f"  u{k:02}: {{use: step@1, after: [{above}]}}")
    (flow / "flow.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return flow


def _render(flows: list[Path], out: Path) -> None:
    render.write(render.planned_in(flows, "airflow", out=out), out)


def _plan(flows: list[Path], out: Path) -> None:
    files = render.planned_in(flows, "airflow", out=out)
    assert not any(render.difference(file, out) for file in files)


def _taken(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
