"""``clickhouse://user:password@host:9000/database``: a registry that a team shares, on ClickHouse 18.16 or newer.

ClickHouse keeps no key unique, and of racing check-then-inserts all win. What decides here is a
``Log`` table: one server writes it one block after the other, and the first row of a key is its
owner. Where releases are pushed to a store, the store decides, and this is its index.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from clickhouse_driver import Client  # type: ignore[import-not-found, unused-ignore]
from clickhouse_driver import errors as driver  # type: ignore[import-not-found, unused-ignore]

from veda._house.backends import BackendURL
from veda._house.errors import nearest
from veda.errors import BackendUnavailable, BadInput, NotAllowed, NotFound, ReleaseExists, VedaError
from veda.registry.facets import KINDS, facets, terms, used, words
from veda.registry.port import Event, Query, Registry, Release, now, published

# Only what 18.16 and today's ClickHouse both have: no DateTime64, Bool, JSON, ILIKE, CTE, window or lightweight DELETE.
_TABLES = {
    "claims": "(name String, version String, digest String) ENGINE = Log",
    "releases": "(name String, version String, digest String, facts String, published_at String, words String, "
    + "".join(f"{kind} Array(String), " for kind in KINDS)
    + "seq UInt64) ENGINE = MergeTree ORDER BY (name, version)",
    "events": "(kind String, name String, version String, subject String, by String, data String, id String, "
    "at String, seq UInt64) ENGINE = MergeTree ORDER BY (name, version, id)",
}
_RELEASE = "name, version, digest, facts, published_at"
_EVENT = "kind, name, version, subject, by, data, id, at"
_FORBIDDEN = (164, 192, 193, 194, 497, 516)  # read only, unknown user, wrong password, required password, no grant
_NO_DATABASE = 81


class ClickhouseRegistry:
    """Releases and events in ClickHouse; one object may be used by many threads, one at a time.

    The query of the URL may say ``tables=PREFIX`` (``veda``), ``timeout=SECONDS`` of an answer (20)
    and ``secure=true``.
    """

    def __init__(self, url: BackendURL) -> None:
        if not url.host:
            raise BadInput(f"{url} names no host", hint="clickhouse://user:password@host:9000/database")
        self._shown = str(url)
        self._lock = threading.RLock()
        prefix = url.query.get("tables", "veda")
        if not re.fullmatch(r"[A-Za-z]\w{0,40}", prefix):
            raise BadInput(f"{url}: tables must be letters, digits and underscores", hint="tables=veda")
        self._names = {table: f"{prefix}_{table}" for table in _TABLES}
        try:
            wait = float(url.query.get("timeout", "20"))
        except ValueError:
            raise BadInput(f"{url}: timeout is not a number of seconds") from None
        self._client = connect(url, wait)
        self._make_tables()

    def publish(self, release: Release) -> None:
        """Claim the version, then add the release and its event; what is there already is not added again."""
        self.publish_many([release])

    def publish_many(self, releases: Sequence[Release]) -> None:
        """Add many releases; those before one whose version is taken by other content stay added."""
        with self._lock:
            for release in releases:
                self._claim(release)
            there = {(n, v) for n, v in self._ask("SELECT name, version FROM {releases} WHERE name IN %(names)s",
                                                  names=_some([r.name for r in releases]))}  # fmt: skip
            new = [r for r in releases if (r.name, r.version) not in there]
            self._add("releases", _release_rows(new))
            # All of them: a line that was cut after the releases leaves those without their events.
            self._append([published(r) for r in releases])

    def get(self, name: str, version: str) -> Release:
        """Return one release."""
        found = self._releases("name = %(name)s AND version = %(version)s", name=name, version=version)
        if not found:
            names = {n for (n,) in self._ask("SELECT DISTINCT name FROM {releases}")}
            hint = (nearest(name, names) or "veda list --remote") if name not in names else f"veda list {name} --remote"
            raise NotFound(f"{name}@{version} is not registered", hint=hint)
        return found[0]

    def releases(self, name: str | None = None) -> list[Release]:
        """Return releases in the order in which they were added."""
        return self._releases("name = %(name)s", name=name) if name is not None else self._releases("1")

    def find(self, digest: str) -> list[Release]:
        """Return the releases of this digest."""
        return self._releases("digest = %(digest)s", digest=digest)

    def tag(self, name: str, tag: str, version: str) -> None:
        """Append the event that points `tag` to `version`."""
        self.append(Event("tagged", name, version, tag))

    def tags(self, name: str) -> Mapping[str, str]:
        """Return where each tag points."""
        return dict(
            self._ask(
                "SELECT subject, argMax(version, concat(at, toString(seq))) FROM {events} "
                "WHERE kind = 'tagged' AND name = %(name)s GROUP BY subject ORDER BY subject",
                name=name,
            )
        )

    def append(self, event: Event) -> None:
        """Add `event` unless its id is there; two that race may both add it, and readers see it once."""
        with self._lock:
            self.get(event.name, event.version)
            self._append([event])

    def events(self, name: str | None = None, kind: str | None = None) -> list[Event]:
        """Return events in the order of their times."""
        asked = {k: v for k, v in (("name", name), ("kind", kind)) if v is not None}
        where = " AND ".join(f"{k} = %({k})s" for k in asked) or "1"
        rows = self._ask(f"SELECT {_EVENT} FROM {{events}} WHERE {where} ORDER BY at, seq LIMIT 1 BY id", **asked)
        return [_event(row) for row in rows]

    def yanked(self, name: str) -> Mapping[str, str]:
        """Return the versions that are yanked now."""
        rows = self._ask(
            "SELECT version, argMax(kind, concat(at, toString(seq))), argMax(data, concat(at, toString(seq))) "
            "FROM {events} WHERE kind IN ('yanked', 'unyanked') AND name = %(name)s GROUP BY version",
            name=name,
        )
        return {version: json.loads(data).get("reason", "") for version, kind, data in rows if kind == "yanked"}

    def search(self, query: Query) -> list[Release]:
        """Compare every release with `query`: ClickHouse reads columns faster than it would need an index."""
        where, values = self._conditions(query)
        by = "name, version" if query.name and "*" not in query.name else "name"
        rows = self._ask(
            f"SELECT {_RELEASE} FROM {{releases}} WHERE {' AND '.join(where) or '1'} "
            f"ORDER BY seq DESC LIMIT 1 BY {by} LIMIT %(limit)s",
            limit=query.limit,
            **values,
        )
        return [_release(row) for row in rows]

    def replace(self, releases: Sequence[Release], events: Sequence[Event]) -> None:
        """Put `releases` and `events` in the place of all that is here, in one renaming."""
        with self._lock:
            for table, columns in _TABLES.items():
                self._ask(f"DROP TABLE IF EXISTS {self._names[table]}_new")
                self._ask(f"CREATE TABLE {self._names[table]}_new {columns}")
            self._add("claims", [(r.name, r.version, r.digest) for r in releases], "_new")
            self._add("releases", _release_rows(releases), "_new")
            self._add("events", _event_rows([*(published(r) for r in releases), *events]), "_new")
            for table in _TABLES:
                self._ask(f"DROP TABLE IF EXISTS {self._names[table]}_old")
            moves = [f"{n} TO {n}_old, {n}_new TO {n}" for n in self._names.values()]
            self._ask(f"RENAME TABLE {', '.join(moves)}")
            # All is in its place. What cannot be dropped now, as where ClickHouse removes 10,000
            # parts for longer than a question may last, is dropped before the next renaming.
            with suppress(BackendUnavailable):
                for table in _TABLES:
                    self._ask(f"DROP TABLE IF EXISTS {self._names[table]}_old")

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._client.disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _make_tables(self) -> None:
        asked = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name IN %(names)s"
        # Asked first, so that an account that may only read can read.
        if self._ask(asked, names=_some(self._names.values()))[0][0] < len(_TABLES):
            for table, columns in _TABLES.items():
                self._ask(f"CREATE TABLE IF NOT EXISTS {self._names[table]} {columns}")

    def _claim(self, release: Release) -> None:
        key = {"name": release.name, "version": release.version}
        first = "SELECT digest FROM {claims} WHERE name = %(name)s AND version = %(version)s LIMIT 1"
        standing = self._ask(first, **key)
        if not standing:
            self._add("claims", [(release.name, release.version, release.digest)])
            standing = self._ask(first, **key)
        if standing[0][0] != release.digest:
            raise ReleaseExists(release.name, release.version, standing[0][0])

    def _append(self, events: Sequence[Event]) -> None:
        if not events:
            return
        # Looked for below the name, which is what the table is sorted by.
        rows = self._ask(
            "SELECT id FROM {events} WHERE name IN %(names)s AND id IN %(ids)s",
            names=_some([e.name for e in events]),
            ids=_some([e.id for e in events]),
        )
        there = {id for (id,) in rows}
        self._add("events", _event_rows([e for e in events if e.id not in there]))

    def _releases(self, where: str, **values: Any) -> list[Release]:
        rows = self._ask(
            f"SELECT {_RELEASE} FROM {{releases}} WHERE {where} ORDER BY seq LIMIT 1 BY name, version", **values
        )
        return [_release(row) for row in rows]

    def _conditions(self, query: Query) -> tuple[list[str], dict[str, Any]]:
        where, values = [], dict[str, Any]()
        for number, term in enumerate(terms(query.text)):
            where.append(f"position(words, %(term{number})s) > 0")
            values[f"term{number}"] = term
        for kind in KINDS:
            if asked := getattr(query, kind):
                where.append(f"arrayExists(v -> lowerUTF8(v) = %({kind})s, {kind})")
                values[kind] = (used(asked) if kind == "uses" else asked).lower()
        if query.name:
            where.append("match(name, %(name)s)")
            values["name"] = "^" + ".*".join(map(re.escape, query.name.split("*"))) + "$"
        if query.tag:
            where.append(
                "concat(name, '@', version) IN (SELECT concat(name, '@', argMax(version, concat(at, toString(seq)))) "
                "FROM {events} WHERE kind = 'tagged' AND subject = %(tag)s GROUP BY name)"
            )
            values["tag"] = query.tag
        if query.since:
            where.append("published_at >= %(since)s")
            values["since"] = query.since
        if query.until:
            where.append("substring(published_at, 1, %(until_length)s) <= %(until)s")
            values |= {"until": query.until, "until_length": len(query.until)}
        return where, values

    def _ask(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        for table, name in self._names.items():
            statement = statement.replace(f"{{{table}}}", name)
        with self._translated():
            rows: list[tuple[Any, ...]] = self._client.execute(statement, values or None)
        return rows

    def _add(self, table: str, rows: Sequence[tuple[Any, ...]], suffix: str = "") -> None:
        # Rows as a list: with values inside the statement 18.16 waits for more, and the driver for it.
        columns = re.findall(r"(\w+) (?:String|UInt64|Array)", _TABLES[table])
        for start in range(0, len(rows), 10_000):
            with self._translated():
                statement = f"INSERT INTO {self._names[table]}{suffix} ({', '.join(columns)}) VALUES"
                self._client.execute(statement, list(rows[start : start + 10_000]))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with self._lock, translated(self._client, self._shown):
            yield


def connect(url: BackendURL, wait: float = 20) -> Any:
    """Return a connection of the driver, made when something is first asked; `wait` is seconds for an answer."""
    return Client(
        host=url.host,
        port=url.port or (9440 if url.query.get("secure") == "true" else 9000),
        database=url.path.strip("/") or "default",
        user=url.user or "default",
        password=url.password,
        secure=url.query.get("secure") == "true",
        connect_timeout=1,
        send_receive_timeout=wait,
        sync_request_timeout=2,
        client_name="veda",
    )


@contextmanager
def translated(client: Any, shown: str) -> Iterator[None]:
    """Turn the driver's errors into ours, and close a connection that may hold half an answer."""
    try:
        yield
    except driver.ServerException as exc:
        client.disconnect()
        if exc.code in _FORBIDDEN:
            raise NotAllowed(f"{shown}: the server refuses", hint="check user and password") from exc
        if exc.code == _NO_DATABASE:
            raise NotFound(f"{shown}: there is no such database", hint="CREATE DATABASE it") from exc
        said = str(exc.message).splitlines()[0][:200]
        raise BackendUnavailable(f"{shown}: {said}", hint="veda doctor") from exc
    except (driver.Error, OSError, EOFError) as exc:
        if isinstance(exc, VedaError):
            raise
        client.disconnect()
        raise BackendUnavailable(f"{shown} does not answer ({type(exc).__name__})", hint="is it running?") from exc


