"""``postgresql://user:password@host:5432/database``: the catalogue in PostgreSQL, by RelStorage.

History-free: the catalogue keeps its own history, and old revisions of records would only take space.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg2  # type: ignore[import-untyped, import-not-found, unused-ignore]
from psycopg2.extensions import make_dsn  # type: ignore[import-untyped, import-not-found, unused-ignore]
from relstorage.adapters.postgresql import PostgreSQLAdapter
from relstorage.options import Options
from relstorage.storage import RelStorage
from ZODB.DB import DB
from ZODB.POSException import POSError, StorageError

from exia._house.backends import BackendURL
from exia.errors import BackendUnavailable, BadInput, Damaged, ExiaError, NotAllowed
from exia.objects.port import ObjectStore, Packed
from exia.objects.zodb import ZodbObjects, only_mappings

T = TypeVar("T")
_PATIENCE = 2  # seconds for a connection
_MAKING = 0x65786961  # key of the advisory lock under which tables are made
_REFUSED = ("authentication failed", "permission denied", "does not exist", "no password supplied")


class PostgresqlObjects(ZodbObjects):
    """The server catalogue; acknowledged when PostgreSQL has committed.

    Each operation takes a connection and gives it back at once. One whose server went away is tried
    once more; a write carries the client's id, so that it happens once.
    """

    def __init__(self, url: BackendURL) -> None:
        if not url.host or not url.path.strip("/"):
            raise BadInput(f"{url} names no host or no database", hint="postgresql://user@host:5432/database")
        self._url = str(url)
        self._dsn = make_dsn(
            host=url.host,
            port=url.port or 5432,
            user=url.user or None,
            password=url.password or None,
            dbname=url.path.strip("/"),
            connect_timeout=_PATIENCE,
            application_name="exia",
            **url.query,
        )
        self._lock = threading.Lock()
        self._open: DB | None = None
        self._owner = 0
        with self._translated():
            # RelStorage tries for long and logs much; this tells at once what is wrong.
            psycopg2.connect(self._dsn).close()

    def pack(self) -> Packed:
        """Remove the records that nothing refers to, then rewrite the tables: VACUUM alone gives no space back."""
        with self._translated():
            before = self._size()
            with self._database(write=True) as database:
                database.pack()
            session = psycopg2.connect(self._dsn)
            try:
                session.autocommit = True
                with session.cursor() as cursor:
                    # It waits for every open transaction; with a limit, it gives up instead of blocking all others.
                    cursor.execute("SET lock_timeout = '5s'")
                    cursor.execute("VACUUM (FULL, ANALYZE) object_state")
            finally:
                session.close()
            return Packed(before, self._size())

    def ping(self) -> str:
        """Ask the server for its version and count the models."""
        with self._translated():
            session = psycopg2.connect(self._dsn)
            try:
                version = str(session.server_version)
            finally:
                session.close()
        return f"{len(self.names())} models, PostgreSQL {int(version) // 10000}.{int(version) % 10000}"

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            database, self._open = self._open, None
        if database is not None and self._owner == os.getpid():
            database.close()

    @contextmanager
    def _database(self, *, write: bool) -> Iterator[DB]:
        with self._lock:
            if self._open is None or self._owner != os.getpid():
                # A forked child must not use its parent's sockets: it opens its own and forgets those.
                self._open, self._owner = self._connect(), os.getpid()
            database = self._open
        yield database

    def _connect(self) -> DB:
        options = Options(keep_history=False, cache_local_mb=1, commit_lock_timeout=10)
        logging.getLogger("relstorage").setLevel(logging.CRITICAL)  # what it logs, it raises as well
        adapter = PostgreSQLAdapter(dsn=self._dsn, options=options)
        # Two processes that make the tables of a new database at once would fail one of them.
        session = psycopg2.connect(self._dsn)
        try:
            with session.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(%s)", (_MAKING,))
            return DB(RelStorage(adapter, options=options), class_factory=only_mappings)
        finally:
            session.close()

    def _run(self, database: DB, work: Callable[[Any], T], *, write: bool) -> T:
        try:
            return super()._run(database, work, write=write)
        except (psycopg2.Error, StorageError):
            # The server has restarted, or cut the line: what is pooled is dead, and the second try connects anew.
            database.pool.clear()
            time.sleep(0.05)
            return super()._run(database, work, write=write)

    def _size(self) -> int:
        session = psycopg2.connect(self._dsn)
        try:
            with session.cursor() as cursor:
                cursor.execute("SELECT coalesce(pg_total_relation_size(to_regclass('object_state')), 0)")
                return int(cursor.fetchone()[0])
        finally:
            session.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except ExiaError:
            raise
        except (psycopg2.Error, POSError) as exc:
            if isinstance(exc.__cause__, Damaged):
                raise exc.__cause__ from None
            reason = " ".join(str(exc).split())[:200] or type(exc).__name__
            if any(word in reason for word in _REFUSED):
                raise NotAllowed(f"{self._url}: {reason}", hint="exia config show") from exc
            raise BackendUnavailable(f"{self._url} did not answer: {reason}", hint="is the server running?") from exc

    def __str__(self) -> str:
        return self._url


if TYPE_CHECKING:
    _fits: type[ObjectStore] = PostgresqlObjects
