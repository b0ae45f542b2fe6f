"""``mysql://user:password@host/database``: the record in MySQL or MariaDB, where many machines write it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from time import monotonic, sleep
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import pymysql

from kyrios._house.backends import BackendURL
from kyrios._house.ids import uuid7
from kyrios.errors import BackendUnavailable, BadInput, RunNotFound
from kyrios.history.port import Head, History
from kyrios.state import TRANSITIONS, Event, State, check_transition

_TABLES = (
    """create table if not exists kyrios_runs (
    run_id varchar(200) character set ascii collate ascii_bin primary key, created varchar(40) not null,
    head longtext not null, index by_time (created)) engine=InnoDB default charset=utf8mb4""",
    """create table if not exists kyrios_events (
    seq bigint auto_increment primary key, run_id varchar(200) character set ascii collate ascii_bin not null,
    task varchar(200) character set utf8mb4 collate utf8mb4_bin not null, state varchar(20) not null,
    at varchar(40) not null, detail longtext not null, batch char(36) character set ascii not null,
    index by_run (run_id, seq), index by_batch (batch)) engine=InnoDB default charset=utf8mb4""",
)
_INSERT = "insert into kyrios_events (run_id, task, state, at, detail, batch) values (%s, %s, %s, %s, %s, %s)"
_LATE = 200  # events
_PATIENCE = 30.0  # seconds that the server may be gone: it may be starting again


class MysqlHistory:
    """All runs in two tables of one database."""

    def __init__(self, url: BackendURL) -> None:
        database = url.path.strip("/")
        if not database:
            raise BadInput(f"{url} names no database", hint="mysql://user:password@host:3306/kyrios")
        self._url = url
        self._lock = threading.RLock()
        self._settings: dict[str, Any] = {
            "host": url.host or "127.0.0.1",
            "port": url.port or 3306,
            "user": url.user,
            "password": url.password,
            "database": database,
            "charset": "utf8mb4",
            "autocommit": True,
            "connect_timeout": 5,
            "read_timeout": 60,
            "write_timeout": 60,
        }
        try:
            self._connect()
            with self._db.cursor() as cursor:
                for statement in _TABLES:
                    cursor.execute(statement)
        except pymysql.MySQLError as exc:
            raise self._unavailable(exc) from exc

    def _connect(self) -> None:
        self._db: Any = pymysql.connect(**self._settings)
        with self._db.cursor() as cursor:
            # "Table exists already" is a note that the driver would print as a warning.
            cursor.execute("set sql_notes = 0")

    def begin(self, head: Head) -> Head:
        """Record a new run and return it; where the run exists already, return what was recorded first."""
        text = json.dumps({f.name: getattr(head, f.name) for f in fields(head)}, sort_keys=True)
        row = (head.run_id, head.created, text)
        self._patiently(lambda: self._ask("insert ignore into kyrios_runs values (%s, %s, %s)", row))
        return self.head(head.run_id)

    def append(self, run_id: str, events: Sequence[Event]) -> None:
        """Add `events`, all or none, durable on return."""
        batch = uuid7()
        self._patiently(lambda: self._append(run_id, events, batch))

    def _append(self, run_id: str, events: Sequence[Event], batch: str) -> None:
        with self._lock, self._transaction() as cursor:
            # The lock on the run's row lets one writer at a time judge what may follow.
            cursor.execute("select 1 from kyrios_runs where run_id = %s for update", (run_id,))
            if cursor.fetchone() is None:
                raise RunNotFound(run_id)
            # An answer that was lost on its way may have been a yes.
            cursor.execute("select 1 from kyrios_events where batch = %s limit 1", (batch,))
            if cursor.fetchone():
                return
            tasks = sorted({event.task for event in events})
            now = self._states(cursor, run_id, tasks)
            rows = []
            for event in events:
                before = now.get(event.task, State.DECLARED)
                if event.state not in TRANSITIONS[before]:
                    check_transition(f"unit {event.task}" if event.task else f"run {run_id}", before, event.state)
                now[event.task] = event.state
                detail = json.dumps(event.detail, sort_keys=True) if event.detail else "{}"
                rows.append((run_id, event.task, event.state.value, event.at, detail, batch))
            if rows:
                cursor.executemany(_INSERT, rows)

    def _states(self, cursor: Any, run_id: str, tasks: Sequence[str]) -> dict[str, State]:
        """Return the last state of each of `tasks`."""
        if not tasks:
            return {}
        marks = ", ".join(["%s"] * len(tasks))
        newest = f"select max(seq) from kyrios_events where run_id = %s and task in ({marks}) group by task"
        cursor.execute(f"select task, state from kyrios_events where seq in ({newest})", (run_id, *tasks))
        return {task: State(state) for task, state in cursor.fetchall()}

    def head(self, run_id: str) -> Head:
        """Return one run; raise `RunNotFound` if there is none."""
        rows = self._patiently(lambda: self._ask("select head from kyrios_runs where run_id = %s", (run_id,)))
        if not rows:
            raise RunNotFound(run_id)
        return Head(**json.loads(rows[0][0]))

    def heads(self, limit: int = 100) -> list[Head]:
        """Return the newest runs, newest first."""
        query = "select head from kyrios_runs order by created desc, run_id desc limit %s"
        return [Head(**json.loads(row[0])) for row in self._patiently(lambda: self._ask(query, (limit,)))]

    def events(self, run_id: str) -> list[Event]:
        """Return the events of a run in the order in which they were added."""
        self.head(run_id)
        query = "select task, state, at, detail from kyrios_events where run_id = %s order by seq"
        rows = self._patiently(lambda: self._ask(query, (run_id,)))
        return [Event(task, State(state), at, json.loads(detail)) for task, state, at, detail in rows]

    def changed(self, after: int = 0, limit: int = 1000) -> tuple[list[str], int]:
        """Return the runs that something has happened to, and the number to ask with next time."""
        query = "select seq, run_id from kyrios_events where seq > %s order by seq limit %s"
        # A number is given before its transaction ends: one that is a little older may come to light later.
        rows = self._patiently(lambda: self._ask(query, (max(0, after - _LATE), limit + _LATE)))
        return list(dict.fromkeys(run_id for _, run_id in rows)), max(after, rows[-1][0]) if rows else after

    def close(self) -> None:
        """Close the connection."""
        with suppress(pymysql.MySQLError):
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, statement: str, values: Sequence[object]) -> Any:
        with self._lock, self._db.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        self._db.begin()
        try:
            with self._db.cursor() as cursor:
                yield cursor
            self._db.commit()
        except BaseException:
            with suppress(pymysql.MySQLError):
                self._db.rollback()
            raise

    def _patiently(self, call: Any) -> Any:
        """Call `call`; where the connection is lost, connect and call again, for half a minute."""
        until = monotonic() + _PATIENCE
        while True:
            try:
                return call()
            except (pymysql.OperationalError, pymysql.InterfaceError) as exc:
                code = exc.args[0] if exc.args else 0
                if code not in _LOST and code not in _AGAIN:
                    raise self._unavailable(exc) from exc
                if monotonic() > until:
                    raise self._unavailable(exc) from exc
                if code in _LOST:
                    self._reconnect(until)
            except pymysql.MySQLError as exc:
                raise self._unavailable(exc) from exc

    def _reconnect(self, until: float) -> None:
        with self._lock:
            with suppress(pymysql.MySQLError):
                self._db.close()
            while True:
                try:
                    return self._connect()
                except pymysql.MySQLError as exc:
                    if monotonic() > until:
                        raise self._unavailable(exc) from exc
                    sleep(0.2)

    def _unavailable(self, error: Exception) -> BackendUnavailable:
        text = str(error.args[-1]) if error.args else type(error).__name__
        return BackendUnavailable(f"mysql: {self._url}: {text}", hint="kyrios config show --origin")


_LOST = (0, 1053, 1927, 2003, 2006, 2013, 2055)  # the connection or the server is gone
_AGAIN = (1020, 1205, 1213)  # another writer was in the way

if TYPE_CHECKING:
    _fits: type[History] = MysqlHistory