def _some(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values))) or ("",)  # `IN ()` is an error


def _release_rows(releases: Iterable[Release]) -> list[tuple[Any, ...]]:
    rows = []
    for number, r in enumerate(releases):
        facts = json.dumps(dict(r.facts), ensure_ascii=False, sort_keys=True)
        searched = facets(r)
        lists = [searched[kind] for kind in KINDS]
        seq = time.time_ns() + number
        rows.append((r.name, r.version, r.digest, facts, r.published_at or now(), words(r).lower(), *lists, seq))
    return rows


def _event_rows(events: Iterable[Event]) -> list[tuple[Any, ...]]:
    rows = []
    for number, e in enumerate(events):
        data = json.dumps(dict(e.data), ensure_ascii=False, sort_keys=True)
        rows.append((e.kind, e.name, e.version, e.subject, e.by, data, e.id, e.at, time.time_ns() + number))
    return rows


def _release(row: tuple[Any, ...]) -> Release:
    return Release(row[0], row[1], row[2], json.loads(row[3]), row[4])


def _event(row: tuple[Any, ...]) -> Event:
    kind, name, version, subject, by, data, id, at = row
    return Event(kind, name, version, subject, by, json.loads(data), id, at)


if TYPE_CHECKING:
    _fits: type[Registry] = ClickhouseRegistry
