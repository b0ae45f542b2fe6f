"""``sqlite://``: a registry in one file, by default ``registry.db`` in veda's home."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from veda._house.backends import BackendURL
from veda._house.errors import nearest
from veda.errors import BackendUnavailable, NotFound, ReleaseExists
from veda.registry.database import open_database
from veda.registry.facets import facets, terms, used, words
from veda.registry.port import Event, Query, Registry, Release, now, published
from veda.settings import home

_VERSION = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS releases (
    seq INTEGER PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL, digest TEXT NOT NULL,
    facts TEXT NOT NULL, published_at TEXT NOT NULL, UNIQUE (name, version)
) STRICT;
CREATE INDEX IF NOT EXISTS releases_digest ON releases (digest);
CREATE TRIGGER IF NOT EXISTS releases_never_change BEFORE UPDATE ON releases
    BEGIN SELECT RAISE(ABORT, 'releases never change'); END;
CREATE TRIGGER IF NOT EXISTS releases_never_go BEFORE DELETE ON releases
    BEGIN SELECT RAISE(ABORT, 'releases never change'); END;
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, name TEXT NOT NULL,
    version TEXT NOT NULL, subject TEXT NOT NULL, at TEXT NOT NULL, by TEXT NOT NULL, data TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS events_of ON events (name, kind);
CREATE TABLE IF NOT EXISTS tag_events (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, tag TEXT NOT NULL,
    version TEXT NOT NULL, at TEXT NOT NULL
) STRICT;
INSERT OR IGNORE INTO events (id, kind, name, version, subject, at, by, data)
    SELECT id, 'tagged', name, version, tag, at, '', '{}' FROM tag_events ORDER BY seq;
DROP VIEW IF EXISTS tags;
DROP TABLE tag_events;
CREATE VIEW tags AS
    SELECT name, subject AS tag, version FROM events WHERE seq IN (
        SELECT max(seq) FROM events WHERE kind = 'tagged' GROUP BY name, subject);
CREATE VIEW IF NOT EXISTS yanks AS
    SELECT name, version, coalesce(json_extract(data, '$.reason'), '') AS reason FROM events
    WHERE kind = 'yanked' AND seq IN (
        SELECT max(seq) FROM events WHERE kind IN ('yanked', 'unyanked') GROUP BY name, version);
CREATE TABLE IF NOT EXISTS facets (
    kind TEXT NOT NULL, value TEXT NOT NULL COLLATE NOCASE, seq INTEGER NOT NULL, PRIMARY KEY (kind, value, seq)
) STRICT, WITHOUT ROWID;
CREATE VIRTUAL TABLE IF NOT EXISTS release_words USING fts5(words, tokenize='trigram', content='');
CREATE TABLE IF NOT EXISTS indexed (seq INTEGER PRIMARY KEY) STRICT;
"""
_COLUMNS = "r.name, r.version, r.digest, r.facts, r.published_at"
_EVENT = "kind, name, version, subject, by, data, id, at"


