"""What a task costs on Celery: 1,000 units that do nothing, in 20 layers of 50, three parents each.

Whole runs, `Flow.run` with its durable record in SQLite, over two worker processes and a real Redis that makes its file
durable each second. The second figure is the same graph with `fuse: auto`. The peer is Celery's canvas, in the same
run on the same Redis with as many processes: three layers of 50, for with more it takes ever longer a task. Wall time:
most of it is spent in other processes.
"""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.kyrios.run import NODES, layered

from kyrios import Flow
from kyrios.fusion import auto

_ROUNDS = 5
_PEER_LAYERS, _PEER_WIDTH = 3, 50


def figures() -> list[dict[str, Any]]:
    """Measure and return one dict per figure; nothing where Redis or Celery is not installed."""
    try:
        import celery  # noqa: F401
        import redis
        from tests.services.places import Missing
        from tests.services.running import Running
    except ImportError:
        return []
    with ExitStack() as stack:
        services = Running()
        stack.callback(services.close)
        try:
            address = services.start("redis").url("KYRIOS_TEST_REDIS_URL")
        except Missing:
            return []
        with redis.Redis.from_url(address) as server:
            server.config_set("appendfsync", "everysec")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "nothing.py").write_text("def nothing():\n    return None\n", encoding="utf-8")
        environment = {"KYRIOS_HOME": str(folder / "home"), "CANVAS_REDIS": address}
        stack.enter_context(mock.patch.dict(os.environ, environment))
        url = address.replace("redis:", "celery:", 1)
        ours = ["from kyrios.cli import main; main()", "worker", "--engine", url]
        theirs = ["import sys; from benchmarks.kyrios._canvas import app; app.worker_main(sys.argv[1:])", "worker"]
        theirs += ["--loglevel=ERROR", "--concurrency=2", "--without-gossip", "--without-mingle"]
        stack.enter_context(_process(ours))
        stack.enter_context(_process(theirs))
        from benchmarks.kyrios._canvas import layers

        graph = layered()
        fused = replace(graph, fused=auto(graph.tasks))
        times: dict[str, list[float]] = {"task": [], "fused": [], "canvas": []}
        layers(1, 2)
        _run(Flow(folder, layered("warm")), url)
        for _ in range(_ROUNDS):
            gc.collect()
            times["task"].append(_run(Flow(folder, graph), url) / NODES)
            times["fused"].append(_run(Flow(folder, fused), url) / NODES)
            times["canvas"].append(layers(_PEER_LAYERS, _PEER_WIDTH) / (_PEER_LAYERS * _PEER_WIDTH))
    median = {name: statistics.median(found) * 1e3 for name, found in times.items()}
    said = f"canvas of Celery {version('celery')}, {_PEER_LAYERS} layers of {_PEER_WIDTH}, 2 processes"
    what = "1,000 empty nodes on Celery, 2 processes, durable record, per node"
    return [
        _figure("task", what, median["task"], 1.8, said, median["canvas"]),
        _figure("fused", f"{what}, fuse: auto", median["fused"], None, said, median["canvas"]),
    ]


def _figure(name: str, what: str, value: float, bar: float | None, peer: str, peer_value: float) -> dict[str, Any]:
    return {
        "id": f"kyrios-celery-{name}",
        "library": "kyrios",
        "figure": what,
        "value": round(value, 3),
        "unit": "ms",
        "bar": bar,
        "better": "low",
        "peer": peer,
        "peer_value": round(peer_value, 2),
        "rounds": _ROUNDS,
    }


def _run(flow: Flow, url: str) -> float:
    began = time.perf_counter()
    run = flow.run(engine=url)
    took = time.perf_counter() - began
    assert run.state == "succeeded"
    return took


@contextmanager
def _process(words: list[str]) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()
