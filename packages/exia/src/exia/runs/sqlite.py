"""Runs in one SQLite file: ``sqlite://`` is ``<home>/runs.db``, ``sqlite:///absolute/path.db`` any other."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from exia._house.backends import BackendURL
from exia._house.config import home
from exia._house.files import make_folder
from exia.errors import BackendUnavailable, RunNotFound
from exia.runs.port import Point, RunRecord, RunStore, Status, Values, checked_kind

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL, started TEXT NOT NULL, ended TEXT,
    host TEXT NOT NULL, "commit" TEXT, error TEXT, traceback TEXT, heartbeat TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS runs_by_start ON runs (started, id);
CREATE TABLE IF NOT EXISTS given (
    run_id TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (run_id, kind, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS metrics (
    run_id TEXT NOT NULL, seq INTEGER NOT NULL, name TEXT NOT NULL, value REAL NOT NULL, step INTEGER NOT NULL,
    time TEXT NOT NULL, PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS metrics_by_name ON metrics (run_id, name, seq);
CREATE TABLE IF NOT EXISTS last (
    run_id TEXT NOT NULL, name TEXT NOT NULL, seq INTEGER NOT NULL, value REAL NOT NULL, PRIMARY KEY (run_id, name)
) WITHOUT ROWID;
"""
_COLUMNS = ("id", "name", "started", "status", "ended", "host", "commit", "error", "traceback", "heartbeat")
_NAMES = ", ".join(f'"{column}"' for column in _COLUMNS)
_RUN = f"SELECT {_NAMES} FROM runs"
_LAST = (
    "INSERT INTO last VALUES (?, ?, ?, ?) ON CONFLICT (run_id, name) DO UPDATE SET seq = excluded.seq,"
    " value = excluded.value WHERE excluded.seq > last.seq"
)
_WAIT = 5.0  #: Seconds to wait for another process that writes.