class SqliteRegistry:
    """Releases and events in SQLite; one object may be used by many threads."""

    def __init__(self, url: BackendURL) -> None:
        path = url.file_path(home() / "registry.db")
        self._lock = threading.Lock()
        self._path = path
        with self._translated():
            self._db = open_database(path, _SCHEMA, _VERSION, url.query.get("journal", "wal"))
        self._index_older()

    def publish(self, release: Release) -> None:
        """Add `release`, its event and what is searched of it in one durable transaction."""
        self._publish([release])

    def publish_many(self, releases: list[Release]) -> None:
        """Add many releases in one transaction; none of them if one is taken by other content."""
        self._publish(releases)

    def get(self, name: str, version: str) -> Release:
        """Return one release."""
        with self._translated():
            query = f"SELECT {_COLUMNS} FROM releases r WHERE name = ? AND version = ?"
            row = self._db.execute(query, (name, version)).fetchone()
        if row is None:
            raise NotFound(f"{name}@{version} is not registered", hint=self._way_out(name))
        return _release(row)

    def releases(self, name: str | None = None) -> list[Release]:
        """Return releases in the order in which they were published."""
        where, values = ("WHERE name = ?", (name,)) if name is not None else ("", ())
        query = f"SELECT {_COLUMNS} FROM releases r {where} ORDER BY seq"
        with self._translated():
            return [_release(row) for row in self._db.execute(query, values).fetchall()]

    def find(self, digest: str) -> list[Release]:
        """Return the releases of this digest."""
        query = f"SELECT {_COLUMNS} FROM releases r WHERE digest = ? ORDER BY seq"
        with self._translated():
            return [_release(row) for row in self._db.execute(query, (digest,)).fetchall()]

    def tag(self, name: str, tag: str, version: str) -> None:
        """Append the event that points `tag` to `version`."""
        self.append(Event("tagged", name, version, tag))

    def tags(self, name: str) -> Mapping[str, str]:
        """Return where each tag points."""
        with self._translated():
            query = "SELECT tag, version FROM tags WHERE name = ? ORDER BY tag"
            return dict(self._db.execute(query, (name,)).fetchall())

    def append(self, event: Event) -> None:
        """Add `event` durably."""
        self.get(event.name, event.version)
        with self._translated():
            _insert_event(self._db, event)

    def events(self, name: str | None = None, kind: str | None = None) -> list[Event]:
        """Return events in the order of their times."""
        asked = {"name": name, "kind": kind}
        where = " AND ".join(f"{k} = :{k}" for k, v in asked.items() if v is not None) or "1"
        with self._translated():
            query = f"SELECT {_EVENT} FROM events WHERE {where} ORDER BY at, seq"
            rows = self._db.execute(query, asked).fetchall()
        return [_event(row) for row in rows]

    def yanked(self, name: str) -> Mapping[str, str]:
        """Return the versions that are yanked now."""
        with self._translated():
            return dict(self._db.execute("SELECT version, reason FROM yanks WHERE name = ?", (name,)).fetchall())

    def search(self, query: Query) -> list[Release]:
        """Look into the words by FTS5 and into the facts by their index."""
        conditions, values = _conditions(query)
        source, order = "releases r", "r.seq DESC"
        long = [t for t in terms(query.text) if len(t) >= 3]
        if long:
            # A word of fewer than three characters has no trigram; it is looked for in the facts below.
            source = "release_words w CROSS JOIN releases r ON r.seq = w.rowid"
            conditions.insert(0, "w.release_words MATCH ?")
            values.insert(0, " AND ".join('"' + t.replace('"', '""') + '"' for t in long))
            order = "w.rowid DESC"
        for term in terms(query.text):
            if len(term) < 3:
                conditions.append("(instr(lower(r.name), ?) OR instr(lower(r.facts), ?))")
                values += [term, term]
        every = bool(query.name) and "*" not in query.name
        found: dict[str, Release] = {}
        with self._translated():
            statement = f"SELECT {_COLUMNS} FROM {source} WHERE {' AND '.join(conditions) or '1'} ORDER BY {order}"
            cursor = self._db.execute(statement, values)
            while len(found) < query.limit and (row := cursor.fetchone()) is not None:
                found.setdefault(f"{row[0]}@{row[1]}" if every else row[0], _release(row))
            cursor.close()
        return list(found.values())

    def close(self) -> None:
        """Close the file."""
        with self._translated():
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _publish(self, releases: list[Release]) -> None:
        taken: tuple[Release, str] | None = None
        with self._translated(), _transaction(self._db):
            for release in releases:
                key = (release.name, release.version)
                row = self._db.execute("SELECT digest FROM releases WHERE name = ? AND version = ?", key).fetchone()
                if row is None:
                    _insert(self._db, release)
                elif row[0] != release.digest:
                    taken = (release, row[0])
                    break
        if taken:
            raise ReleaseExists(taken[0].name, taken[0].version, taken[1])

    def _index_older(self) -> None:
        """Make what is searched of releases that an older veda has registered."""
        missing = f"SELECT seq, {_COLUMNS} FROM releases r WHERE seq > (SELECT coalesce(max(seq), 0) FROM indexed)"
        with self._translated():
            if self._db.execute(f"SELECT 1 FROM ({missing}) LIMIT 1").fetchone() is None:
                return
            with _transaction(self._db):
                for seq, *row in self._db.execute(missing).fetchall():
                    release = _release(tuple(row))
                    _index(self._db, seq, release)
                    _insert_event(self._db, published(release))

    def _way_out(self, name: str) -> str:
        with self._translated():
            names = {n for (n,) in self._db.execute("SELECT DISTINCT name FROM releases").fetchall()}
        return (nearest(name, names) or "veda list") if name not in names else f"veda list {name}"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except (sqlite3.Error, OSError) as exc:
                raise BackendUnavailable(
                    f"sqlite registry {self._path}: {exc}", hint="veda doctor, or set VEDA_REGISTRY to another place"
                ) from exc


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _insert(db: sqlite3.Connection, release: Release) -> None:
    facts = json.dumps(dict(release.facts), ensure_ascii=False, sort_keys=True)
    at = release.published_at or now()
    seq = db.execute(
        "INSERT INTO releases (name, version, digest, facts, published_at) VALUES (?, ?, ?, ?, ?) RETURNING seq",
        (release.name, release.version, release.digest, facts, at),
    ).fetchone()[0]
    _index(db, seq, release)
    _insert_event(db, published(Release(release.name, release.version, release.digest, {}, at)))


