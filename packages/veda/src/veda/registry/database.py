"""SQLite files that lose nothing that was acknowledged: how each of ours is opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from veda._house.files import make_folder, sync_folder
from veda.errors import BadInput

JOURNALS = ("wal", "delete", "truncate", "persist")


def open_database(path: Path, schema: str, version: int, journal: str = "wal") -> sqlite3.Connection:
    """Open the file at `path` and bring it to `schema` where its version is older.

    Parameters
    ----------
    journal
        ``wal``, or another of `JOURNALS` for a disk that several machines share, where WAL may not be used.
    """
    if journal not in JOURNALS:
        raise BadInput(f"sqlite has no journal {journal!r}", hint=f"one of {', '.join(JOURNALS)}")
    make_folder(path.parent)
    fresh = not path.exists()
    db = sqlite3.connect(path, timeout=5, check_same_thread=False, isolation_level=None)
    try:
        # EXTRA: NORMAL would lose what was acknowledged when the power fails; FULL a deletion of the journal.
        db.execute("PRAGMA synchronous=EXTRA")
        if db.execute("PRAGMA journal_mode").fetchone()[0] != journal:
            db.execute(f"PRAGMA journal_mode={journal}")
        if db.execute("PRAGMA user_version").fetchone()[0] < version:
            db.executescript(f"BEGIN IMMEDIATE; {schema} PRAGMA user_version={version}; COMMIT;")
        if fresh:
            sync_folder(path.parent)  # the name of the file itself; SQLite syncs that of its journal only
    except BaseException:
        db.close()
        raise
    return db
