"""The peers of the store's benchmark, in an environment of their own: one JSON command a line, one answer a line.

DuckDB has its data sorted by the columns that a question selects by, which is its best layout for
it, and answers to Arrow; SQLite is WITHOUT ROWID with an index on the day. Both keep their defaults
otherwise, SQLite with ``synchronous=FULL`` where it appends.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from _panel import NUMBERS, Question, Size, bars, codes, panel, questions

TABLE = ", ".join(["ts_code varchar", "trade_date varchar", *(f"{name} double" for name in NUMBERS)])


class Peers:
    def __init__(self, folder: Path, size: Size) -> None:
        self.folder = folder
        self.size = size
        self.table: pa.Table | None = None
        self.duck: dict[str, Any] = {}

    def versions(self) -> dict[str, str]:
        threads = duckdb.execute("select current_setting('threads')").fetchall()[0][0]
        return {
            "duckdb": duckdb.__version__, "threads": str(threads), "sqlite": sqlite3.sqlite_version,
            "pyarrow": pa.__version__, "influxdb-client": version("influxdb-client"),
        }  # fmt: skip

    def ingest(self, number: int) -> float:
        """Write the panel into a new DuckDB file, sorted by security, durable at the end; return seconds."""
        self.table = self.table or panel(self.size)
        path = self.folder / "by-security.duckdb"
        for old in self.folder.glob("by-security.duckdb*"):
            old.unlink()
        began = time.perf_counter()
        with duckdb.connect(str(path)) as db:
            db.register("news", self.table)
            db.execute("create table daily as select * from news order by ts_code, trade_date")
            db.execute("checkpoint")
        return time.perf_counter() - began

    def prepare(self) -> None:
        """Write what is asked, and not timed: DuckDB by day, SQLite."""
        assert self.table is not None
        with duckdb.connect(str(self.folder / "by-day.duckdb")) as db:
            db.register("news", self.table)
            db.execute("create table daily as select * from news order by trade_date, ts_code")
        lite = sqlite3.connect(self.folder / "daily.sqlite")
        lite.execute(f"create table daily ({TABLE}, primary key (ts_code, trade_date)) without rowid")
        marks = ",".join("?" * (2 + len(NUMBERS)))
        for batch in self.table.to_batches(max_chunksize=200_000):
            rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
            lite.executemany(f"insert into daily values ({marks})", rows)
        lite.execute("create index by_day on daily (trade_date, ts_code)")
        lite.commit()
        lite.close()
        self.table = None

    def ask(self, peer: str, kind: str, count: int, seed: int) -> tuple[float, float]:
        """Answer questions; return wall and CPU seconds of one."""
        asked = questions(kind, self.size, count, seed)
        answer = self._sqlite if peer == "sqlite" else self._duckdb
        db = self._open(peer)
        answer(db, asked[0])
        wall, cpu = time.perf_counter(), time.process_time()
        for question in asked:
            assert answer(db, question) == question.rows
        return (time.perf_counter() - wall) / count, (time.process_time() - cpu) / count

    def _open(self, peer: str) -> Any:
        if peer not in self.duck:
            if peer == "sqlite":
                self.duck[peer] = sqlite3.connect(self.folder / "daily.sqlite")
            else:
                self.duck[peer] = duckdb.connect(str(self.folder / f"{peer}.duckdb"), read_only=True)
        return self.duck[peer]

    def _duckdb(self, db: Any, question: Question) -> int:
        found = db.sql(f"select * from daily where {_where(question)}").to_arrow_table()
        return int(found.num_rows)

    def _sqlite(self, db: Any, question: Question) -> int:
        return len(db.execute(f"select * from daily where {_where(question)}").fetchall())

    def append(self, peer: str, count: int, first: int) -> float:
        """Append days of 5,000 rows, each durable by itself; return the median seconds of one."""
        took = []
        for number in range(first, first + count):
            table = bars(codes(Size(5_000, 1)), [f"{30_000_000 + number}"])
            began = time.perf_counter()
            if peer == "parquet":
                path = self.folder / f"{number}.parquet"
                with path.open("wb") as file:
                    pq.write_table(table, file)
                    file.flush()
                    os.fsync(file.fileno())
                path.rename(path.with_suffix(".done"))
            else:
                db = self.duck.get("append")
                if db is None:
                    db = self.duck["append"] = duckdb.connect(str(self.folder / "append.duckdb"))
                    db.execute(f"create table daily ({TABLE})")
                db.register("news", table)
                db.execute("insert into daily select * from news")
            took.append(time.perf_counter() - began)
        return sorted(took)[len(took) // 2]

    def points(self, count: int) -> float:
        """Return lines a CPU second of influxdb-client's `Point`."""
        import influxdb_client

        maker: Any = influxdb_client.Point  # type: ignore[attr-defined,unused-ignore]
        rows = bars(codes(Size(count // 10, 1)), [f"2024010{n}" for n in range(10)]).to_pylist()
        began = time.process_time()
        for number, row in enumerate(rows):
            point = maker("daily").tag("ts_code", row["ts_code"])
            for name in NUMBERS:
                point.field(name, row[name])
            point.time(1_704_153_600_000_000_000 + number).to_line_protocol()
        return len(rows) / (time.process_time() - began)

    def close(self) -> None:
        for db in self.duck.values():
            db.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _where(question: Question) -> str:
    where = []
    if question.codes is not None:
        where.append(f"ts_code in ({', '.join(repr(code) for code in question.codes)})")
    if question.start is not None:
        where.append(f"trade_date between '{question.start}' and '{question.end}'")
    return " and ".join(where)


def main() -> None:
    folder, securities, days = sys.argv[1:]
    peers = Peers(Path(folder), Size(int(securities), int(days)))
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(getattr(peers, name)(*arguments)), flush=True)
        if name == "close":
            return


if __name__ == "__main__":
    main()
