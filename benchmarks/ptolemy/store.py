"""The series store beside DuckDB, SQLite and Parquet: 10 M daily bars of 5,000 securities on 2,000 days, 11 columns.

Every round asks ours and the peer the same questions, one after the other, so that a noisy machine
moves both alike; a ratio is the median of the rounds' ratios of wall times. The peers run in a
process and an environment of their own, made by uv and thrown away. Caches are warm.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # the peers, who have no package, import it so as well

from _panel import FULL, SMALL, Question, Size, bars, codes, panel, questions
from benchmarks.figures import figure

from ptolemy.series import Series, open_series
from ptolemy.series.lines import lines, shape_of

ROUNDS = 7
KEY = ("ts_code", "trade_date")
PEERS = ("duckdb==2.0.0", "pyarrow==25.0.1", "numpy==2.4.6", "influxdb-client==1.50.0")
FOLDER = Path(__file__).resolve().parent

#: kind of question, what it is, how many a round, bar in ms, the peer, how it is set, bar of the ratio
QUERIES = (
    ("security", "one security, all days, to Arrow", 200, 0.3, "by-security", "sorted by security, to Arrow", 7),
    ("day", "one day, all securities, to Arrow", 60, 0.7, "by-day", "sorted by day, to Arrow", 2.5),
    (
        "block",
        "50 securities x 250 days, to Arrow",
        40,
        1.3,
        "sqlite",
        "WITHOUT ROWID, index on the day, caches at their defaults, to tuples",
        10,
    ),
)


def figures(size: Size = FULL) -> list[dict[str, Any]]:
    """Measure and return one dict per figure; the harness adds date, cpu and commit."""
    with (
        tempfile.TemporaryDirectory(prefix="ptolemy-bench-") as place,
        _peers(Path(place), size) as peer,
    ):
        named = peer("versions")
        found = _ingest(Path(place), size, peer, named)
        peer("prepare")
        with open_series(f"arrow:{place}/ours") as store:
            for query in QUERIES:
                found += _queries(store, size, peer, named, *query)
        found += _appends(Path(place), peer, named)
        found += _points(peer, named)
        peer("close")
    return found


def _ingest(place: Path, size: Size, peer: Any, named: dict[str, str]) -> list[dict[str, Any]]:
    table = panel(size)
    ours, ratios, theirs = [], [], []
    for number in range(5):
        shutil.rmtree(place / "ours", ignore_errors=True)
        with open_series(f"arrow:{place}/ours") as store:
            began = time.perf_counter()
            store.upsert("daily", table, key=KEY)
            ours.append(time.perf_counter() - began)
        theirs.append(peer("ingest", number))
        ratios.append(ours[-1] / theirs[-1])
    how = f"{_duckdb(named)}, one CREATE TABLE sorted by security, and CHECKPOINT"
    rows = size.securities * size.days
    stored = sum(path.stat().st_size for path in (place / "ours").rglob("*") if path.is_file())
    return [
        _figure("ingest", f"{rows:,} rows from memory, durable, against DuckDB's time", statistics.median(ratios), "x",
                1.3, peer=how, peer_value=1.0, rounds=5),
        _figure("ingest-seconds", f"{rows:,} rows from memory, durable", statistics.median(ours), "s", None,
                peer=how, peer_value=statistics.median(theirs), rounds=5),
        _figure("stored-bytes", "the same on the disk, bytes a row", stored / rows, "B", None, rounds=1),
    ]  # fmt: skip


def _queries(
    store: Series, size: Size, peer: Any, named: dict[str, str],
    kind: str, what: str, count: int, bar: float, file: str, how: str, least: float,
) -> list[dict[str, Any]]:  # fmt: skip
    walls, cpus, theirs, ratios = [], [], [], []
    for number in range(ROUNDS):
        wall, cpu = _ours(store, questions(kind, size, count, number))
        other, _ = peer("ask", file, kind, max(5, count // 10), number)
        walls.append(1e3 * wall)
        cpus.append(1e3 * cpu)
        theirs.append(1e3 * other)
        ratios.append(other / wall)
    full = f"SQLite {named['sqlite']}" if file == "sqlite" else _duckdb(named)
    asked = {"peer": f"{full}, {how}", "peer_value": statistics.median(theirs)}
    return [
        _figure(f"read-{kind}", f"{what}: CPU time", statistics.median(cpus), "ms", bar),
        _figure(f"read-{kind}-wall", f"{what}: wall time", statistics.median(walls), "ms", None, **asked),
        _figure(f"read-{kind}-ratio", f"{what}: how much faster than {full.partition(' ')[0]}",
                statistics.median(ratios), "x", least, better="high", **asked),
    ]  # fmt: skip


def _duckdb(named: dict[str, str]) -> str:
    return f"DuckDB {named['duckdb']} ({named['threads']} threads, memory_limit at its default)"


def _ours(store: Series, asked: list[Question]) -> tuple[float, float]:
    def answer(question: Question) -> int:
        return store.read("daily", codes=question.codes, start=question.start, end=question.end).num_rows

    answer(asked[0])
    wall, cpu = time.perf_counter(), time.process_time()
    for question in asked:
        assert answer(question) == question.rows
    return (time.perf_counter() - wall) / len(asked), (time.process_time() - cpu) / len(asked)


def _appends(place: Path, peer: Any, named: dict[str, str]) -> list[dict[str, Any]]:
    """Append days of 5,000 rows, each acknowledged by itself, and beside each write and fdatasync the same bytes."""
    names = codes(Size(5_000, 1))
    took, floors, ratios = [], [], []
    floor = os.open(place / "floor", os.O_RDWR | os.O_CREAT)
    at = 0
    with open_series(f"arrow:{place}/appended") as store:
        store.upsert("daily", bars(names, ["29991231"]), key=KEY)
        (log,) = (place / "appended" / "daily").glob("log-*")
        for number in range(60):
            table = bars(names, [f"{30_000_000 + number}"])
            before = log.stat().st_size
            began = time.perf_counter()
            store.upsert("daily", table, key=KEY)
            took.append(time.perf_counter() - began)
            data = os.urandom(log.stat().st_size - before)
            began = time.perf_counter()
            os.pwrite(floor, data, at)
            os.fdatasync(floor)
            floors.append(time.perf_counter() - began)
            at += len(data)
            ratios.append(took[-1] / floors[-1])
    os.close(floor)
    peers = {name: peer("append", name, 20, 0) for name in ("duckdb", "parquet")}
    duck = {
        "peer": f"{_duckdb(named)}, INSERT from Arrow in a transaction of its own",
        "peer_value": 1e3 * peers["duckdb"],
    }
    parquet = {"peer": f"pyarrow {named['pyarrow']}, one Parquet file a day, fsync, rename",
               "peer_value": 1e3 * peers["parquet"]}  # fmt: skip
    milliseconds = 1e3 * statistics.median(took)
    return [
        _figure("append", "durable append of 5,000 rows, against write+fdatasync of the same bytes",
                statistics.median(ratios), "x", 2, peer="write+fdatasync", peer_value=1.0, rounds=60),
        _figure("append-ms", "durable append of 5,000 rows", milliseconds, "ms", None, rounds=60, **duck),
        _figure("append-ms-parquet", "the same beside Parquet", milliseconds, "ms", None, rounds=60, **parquet),
    ]  # fmt: skip


def _points(peer: Any, named: dict[str, str]) -> list[dict[str, Any]]:
    table = bars(codes(Size(2_000, 1)), [f"202401{day:02d}" for day in range(1, 11)])
    shape = shape_of("daily", table, KEY)
    assert len(lines(shape, table).splitlines()) == table.num_rows
    rates = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(5):
            lines(shape, table)
        rates.append(5 * table.num_rows / (time.process_time() - began))
    how = f"influxdb-client {named['influxdb-client']}, Point.to_line_protocol() in one thread, 9 fields, nanoseconds"
    return [
        _figure("line-protocol", "line protocol, bars with 9 fields a CPU second", statistics.median(rates), "1/s",
                800_000, better="high", peer=how, peer_value=peer("points", 5_000)),
    ]  # fmt: skip


def _figure(
    name: str, what: str, value: float, unit: str, bar: float | None, *, rounds: int = ROUNDS, **more: Any
) -> dict[str, Any]:
    return figure("ptolemy-store", name, what, value, unit, bar, rounds=rounds, **more)


@contextmanager
def _peers(place: Path, size: Size) -> Iterator[Callable[..., Any]]:
    """Give a callable that asks the peers, who run in an environment of their own."""
    environment = place / "env"
    uv = shutil.which("uv") or str(FOLDER.parents[1] / "scripts" / "uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(environment)], check=True)
    python = environment / "bin" / "python"
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *PEERS], check=True)
    (place / "peers").mkdir()
    command = [str(python), str(FOLDER / "_store_peers.py"), str(place / "peers"), str(size.securities), str(size.days)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(*words: Any) -> Any:
            process.stdin.write(json.dumps(words) + "\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            line = process.stdout.readline()  # type: ignore[union-attr]
            if not line:
                raise RuntimeError(f"the peers ended at {words}")
            return json.loads(line)

        yield ask


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="600,000 rows instead of 10 M, for a quick look")
    for row in figures(SMALL if parser.parse_args().small else FULL):
        shown = "-" if row["peer_value"] is None else f"{row['peer_value']:g} {row['peer']}"
        print(f"{row['id']:34} {row['value']:>12g} {row['unit']:4} bar {row['bar']}  {shown}")
