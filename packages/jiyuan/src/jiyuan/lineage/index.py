"""What is searched for in lineage records, kept beside them in one SQLite file.

The records are the truth: this file can be deleted at any time and is made again. It follows the history of Kyrios
by a number and the runs of Exia by their ids, so that a question costs what has changed since the last one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jiyuan._house.config import home
from jiyuan._house.files import make_folder
from jiyuan.errors import BackendUnavailable
from jiyuan.lineage.records import Record, Source

VERSION = 1
_TABLES = """
create table runs (run_id text primary key, source text, kind text, name text, state text, started text, ended text,
    engine text, host text, trace_id text, flow text) without rowid;
create table uses (kind text, name text, version text, digest text, run_id text, rows integer,
    primary key (kind, name, version, run_id, digest)) without rowid;
create index uses_by_run on uses (run_id);
create index runs_by_trace on runs (trace_id);
create index runs_by_end on runs (substr(run_id, -12));
create table followed (source text primary key, upto integer);
"""
_COLUMNS = ("run_id", "kind", "name", "state", "started", "ended", "engine", "host", "trace_id", "flow")


class Index:
    """Runs by id, and by what they used.

    Parameters
    ----------
    path
        The file; None is ``lineage.db`` in the home of jiyuan.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home() / "lineage.db"
        try:
            make_folder(self.path.parent)
            self._db = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = normal")  # what a power loss takes is made again
            with self._writing():
                if self._db.execute("pragma user_version").fetchone()[0] != VERSION:
                    self._begin_anew()
        except (OSError, sqlite3.Error) as exc:
            raise BackendUnavailable(f"{self.path} cannot be used: {exc}", hint=f"delete {self.path}") from exc

    def follow(self, sources: Iterable[Source]) -> None:
        """Take in what has changed in `sources` since the last time."""
        for source in sources:
            row = self._db.execute("select upto from followed where source = ?", (source.name,)).fetchone()
            after = row[0] if row else 0
            known = {
                run_id: ended is not None
                for run_id, ended in self._db.execute("select run_id, ended from runs where source = ?", (source.name,))
            } if source.name.startswith("exia") else {}  # fmt: skip
            for records, upto in source.changes(after, known):
                if not records and upto == after:
                    continue
                with self._writing():
                    for record in records:
                        self._keep(source.name, record)
                    self._db.execute("insert or replace into followed values (?, ?)", (source.name, upto))

    def ids(self, short: str, limit: int = 5) -> list[str]:
        """Return the runs whose id begins or ends with `short`, newest first."""
        escaped = short.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
        begins = "select run_id from runs where run_id >= ? and run_id < ? order by run_id desc limit ?"
        found = [row[0] for row in self._db.execute(begins, (short, f"{short}\U0010ffff", limit))]
        if found:
            return found
        ends = r"select run_id from runs where run_id like ? escape '\' order by run_id desc limit ?"
        if len(short) == 12:
            ends = "select run_id from runs where substr(run_id, -12) = ? order by run_id desc limit ?"
            return [row[0] for row in self._db.execute(ends, (short, limit))]
        return [row[0] for row in self._db.execute(ends, (f"%{escaped}", limit))]

    def users(self, kind: str, name: str, version: str = "", limit: int = -1) -> list[dict[str, Any]]:
        """Return the runs that used something, newest first; `version` is a version or the beginning of a digest."""
        test = "and (u.version = ? or u.digest like ? || '%')" if version else ""
        query = (
            f"select {', '.join('r.' + c for c in _COLUMNS)}, u.version, u.digest, u.rows from uses u "
            f"join runs r using (run_id) where u.kind = ? and u.name = ? {test} order by u.run_id desc limit ?"
        )
        given = (kind, name, *((version, version if ":" in version else "\0") if version else ()), limit)
        columns = (*_COLUMNS, "version", "digest", "rows")
        return [dict(zip(columns, row, strict=True)) for row in self._db.execute(query, given)]

    def newest(self, text: str = "", kind: str = "", state: str = "", limit: int = 1000) -> list[dict[str, Any]]:
        """Return runs, newest first.

        Parameters
        ----------
        text
            A part of the run's id or name, or of the name of what it used; with ``@`` what it used, such as
            ``daily@v12``, or ``daily@`` for every version of it; empty for all.
        kind, state
            Only runs of this kind, and in this state.
        """
        tests, given = ["1"], {"text": text, "kind": kind, "state": state}
        name, at, version = text.partition("@")
        if at:
            given |= {"name": name, "version": version, "number": version.removeprefix("v")}
            which = "and (version in (:version, :number) or (instr(:version, ':') and instr(digest, :version) = 1))"
            tests.append(
                f"run_id in (select run_id from uses where kind != 'run' and name = :name {which if version else ''})"
            )
        elif text:
            tests.append(
                "(instr(run_id, :text) or instr(name, :text) or run_id in"
                " (select run_id from uses where kind != 'run' and instr(name, :text)))"
            )
        tests += [f"{word} = :{word}" for word in ("kind", "state") if given[word]]
        query = (
            f"select {', '.join(_COLUMNS)} from runs where {' and '.join(tests)} order by run_id desc limit {limit:d}"
        )
        return [dict(zip(_COLUMNS, row, strict=True)) for row in self._db.execute(query, given)]

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many runs there are of each kind in each state."""
        query = "select kind, state, count(*) from runs group by kind, state order by kind, state"
        return {(kind, state): number for kind, state, number in self._db.execute(query)}

    def used(self) -> dict[str, int]:
        """Return how many runs used each data set and package, in any version, by its name."""
        query = "select name, count(distinct run_id) from uses where kind != 'run' group by name"
        return dict(self._db.execute(query).fetchall())

    def count(self, kind: str, name: str, version: str) -> int:
        """Return how many runs used something."""
        query = "select count(*) from uses where kind = ? and name = ? and version = ?"
        return int(self._db.execute(query, (kind, name, version)).fetchone()[0])

    def names(self, kind: str) -> list[str]:
        """Return the names of everything of a kind that was used."""
        return [row[0] for row in self._db.execute("select distinct name from uses where kind = ? order by 1", (kind,))]

    def related(self, trace_id: str) -> list[str]:
        """Return the runs of one trace."""
        return [row[0] for row in self._db.execute("select run_id from runs where trace_id = ?", (trace_id,))]

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _keep(self, source: str, record: Record) -> None:
        run_id = record["run_id"]
        self._db.execute(
            f"insert or replace into runs (source, {', '.join(_COLUMNS)}) values (?{', ?' * len(_COLUMNS)})",
            (source, *(record[c] for c in _COLUMNS)),
        )
        self._db.execute("delete from uses where run_id = ?", (run_id,))
        rows = [("package", p["name"], p["version"], p["digest"], run_id, None) for p in record["packages"]]
        rows += [
            ("dataset", d["name"], d["version"], d.get("digest", ""), run_id, d["rows"]) for d in record["datasets"]
        ]
        rows += [("run", other, "", "", run_id, None) for other in record.get("earlier", ())]
        self._db.executemany("insert or replace into uses values (?, ?, ?, ?, ?, ?)", rows)

    def _begin_anew(self) -> None:
        for name in ("runs", "uses", "followed"):
            self._db.execute(f"drop table if exists {name}")
        for statement in _TABLES.split(";"):
            if statement.strip():
                self._db.execute(statement)
        self._db.execute(f"pragma user_version = {VERSION}")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
            self._db.execute("commit")
        except BaseException:
            self._db.execute("rollback")
            raise
