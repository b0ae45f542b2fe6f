"""What it costs the caller to record: one metric of a run, one item of the log; and what it costs in all.

CPU time of the calling thread (`time.thread_time_ns`), in bursts with a flush between them: what a loop
pays that logs as it goes. The cost in all is the CPU time of the process: caller, the thread that writes
the log with its fsyncs, and the one that delivers to SQLite.

The peer is MLflow, which writes each metric to its SQLite database before it returns. It runs in an
environment of its own, in turns with ours.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.exia.models import _home

import exia
from exia.log import LogWriter

_ROUNDS = 15
_BURST = 20_000
_PEER_BURST = 40
_MLFLOW = "mlflow==3.17.2"

#: Logs as many metrics as each line of stdin says, and says how many ns of CPU and of time that took.
_PEER = """
import logging, sys, tempfile, time, warnings
warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)
import mlflow
mlflow.set_tracking_uri(f"sqlite:///{tempfile.mkdtemp()}/mlflow.db")
mlflow.set_experiment("bench")
with mlflow.start_run():
    mlflow.log_metric("ic", 0.5, step=0)
    print(mlflow.__version__, flush=True)
    step = 0
    for line in sys.stdin:
        cpu, began = time.thread_time_ns(), time.perf_counter_ns()
        for _ in range(int(line)):
            step += 1
            mlflow.log_metric("ic", 0.5, step=step)
        print(time.thread_time_ns() - cpu, time.perf_counter_ns() - began, flush=True)
"""


def figures() -> list[dict[str, Any]]:
    """Measure and return one dict per figure; the harness adds date, cpu and commit."""
    with tempfile.TemporaryDirectory(prefix="exia-bench-") as folder, _home(Path(folder) / "home"):
        with _peer() as (name, ask):
            found = _metrics(name, ask)
        return [*found, _put(Path(folder) / "log")]


def _metrics(name: str | None, ask: Callable[[], float] | None) -> list[dict[str, Any]]:
    from exia.runs.journal import close_journals

    ours, theirs, everything = [], [], []
    with exia.run("bench") as run:
        run.log_metric("ic", 0.5)
        run.flush()
        for _ in range(_ROUNDS):
            in_all, began = time.process_time_ns(), time.thread_time_ns()
            for _ in range(_BURST):
                run.log_metric("ic", 0.5)
            ours.append((time.thread_time_ns() - began) / _BURST)
            run.flush(60)
            everything.append((time.process_time_ns() - in_all) / _BURST)
            if ask is not None:
                theirs.append(ask())
    close_journals()
    peer = None if name is None else f"MLflow {name}, log_metric to SQLite"
    return [
        _figure("run-metric", "caller's CPU for one metric of a run", statistics.median(ours), 1_000.0, peer, theirs),
        _figure(
            "run-metric-all", "the same with all threads: log, fsync, delivery to SQLite",
            statistics.median(everything), None, peer, theirs,
        ),
    ]  # fmt: skip


def _put(folder: Path) -> dict[str, Any]:
    writer = LogWriter(folder, encode=lambda items: [b"%d" % len(items)])
    event = ("lease", "momentum", 12_345, 678)
    costs = []
    for _ in range(_ROUNDS):
        began = time.thread_time_ns()
        for _ in range(_BURST):
            writer.put(event)
        costs.append((time.thread_time_ns() - began) / _BURST)
        writer.flush(60)
    writer.close()
    return _figure("log-put", "caller's CPU for one item of the local log", statistics.median(costs), 500.0, None, [])


@contextmanager
def _peer() -> Iterator[tuple[str | None, Callable[[], float] | None]]:
    uv = Path(__file__).resolve().parents[2] / "scripts" / "uv"
    command = [str(uv), "run", "--quiet", "--no-project", "--isolated", "--python", sys.executable, "--with", _MLFLOW]
    with subprocess.Popen(
        [*command, "python", "-c", _PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        version = process.stdout.readline().strip()
        if not version:
            print("exia/runs: no peer: MLflow did not start; its reason is above", file=sys.stderr)
            yield None, None
            return

        def ask() -> float:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{_PEER_BURST}\n")
            process.stdin.flush()
            return int(process.stdout.readline().split()[0]) / _PEER_BURST

        yield version, ask
        process.stdin.close()


def _figure(
    name: str, what: str, value: float, bar: float | None, peer: str | None, peer_values: list[float]
) -> dict[str, Any]:
    return {
        "id": f"exia-{name}",
        "library": "exia",
        "figure": what,
        "value": round(value),
        "unit": "ns",
        "bar": bar,
        "better": "low",
        "peer": peer,
        "peer_value": round(statistics.median(peer_values)) if peer_values else None,
        "rounds": _ROUNDS,
    }


if __name__ == "__main__":
    for row in figures():
        print(f"{row['id']:22} {row['value']:>9} ns, bar {row['bar']}, peer {row['peer_value']}  {row['figure']}")
