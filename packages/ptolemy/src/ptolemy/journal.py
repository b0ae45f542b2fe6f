"""What was asked of sources, what is to be asked again, and the rows that were set aside; one SQLite file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from ptolemy._house.config import home
from ptolemy._house.files import make_folder
from ptolemy.errors import BackendUnavailable, NotFound
from ptolemy.sources.port import Wanted

WAITING, DONE, FAILED = "waiting", "done", "failed"

_TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY, source TEXT NOT NULL, dataset TEXT NOT NULL, question TEXT NOT NULL, reason TEXT NOT NULL,
    state TEXT NOT NULL, tries INTEGER NOT NULL, rows INTEGER, written INTEGER, quarantined INTEGER, error TEXT,
    changed TEXT NOT NULL, UNIQUE (source, dataset, question)
);
CREATE TABLE IF NOT EXISTS quarantine (
    id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, dataset TEXT NOT NULL, code TEXT, time TEXT,
    kind TEXT NOT NULL, reason TEXT NOT NULL, place TEXT NOT NULL, source TEXT NOT NULL, row TEXT NOT NULL,
    found TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class Job:
    """One question to a source.

    Parameters
    ----------
    source
        Its URL without its password; empty where any source will do.
    reason
        Why it is asked: ``collect``, ``backfill`` or ``gap``.
    state
        ``waiting``, ``done`` or ``failed``.
    rows, written, quarantined
        What the last answer had, what of it was new, and what was set aside.
    """

    id: int
    source: str
    dataset: str
    wanted: Wanted
    reason: str
    state: str
    tries: int
    rows: int | None
    written: int | None
    quarantined: int | None
    error: str | None
    changed: str


@dataclass(frozen=True)
class SetAside:
    """A row that was not kept, and why."""

    id: int
    dataset: str
    code: str | None
    time: str | None
    kind: str
    reason: str
    place: str
    source: str
    row: Mapping[str, Any]
    found: str


class Journal:
    """The journal of one home folder; any number of processes may have it open.

    What a call returns from is durable.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home() / "collect.db"
        make_folder(self.path.parent)
        with self._translated():
            self._db = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_TABLES)

    def add(self, source: str, dataset: str, wanted: Wanted, reason: str) -> bool:
        """Let a question wait; return False if it waits, or was answered, already."""
        with self._translated():
            done = self._db.execute(
                "INSERT OR IGNORE INTO jobs (source, dataset, question, reason, state, tries, changed) "
                "VALUES (?, ?, ?, ?, ?, 0, ?)",
                (source, dataset, _question(wanted), reason, WAITING, _now()),
            )
            return done.rowcount > 0

    def again(self, source: str, dataset: str, wanted: Wanted, reason: str) -> bool:
        """Let a question wait even if it was answered; return False if it waits already."""
        with self._translated():
            done = self._db.execute(
                "INSERT INTO jobs (source, dataset, question, reason, state, tries, changed) "
                "VALUES (?, ?, ?, ?, ?, 0, ?) "
                "ON CONFLICT (source, dataset, question) DO UPDATE SET state = excluded.state, "
                "reason = excluded.reason, changed = excluded.changed WHERE state != excluded.state",
                (source, dataset, _question(wanted), reason, WAITING, _now()),
            )
            return done.rowcount > 0

    def answered(self, source: str, dataset: str, wanted: Wanted) -> bool:
        """Tell whether a question has had rows for an answer."""
        with self._translated():
            found = self._db.execute(
                "SELECT rows FROM jobs WHERE source = ? AND dataset = ? AND question = ? AND state = ?",
                (source, dataset, _question(wanted), DONE),
            ).fetchone()
        return bool(found and found[0])

    def note(
        self, source: str, dataset: str, wanted: Wanted, reason: str, state: str, *,
        rows: int | None = None, written: int | None = None, quarantined: int | None = None, error: str | None = None,
    ) -> None:  # fmt: skip
        """Keep how a question went."""
        with self._translated():
            self._db.execute(
                "INSERT INTO jobs (source, dataset, question, reason, state, tries, rows, written, quarantined, error, "
                "changed) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?) "
                "ON CONFLICT (source, dataset, question) DO UPDATE SET "
                "state = excluded.state, tries = tries + 1, rows = excluded.rows, written = excluded.written, "
                "quarantined = excluded.quarantined, error = excluded.error, changed = excluded.changed",
                (source, dataset, _question(wanted), reason, state, rows, written, quarantined, error, _now()),
            )

    def jobs(self, states: Sequence[str] = (), dataset: str | None = None, limit: int = 100_000) -> list[Job]:
        """Return questions by their state, oldest days first."""
        where, values = ["1"], []
        if states:
            where.append(f"state IN ({', '.join('?' * len(states))})")
            values += list(states)
        if dataset is not None:
            where.append("dataset = ?")
            values.append(dataset)
        with self._translated():
            rows = self._db.execute(
                "SELECT id, source, dataset, question, reason, state, tries, rows, written, quarantined, error, "
                f"changed FROM jobs WHERE {' AND '.join(where)} ORDER BY dataset, question LIMIT ?",
                (*values, limit),
            ).fetchall()
        return [Job(r[0], r[1], r[2], _wanted(r[3]), *r[4:]) for r in rows]

    def finish(self, id: int) -> None:
        """Call a question answered, such as a gap that another source has filled."""
        with self._translated():
            self._db.execute("UPDATE jobs SET state = ?, changed = ? WHERE id = ?", (DONE, _now(), id))

    def set_aside(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Keep rows with ``dataset, code, time, kind, reason, place, source, row``; return how many were not there."""
        added = 0
        with self._translated(), self._transaction():
            for each in rows:
                text = json.dumps(each["row"], ensure_ascii=False, default=str)
                digest = sha256(f"{each['dataset']}\n{each['kind']}\n{text}".encode()).hexdigest()
                added += self._db.execute(
                    "INSERT OR IGNORE INTO quarantine (digest, dataset, code, time, kind, reason, place, source, row, "
                    "found) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (digest, each["dataset"], each["code"], each["time"], each["kind"], each["reason"], each["place"],
                     each["source"], text, _now()),
                ).rowcount  # fmt: skip
        return added

    def quarantine(self, dataset: str | None = None, ids: Sequence[int] | None = None) -> list[SetAside]:
        """Return the rows that are set aside, oldest first."""
        where, values = ["1"], []
        if dataset is not None:
            where, values = [*where, "dataset = ?"], [dataset]
        with self._translated():
            rows = self._db.execute(
                "SELECT id, dataset, code, time, kind, reason, place, source, row, found FROM quarantine "
                f"WHERE {' AND '.join(where)} ORDER BY id",
                values,
            ).fetchall()
        found = [SetAside(*r) for r in ((*r[:8], json.loads(r[8]), r[9]) for r in rows)]
        if ids is None:
            return found
        chosen = [each for each in found if each.id in set(ids)]
        if lacking := sorted(set(ids) - {each.id for each in chosen}):
            raise NotFound(f"no row {lacking[0]} is set aside", hint="ptolemy quality quarantine")
        return chosen

    def let_go(self, ids: Sequence[int]) -> None:
        """Forget rows that are set aside no more."""
        with self._translated(), self._transaction():
            self._db.executemany("DELETE FROM quarantine WHERE id = ?", [(id,) for id in ids])

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            raise BackendUnavailable(f"{self.path}: {exc}", hint="make room, or mend the permissions there") from exc


def _question(wanted: Wanted) -> str:
    return json.dumps({"start": wanted.start, **asdict(wanted)}, sort_keys=False)


def _wanted(text: str) -> Wanted:
    given = json.loads(text)
    codes = given["codes"]
    given |= {"codes": None if codes is None else tuple(codes), "each": tuple((k, v) for k, v in given["each"])}
    return Wanted(**given)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
