"""What an import, a trace over many runs, and the lineage record of a run cost."""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

RUNS = 100_000
ROUNDS = 7
FLOW = Path(__file__).resolve().parents[2] / "examples" / "flows" / "hello"


def figures() -> list[dict[str, Any]]:
    """Return the figures; all but the import and the command are measured in this process."""
    with tempfile.TemporaryDirectory() as name, homes(Path(name)):
        rows = [_import(), _lineage_cost()]
        rows += _traces(Path(name))
    return rows


def _import() -> dict[str, Any]:
    seconds = []
    for _ in range(ROUNDS):
        code = "import time; b = time.perf_counter(); import jiyuan; dir(jiyuan); print(time.perf_counter() - b)"
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        seconds.append(1000 * float(done.stdout))
    return _row("import", "import jiyuan", statistics.median(seconds), "ms", 150)


def _lineage_cost() -> dict[str, Any]:
    """Measure what making and writing the record adds to a run of four units, in CPU time."""
    import kyrios
    from kyrios.execution import Execution

    flow = kyrios.load_flow(FLOW)
    spent: list[float] = []
    write = Execution.write_lineage

    def timed(self: Execution) -> None:
        begin = process_time()
        write(self)
        spent.append(1000 * (process_time() - begin))

    Execution.write_lineage = timed  # type: ignore[method-assign]
    try:
        for _ in range(ROUNDS):
            flow.run()
    finally:
        Execution.write_lineage = write  # type: ignore[method-assign]
    return _row("lineage-cost", "the lineage record of a flow's run, four units", statistics.median(spent), "ms", 5)


def _traces(folder: Path) -> list[dict[str, Any]]:
    import jiyuan as jy
    import kyrios

    run = kyrios.load_flow(FLOW).run()
    multiply(run.run_id, folder / "kyrios" / "history.db", RUNS)
    begin = perf_counter()
    found = jy.trace(run.run_id[-12:])
    first = perf_counter() - begin
    assert found.run_id == run.run_id
    uses = sorted(found.shared)[0]
    kyrios.load_flow(FLOW).run()  # something to follow
    last = f"{RUNS - 1:012x}"
    jiyuan = str(Path(sys.executable).parent / "jiyuan")
    return [
        _row("trace-first", f"the first trace over {RUNS:,} runs", first, "s", None, rounds=1),
        _row("trace", f"a trace over {RUNS:,} runs, by a part of the id", _timed(lambda: jy.trace(last)), "ms", 200),
        _row("trace-six", "the same, by six letters of the id", _timed(lambda: jy.trace(run.run_id[-6:])), "ms", 200),
        _row(
            "trace-uses", f"the 20 runs of {RUNS:,} that used one version of a data set",
            _timed(lambda: jy.users_of("rare@v1")), "ms", 200,
        ),
        _row(
            "trace-command", f"jiyuan trace over {RUNS:,} runs, the whole command",
            _timed(lambda: subprocess.run([jiyuan, "trace", last], check=True, capture_output=True)), "ms", None,
        ),
    ] if uses else []  # fmt: skip


def multiply(run_id: str, path: Path, runs: int) -> None:
    """Copy one run in the history until there are `runs`; every 5,000th used a data set of its own."""
    db = sqlite3.connect(path)
    ((created, head),) = db.execute("select created, head from runs where run_id = ?", (run_id,)).fetchall()
    events = db.execute(
        "select task, state, at, detail from events where run_id = ? order by seq", (run_id,)
    ).fetchall()
    for number in range(1, runs):
        other = f"{run_id[:24]}{number:012x}"
        db.execute("insert into runs values (?, ?, ?)", (other, created, head.replace(run_id, other)))
        texts = [
            (
                other,
                task,
                state,
                at,
                detail.replace('"name": "people"', '"name": "rare"') if not number % 5000 else detail,
            )
            for task, state, at, detail in events
        ]
        db.executemany("insert into events (run_id, task, state, at, detail) values (?, ?, ?, ?, ?)", texts)
    db.commit()
    db.close()


def _timed(work: Callable[[], Any]) -> float:
    work()
    seconds = []
    for _ in range(ROUNDS):
        begin = perf_counter()
        work()
        seconds.append(1000 * (perf_counter() - begin))
    return statistics.median(seconds)


def _row(name: str, figure: str, value: float, unit: str, bar: float | None, rounds: int = ROUNDS) -> dict[str, Any]:
    return {
        "id": f"jiyuan-{name}", "library": "jiyuan", "figure": figure, "value": round(value, 3), "unit": unit,
        "bar": bar, "better": "low", "peer": None, "peer_value": None, "rounds": rounds,
    }  # fmt: skip


@contextmanager
def homes(folder: Path) -> Any:
    libraries = ("exia", "jiyuan", "kyrios", "ptolemy", "veda")
    before = dict(os.environ)
    os.environ.update({f"{name}_HOME".upper(): str(folder / name) for name in libraries})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


if __name__ == "__main__":
    print(json.dumps(figures(), indent=1))