def _index(db: sqlite3.Connection, seq: int, release: Release) -> None:
    rows = [(kind, value, seq) for kind, values in facets(release).items() for value in values]
    db.executemany("INSERT OR IGNORE INTO facets (kind, value, seq) VALUES (?, ?, ?)", rows)
    db.execute("INSERT INTO release_words (rowid, words) VALUES (?, ?)", (seq, words(release).lower()))
    db.execute("INSERT INTO indexed (seq) VALUES (?)", (seq,))


def _insert_event(db: sqlite3.Connection, event: Event) -> None:
    data = json.dumps(dict(event.data), ensure_ascii=False, sort_keys=True)
    row = (event.kind, event.name, event.version, event.subject, event.by, data, event.id, event.at)
    db.execute(f"INSERT INTO events ({_EVENT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING", row)


def _conditions(query: Query) -> tuple[list[str], list[Any]]:
    conditions, values = [], []
    for kind in ("method", "parameter", "author", "uses"):
        if asked := getattr(query, kind):
            conditions.append("r.seq IN (SELECT seq FROM facets WHERE kind = ? AND value = ?)")
            values += [kind, used(asked) if kind == "uses" else asked]
    if query.name:
        conditions.append("r.name GLOB ?" if "*" in query.name else "r.name = ?")
        values.append(query.name)
    if query.tag:
        conditions.append("(r.name, r.version) IN (SELECT name, version FROM tags WHERE tag = ?)")
        values.append(query.tag)
    if query.since:
        conditions.append("r.published_at >= ?")
        values.append(query.since)
    if query.until:
        # Text compares like time here; the last day counts whole.
        conditions.append("substr(r.published_at, 1, length(?)) <= ?")
        values += [query.until, query.until]
    return conditions, values


def _release(row: tuple[Any, ...]) -> Release:
    return Release(row[0], row[1], row[2], json.loads(row[3]), row[4])


def _event(row: tuple[Any, ...]) -> Event:
    kind, name, version, subject, by, data, id, at = row
    return Event(kind, name, version, subject, by, json.loads(data), id, at)


if TYPE_CHECKING:
    _fits: type[Registry] = SqliteRegistry