class SqliteRuns:
    """The embedded store; several processes may use one file."""

    def __init__(self, url: BackendURL) -> None:
        self.url = url
        self._path = url.file_path(home() / "runs.db")
        self._lock = threading.Lock()
        with self._translated():
            make_folder(self._path.parent)
            self._db = sqlite3.connect(self._path, timeout=_WAIT, check_same_thread=False, isolation_level=None)
            # FULL: in WAL mode the default loses acknowledged rows when the power fails.
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA journal_mode = WAL")
            # SQLite's own 2 MB would fill over days in every process that records; the system caches the file anyway.
            self._db.execute("PRAGMA cache_size = -256")
            if self._db.execute("PRAGMA user_version").fetchone()[0] < _VERSION:
                self._prepare()

    def start(self, run: RunRecord) -> None:
        with self._writing():
            values = [getattr(run, column) for column in _COLUMNS]
            marks = ", ".join("?" * len(values))
            done = self._db.execute(f"INSERT OR IGNORE INTO runs ({_NAMES}) VALUES ({marks})", values)
            if done.rowcount:
                self._give(run.id, {"params": run.params, "tags": run.tags, "facts": run.facts})

    def log(
        self, run_id: str, points: Sequence[Point] = (), values: Values | None = None, heartbeat: str | None = None
    ) -> None:
        with self._writing():
            self._row(run_id)
            if points:
                rows = [(run_id, *point) for point in points]
                self._db.executemany("INSERT OR IGNORE INTO metrics VALUES (?, ?, ?, ?, ?, ?)", rows)
                newest = {point.name: point for point in sorted(points)}.values()
                self._db.executemany(_LAST, [(run_id, p.name, p.seq, p.value) for p in newest])
            self._give(run_id, values or {})
            if heartbeat:
                self._db.execute(
                    "UPDATE runs SET heartbeat = ? WHERE id = ? AND (heartbeat IS NULL OR heartbeat < ?)",
                    (heartbeat, run_id, heartbeat),
                )

    def finish(
        self, run_id: str, status: Status, ended: str, error: str | None = None, traceback: str | None = None
    ) -> None:
        with self._writing():
            self._row(run_id)
            self._db.execute(
                "UPDATE runs SET status = ?, ended = ?, error = ?, traceback = ? WHERE id = ? AND ended IS NULL",
                (status, ended, error, traceback, run_id),
            )

    def get(self, run_id: str) -> RunRecord:
        with self._reading():
            return self._record(self._row(run_id), output=True)

    def find(
        self, name: str | None = None, status: Status | None = None, limit: int = 100, after: str | None = None
    ) -> list[RunRecord]:
        wanted = {"name": name, "status": status}
        rules = [f"{k} = :{k}" for k, v in wanted.items() if v is not None]
        if after is not None:
            rules.append("(started, id) < (SELECT started, id FROM runs WHERE id = :after)")
        where = " WHERE " + " AND ".join(rules) if rules else ""
        with self._reading():
            rows = self._db.execute(
                f"{_RUN}{where} ORDER BY started DESC, id DESC LIMIT :limit",
                {**wanted, "after": after, "limit": limit},
            )
            return [self._record(row, output=False) for row in rows.fetchall()]

    def ids(self, prefix: str, limit: int = 100) -> list[str]:
        with self._reading():
            rows = self._db.execute(
                "SELECT id FROM runs WHERE substr(id, 1, ?) = ? ORDER BY id LIMIT ?", (len(prefix), prefix, limit)
            )
            return [run_id for (run_id,) in rows]

    def points(self, run_id: str, metric: str) -> list[Point]:
        with self._reading():
            self._row(run_id)
            rows = self._db.execute(
                "SELECT seq, name, value, step, time FROM metrics WHERE run_id = ? AND name = ? ORDER BY seq",
                (run_id, metric),
            )
            return [Point(*row) for row in rows]

    def delete(self, run_id: str) -> None:
        with self._writing():
            self._row(run_id)
            for table in ("metrics", "last", "given"):
                self._db.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))
            self._db.execute("DELETE FROM runs WHERE id = ?", (run_id,))

    def ping(self) -> str:
        with self._reading():
            (n,) = self._db.execute("SELECT COUNT(*) FROM runs").fetchone()
        return f"{n} runs in {self._path}"

    def close(self) -> None:
        with self._reading():
            self._db.close()

    def _prepare(self) -> None:
        """Make the tables, or bring those of an older Exia up to date."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            columns = [row[1] for row in self._db.execute("PRAGMA table_info(runs)")]
            older = "params" in columns
            if older:
                self._db.execute("ALTER TABLE runs ADD COLUMN heartbeat TEXT")
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            if older:
                self._move_given()
            self._db.execute(f"PRAGMA user_version = {_VERSION}")
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _move_given(self) -> None:
        for run_id, params, tags in self._db.execute("SELECT id, params, tags FROM runs").fetchall():
            self._give(run_id, {"params": json.loads(params), "tags": json.loads(tags)})
        self._db.execute(
            "INSERT OR IGNORE INTO last SELECT run_id, name, MAX(seq), value FROM metrics GROUP BY run_id, name"
        )
        for column in ("params", "tags"):
            self._db.execute(f"ALTER TABLE runs DROP COLUMN {column}")

    def _give(self, run_id: str, values: Values) -> None:
        rows = [
            (run_id, checked_kind(kind), key, _json(value))
            for kind, given in values.items()
            for key, value in given.items()
        ]
        self._db.executemany("INSERT OR REPLACE INTO given VALUES (?, ?, ?, ?)", rows)

    def _row(self, run_id: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] | None = self._db.execute(f"{_RUN} WHERE id = ?", (run_id,)).fetchone()
        if row is None:
            raise RunNotFound(f"there is no run {run_id!r}", hint="exia runs list")
        return row

    def _record(self, row: tuple[Any, ...], *, output: bool) -> RunRecord:
        record = RunRecord(**dict(zip(_COLUMNS, row, strict=True)))
        given = "SELECT kind, key, value FROM given WHERE run_id = ?" + ("" if output else " AND kind <> 'output'")
        for kind, key, value in self._db.execute(given, (record.id,)):
            getattr(record, kind)[key] = json.loads(value)
        last = self._db.execute("SELECT name, value FROM last WHERE run_id = ? ORDER BY name", (record.id,))
        record.metrics = dict(last.fetchall())
        return record

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock, self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock, self._translated():
            yield

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            if isinstance(exc, BackendUnavailable):
                raise
            raise BackendUnavailable(f"sqlite: {self._path}: {exc}", hint=_way_out(exc)) from exc


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _way_out(exc: Exception) -> str:
    if isinstance(exc, sqlite3.OperationalError) and "locked" in str(exc):
        return "another process writes for long; try again"
    return "exia config show --origin"


if TYPE_CHECKING:
    _fits: type[RunStore] = SqliteRuns
