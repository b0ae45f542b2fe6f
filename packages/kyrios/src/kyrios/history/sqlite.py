"""``sqlite:///path/history.db``: the record in one file, durable at each answer."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from types import TracebackType
from typing import TYPE_CHECKING, Self

from kyrios._house.backends import BackendURL
from kyrios._house.files import make_folder
from kyrios.errors import BackendUnavailable, RunNotFound
from kyrios.history.port import Head, History
from kyrios.settings import home
from kyrios.state import TRANSITIONS, Event, State, check_transition

# No foreign key: `append` asks for the run itself, once. The heads are large, and a table without rowids would read
# a whole head for each comparison of keys.
_TABLES = """
create table if not exists runs (run_id text primary key, created text not null, head text not null);
create index if not exists runs_by_time on runs (created);
create table if not exists events (
    seq integer primary key, run_id text not null, task text not null,
    state text not null, at text not null, detail text not null);
create index if not exists events_by_run on events (run_id, seq);
drop index if exists events_by_task;
create trigger if not exists events_stay before update on events begin select raise(abort, 'events never change'); end;
create trigger if not exists events_remain before delete on events begin select raise(abort, 'events stay'); end;
"""
_STATES = "select task, state from events where run_id = ? order by seq"
_BUSY = 30.0  # seconds; the tasks of an Airflow run write from many processes


class SqliteHistory:
    """All runs in one SQLite file, which many processes may write."""

    def __init__(self, url: BackendURL) -> None:
        path = url.file_path(home() / "history.db")
        self._lock = threading.Lock()
        self._known: dict[str, State] = {}
        self._remembered: tuple[str, int] | None = None
        try:
            make_folder(path.parent)
            self._db = sqlite3.connect(path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
            self._db.execute("pragma journal_mode = wal")
            # FULL: what is acknowledged survives a power loss; NORMAL lost rows when it was tried.
            self._db.execute("pragma synchronous = full")
            self._db.executescript(_TABLES)
        except (OSError, sqlite3.Error) as exc:
            raise BackendUnavailable(
                f"sqlite: {path} cannot be opened: {exc}", hint="kyrios config show --origin"
            ) from exc

    def begin(self, head: Head) -> Head:
        """Record a new run and return it; where the run exists already, return what was recorded first."""
        text = json.dumps({f.name: getattr(head, f.name) for f in fields(head)}, sort_keys=True)
        with self._writing():
            self._db.execute("insert or ignore into runs values (?, ?, ?)", (head.run_id, head.created, text))
        return self.head(head.run_id)

    def append(self, run_id: str, events: Sequence[Event]) -> None:
        """Add `events`, all or none, durable on return."""
        with self._writing():
            known = self._states(run_id)
            now: dict[str, State] = {}
            rows = []
            for event in events:
                task, state, detail = event.task, event.state, event.detail
                before = now.get(task) or known.get(task, State.DECLARED)
                if state not in TRANSITIONS[before]:
                    check_transition(f"unit {task}" if task else f"run {run_id}", before, state)
                now[task] = state
                text = json.dumps(detail, sort_keys=True) if detail else "{}"
                rows.append((run_id, task, state.value, event.at, text))
            self._db.executemany("insert into events (run_id, task, state, at, detail) values (?, ?, ?, ?, ?)", rows)
            known.update(now)

    def _states(self, run_id: str) -> dict[str, State]:
        """Return the last state of each task of a run, inside a transaction."""
        # The version changes when another connection has written; then what is remembered may be old.
        version = self._db.execute("pragma data_version").fetchone()[0]
        if (run_id, version) != self._remembered:
            if self._db.execute("select 1 from runs where run_id = ?", (run_id,)).fetchone() is None:
                raise RunNotFound(run_id)
            self._known = {task: State(state) for task, state in self._db.execute(_STATES, (run_id,))}
            self._remembered = (run_id, version)
        return self._known

    def head(self, run_id: str) -> Head:
        """Return one run; raise `RunNotFound` if there is none."""
        with self._reading():
            row = self._db.execute("select head from runs where run_id = ?", (run_id,)).fetchone()
        if row is None:
            raise RunNotFound(run_id)
        return Head(**json.loads(row[0]))

    def heads(self, limit: int = 100) -> list[Head]:
        """Return the newest runs, newest first."""
        query = "select head from runs order by created desc, run_id desc limit ?"
        with self._reading():
            return [Head(**json.loads(row[0])) for row in self._db.execute(query, (limit,))]

    def events(self, run_id: str) -> list[Event]:
        """Return the events of a run in the order in which they were added."""
        self.head(run_id)
        query = "select task, state, at, detail from events where run_id = ? order by seq"
        with self._reading():
            found = self._db.execute(query, (run_id,)).fetchall()
        return [Event(task, State(state), at, json.loads(detail)) for task, state, at, detail in found]

    def changed(self, after: int = 0, limit: int = 1000) -> tuple[list[str], int]:
        """Return the runs that something has happened to, and the number to ask with next time."""
        query = "select seq, run_id from events where seq > ? order by seq limit ?"
        with self._reading():
            found = self._db.execute(query, (after, limit)).fetchall()
        return list(dict.fromkeys(run_id for _, run_id in found)), found[-1][0] if found else after

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._reading():
            try:  # a Ctrl-C may come right after the transaction has begun
                # IMMEDIATE: the states that are read here must not change before the events are added.
                self._db.execute("begin immediate")
                yield
                self._db.execute("commit")
            except BaseException:
                self._remembered = None  # what is rolled back has never been
                if self._db.in_transaction:
                    self._db.execute("rollback")
                raise

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as exc:
                raise BackendUnavailable(f"sqlite: {exc}", hint="kyrios doctor") from exc


if TYPE_CHECKING:
    _fits: type[History] = SqliteHistory
