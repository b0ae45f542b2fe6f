"""Runs in one SQLite file: ``sqlite://`` is ``<home>/runs.db``, ``sqlite:///absolute/path.db`` any other."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from exia._house.backends import BackendURL
from exia._house.config import home
from exia._house.files import make_folder
from exia.errors import BackendUnavailable, RunNotFound
from exia.runs.port import Point, RunRecord, RunStore, Status

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL, started TEXT NOT NULL, ended TEXT,
    params TEXT NOT NULL, tags TEXT NOT NULL, host TEXT NOT NULL, "commit" TEXT, error TEXT, traceback TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS metrics (
    run_id TEXT NOT NULL, seq INTEGER NOT NULL, name TEXT NOT NULL, value REAL NOT NULL, step INTEGER NOT NULL,
    time TEXT NOT NULL, PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS metrics_by_name ON metrics (run_id, name, seq);
"""
_RUN = 'SELECT id, name, started, status, ended, params, tags, host, "commit", error, traceback FROM runs'
_LAST = "SELECT name, value, MAX(seq) FROM metrics WHERE run_id = ? GROUP BY name ORDER BY name"
_WAIT = 5.0  #: Seconds to wait for another process that writes.


class SqliteRuns:
    """The embedded store; several processes may use one file."""

    def __init__(self, url: BackendURL) -> None:
        self._path = url.file_path(home() / "runs.db")
        self._lock = threading.Lock()
        with self._translated():
            make_folder(self._path.parent)
            self._db = sqlite3.connect(self._path, timeout=_WAIT, check_same_thread=False, isolation_level=None)
            # FULL: in WAL mode the default loses acknowledged rows when the power fails.
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(_SCHEMA)

    def start(self, run: RunRecord) -> None:
        row = (run.id, run.name, run.status, run.started, run.ended, _json(run.params), _json(run.tags), run.host)
        with self._writing():
            self._db.execute(
                "INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, run.commit, run.error, run.traceback),
            )

    def log(
        self,
        run_id: str,
        points: Sequence[Point] = (),
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        with self._writing():
            row = self._row(run_id)
            self._db.executemany(
                "INSERT OR IGNORE INTO metrics VALUES (?, ?, ?, ?, ?, ?)", [(run_id, *point) for point in points]
            )
            if params or tags:
                # Not json_patch(): it merges into nested values and drops nulls.
                merged = (_json(json.loads(row[5]) | dict(params or {})), _json(json.loads(row[6]) | dict(tags or {})))
                self._db.execute("UPDATE runs SET params = ?, tags = ? WHERE id = ?", (*merged, run_id))

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
            return self._record(self._row(run_id))

    def find(self, name: str | None = None, status: Status | None = None, limit: int = 100) -> list[RunRecord]:
        wanted = {"name": name, "status": status}
        given = {k: v for k, v in wanted.items() if v is not None}
        where = " WHERE " + " AND ".join(f"{k} = :{k}" for k in given) if given else ""
        with self._reading():
            rows = self._db.execute(
                f"{_RUN}{where} ORDER BY started DESC, id DESC LIMIT :limit", {**given, "limit": limit}
            )
            return [self._record(row) for row in rows.fetchall()]

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
            self._db.execute("DELETE FROM metrics WHERE run_id = ?", (run_id,))
            self._db.execute("DELETE FROM runs WHERE id = ?", (run_id,))

    def ping(self) -> str:
        with self._reading():
            (n,) = self._db.execute("SELECT COUNT(*) FROM runs").fetchone()
        return f"{n} runs in {self._path}"

    def close(self) -> None:
        with self._reading():
            self._db.close()

    def _row(self, run_id: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] | None = self._db.execute(f"{_RUN} WHERE id = ?", (run_id,)).fetchone()
        if row is None:
            raise RunNotFound(f"there is no run {run_id!r}", hint="exia runs list")
        return row

    def _record(self, row: tuple[Any, ...]) -> RunRecord:
        run_id, name, started, status, ended, params, tags, host, commit, error, traceback = row
        last = {metric: value for metric, value, _ in self._db.execute(_LAST, (run_id,))}
        return RunRecord(
            run_id,
            name,
            started,
            status,
            ended,
            json.loads(params),
            json.loads(tags),
            last,
            host,
            commit,
            error,
            traceback,
        )

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
