"""``sqlite://``: a registry in one file, by default ``registry.db`` in veda's home."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self

from veda._house.backends import BackendURL
from veda._house.errors import nearest
from veda._house.files import make_folder
from veda._house.ids import uuid7
from veda.errors import BackendUnavailable, NotFound, ReleaseExists
from veda.registry.port import Registry, Release
from veda.settings import home

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
CREATE TABLE IF NOT EXISTS tag_events (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, tag TEXT NOT NULL,
    version TEXT NOT NULL, at TEXT NOT NULL
) STRICT;
CREATE VIEW IF NOT EXISTS tags AS
    SELECT name, tag, version FROM tag_events
    WHERE seq IN (SELECT max(seq) FROM tag_events GROUP BY name, tag);
"""
_COLUMNS = "name, version, digest, facts"


class SqliteRegistry:
    """Releases and tag events in SQLite; one object may be used by many threads."""

    def __init__(self, url: BackendURL) -> None:
        path = url.file_path(home() / "registry.db")
        self._lock = threading.Lock()
        self._path = path
        with self._translated():
            make_folder(path.parent)
            self._db = sqlite3.connect(path, timeout=5, check_same_thread=False, isolation_level=None)
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
                # NORMAL would lose releases that were acknowledged when the power fails.
                self._db.execute("PRAGMA synchronous=FULL")
                self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
            except BaseException:
                self._db.close()
                raise

    def publish(self, release: Release) -> None:
        """Add `release` in one durable transaction."""
        facts = json.dumps(dict(release.facts), ensure_ascii=False, sort_keys=True)
        with self._translated():
            self._db.execute(
                "INSERT INTO releases (name, version, digest, facts, published_at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (name, version) DO NOTHING",
                (release.name, release.version, release.digest, facts, _now()),
            )
        present = self.get(release.name, release.version)
        if present.digest != release.digest:
            raise ReleaseExists(release.name, release.version, present.digest)

    def get(self, name: str, version: str) -> Release:
        """Return one release."""
        with self._translated():
            query = f"SELECT {_COLUMNS} FROM releases WHERE name = ? AND version = ?"
            row = self._db.execute(query, (name, version)).fetchone()
        if row is None:
            raise NotFound(f"{name}@{version} is not registered", hint=self._way_out(name))
        return _release(row)

    def releases(self, name: str | None = None) -> list[Release]:
        """Return releases in the order in which they were published."""
        query = f"SELECT {_COLUMNS} FROM releases WHERE ?1 IS NULL OR name = ?1 ORDER BY seq"
        with self._translated():
            return [_release(row) for row in self._db.execute(query, (name,)).fetchall()]

    def find(self, digest: str) -> list[Release]:
        """Return the releases of this digest."""
        query = f"SELECT {_COLUMNS} FROM releases WHERE digest = ? ORDER BY seq"
        with self._translated():
            return [_release(row) for row in self._db.execute(query, (digest,)).fetchall()]

    def tag(self, name: str, tag: str, version: str) -> None:
        """Append the event that points `tag` to `version`."""
        self.get(name, version)
        with self._translated():
            self._db.execute(
                "INSERT INTO tag_events (id, name, tag, version, at) VALUES (?, ?, ?, ?, ?)",
                (uuid7(), name, tag, version, _now()),
            )

    def tags(self, name: str) -> Mapping[str, str]:
        """Return where each tag points."""
        with self._translated():
            query = "SELECT tag, version FROM tags WHERE name = ? ORDER BY tag"
            return dict(self._db.execute(query, (name,)).fetchall())

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

    def _way_out(self, name: str) -> str:
        names = {r.name for r in self.releases()}
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


def _release(row: tuple[str, str, str, str]) -> Release:
    return Release(row[0], row[1], row[2], json.loads(row[3]))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


if TYPE_CHECKING:
    _fits: type[Registry] = SqliteRegistry
