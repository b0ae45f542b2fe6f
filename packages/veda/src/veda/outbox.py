"""What the team's index has still to be told: kept in SQLite, delivered again and again until it is taken.

A release is written down before its version is claimed, as *intended*: whoever is killed between
the claim and its announcement leaves a row, and the claim in the store says whether it is due.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from veda.errors import BackendUnavailable, Conflict, NotFound
from veda.registry.database import open_database
from veda.registry.port import Event, Registry, Release, now
from veda.settings import home as home_folder
from veda.store import Store

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, state TEXT NOT NULL, store TEXT NOT NULL, payload TEXT NOT NULL,
    added_at TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT ''
) STRICT;
"""


@dataclass(frozen=True)
class Waiting:
    """A row of the outbox: what it is, whether it is due, how often it was tried and what went wrong."""

    id: str
    what: str
    state: str
    added_at: str
    attempts: int
    error: str


class Outbox:
    """The outbox of one home; use it as a context manager. Each verb is one durable transaction."""

    def __init__(self, home: Path | str | None = None) -> None:
        self._path = home_folder(home) / "outbox.db"
        with self._translated():
            self._db = open_database(self._path, _SCHEMA, _VERSION)

    def intend(self, release: Release, store: str) -> str:
        """Write down that `release` is about to be claimed in `store` and return the row's id."""
        id = f"{release.name}@{release.version}@{release.digest}"
        self._put(id, "intended", store, {"release": asdict(release)})
        return id

    def due(self, release: Release, store: str) -> None:
        """Write down that `release` is claimed, so that the index must be told."""
        id = f"{release.name}@{release.version}@{release.digest}"
        self._put(id, "due", store, {"release": asdict(release)})

    def add(self, event: Event) -> None:
        """Write down an event that the index must be told."""
        self._put(event.id, "due", "", {"event": asdict(event)})

    def drop(self, id: str) -> None:
        """Forget a row: its claim belongs to another."""
        with self._translated():
            self._db.execute("DELETE FROM outbox WHERE id = ?", (id,))

    def waiting(self) -> list[Waiting]:
        """Return what has not been delivered yet, the oldest first."""
        with self._translated():
            rows = self._db.execute(
                "SELECT id, payload, state, added_at, attempts, error FROM outbox ORDER BY seq"
            ).fetchall()
        return [Waiting(id, _shown(json.loads(payload)), *rest) for id, payload, *rest in rows]

    def settle(self, store: Store, shown: str, published_at: Any) -> None:
        """Ask the store which intended releases were claimed: those are due, those that lost are dropped.

        Parameters
        ----------
        shown
            The store's address as `intend` was given it.
        published_at
            Called with a name and a version; gives digest and time of the claim, or raises `NotFound`.
        """
        with self._translated():
            query = "SELECT id, payload FROM outbox WHERE state = 'intended' AND store = ?"
            rows = self._db.execute(query, (shown,)).fetchall()
        for id, payload in rows:
            release = Release(**json.loads(payload)["release"])
            try:
                digest, at = published_at(store, release.name, release.version)
            except NotFound:
                continue  # the push may still run, or be run again
            if digest == release.digest:
                self.due(Release(release.name, release.version, digest, release.facts, at), shown)
            else:
                self.drop(id)

    def deliver(self, index: Registry) -> int:
        """Tell the index all that is due, in order; return how many rows it took.

        Raises
        ------
        BackendUnavailable
            If the index does not answer; what it has not taken stays here.
        """
        taken = 0
        with self._translated():
            rows = self._db.execute("SELECT id, payload FROM outbox WHERE state = 'due' ORDER BY seq").fetchall()
        for id, payload in rows:
            try:
                _tell(index, json.loads(payload))
            except BackendUnavailable as exc:
                self._failed(id, str(exc))
                raise
            except (Conflict, NotFound) as exc:
                # The index disagrees with the store, which is the truth: `veda registry reindex` mends it.
                self._failed(id, str(exc))
            else:
                self.drop(id)
                taken += 1
        return taken

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Outbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put(self, id: str, state: str, store: str, payload: dict[str, Any]) -> None:
        with self._translated():
            self._db.execute(
                "INSERT INTO outbox (id, state, store, payload, added_at) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET state = excluded.state, payload = excluded.payload",
                (id, state, store, json.dumps(payload, ensure_ascii=False), now()),
            )

    def _failed(self, id: str, error: str) -> None:
        with self._translated():
            self._db.execute("UPDATE outbox SET attempts = attempts + 1, error = ? WHERE id = ?", (error, id))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            if isinstance(exc, BackendUnavailable):
                raise
            raise BackendUnavailable(f"outbox {self._path}: {exc}", hint="veda doctor") from exc


def _tell(index: Registry, payload: dict[str, Any]) -> None:
    if "release" in payload:
        index.publish(Release(**payload["release"]))
    else:
        index.append(Event(**payload["event"]))


def _shown(payload: dict[str, Any]) -> str:
    if release := payload.get("release"):
        return f"published {release['name']}@{release['version']}"
    event = payload["event"]
    return f"{event['kind']} {event['name']}@{event['version']} {event['subject']}".rstrip()
