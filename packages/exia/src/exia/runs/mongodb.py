"""Runs in MongoDB: ``mongodb://user:password@host:27017/database?authSource=admin``.

Every document has an id that the client made, so that a repeated write changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, unquote

from pymongo import MongoClient, WriteConcern  # type: ignore[import-not-found,unused-ignore]
from pymongo.errors import (  # type: ignore[import-not-found,unused-ignore]
    BulkWriteError,
    ConfigurationError,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
)

from exia._house.backends import BackendURL
from exia.errors import BackendUnavailable, BadInput, NotAllowed, RunNotFound
from exia.runs.port import KINDS, Point, RunRecord, RunStore, Status, Values, checked_kind

_PATIENCE_MS = 1_500
_DUPLICATE = 11_000
_REFUSED = (13, 18)  # Unauthorized, AuthenticationFailed
_BATCH = 1_000


class MongodbRuns:
    """The server store; acknowledged when a majority has journaled it."""

    def __init__(self, url: BackendURL) -> None:
        self.url = url
        if not url.host:
            raise BadInput(f"{url} names no host", hint="mongodb://user@host:27017/database")
        with self._translated():
            self._client: MongoClient[dict[str, Any]] = MongoClient(
                _address(url),
                serverSelectionTimeoutMS=_PATIENCE_MS,
                connectTimeoutMS=_PATIENCE_MS,
                socketTimeoutMS=10 * _PATIENCE_MS,
                appname="exia",
            )
            database = self._client.get_database(
                url.path.strip("/") or "exia", write_concern=WriteConcern("majority", j=True)
            )
            self._runs = database["runs"]
            self._metrics = database["metrics"]
            try:
                self._runs.create_index([("started", -1), ("_id", -1)])
                self._metrics.create_index([("run", 1), ("name", 1), ("seq", 1)])
            except BaseException:
                self._client.close()
                raise

    def start(self, run: RunRecord) -> None:
        document = {k: v for k, v in vars(run).items() if k not in ("id", "metrics", *KINDS)}
        given = {"params": _packed(run.params), "tags": _packed(run.tags), "facts": _packed(run.facts)}
        with self._translated():
            try:
                self._runs.insert_one({"_id": run.id, **document, **given})
            except DuplicateKeyError:
                return  # an earlier try of the same write arrived

    def log(
        self, run_id: str, points: Sequence[Point] = (), values: Values | None = None, heartbeat: str | None = None
    ) -> None:
        given = {
            f"{checked_kind(kind)}.{key}": value
            for kind, mapping in (values or {}).items()
            for key, value in _packed(mapping).items()
        }
        # A document that begins with the number is greater the later it is, whatever the value: the last one stays.
        newest = {p.name: {"seq": p.seq, "value": p.value} for p in sorted(points)}
        greatest: dict[str, Any] = {f"last.{key}": value for key, value in _keyed(newest).items()}
        if heartbeat:
            greatest["heartbeat"] = heartbeat
        documents = [{"_id": f"{run_id}/{p.seq}", "run": run_id, **p._asdict()} for p in points]
        change = {k: v for k, v in {"$set": given, "$max": greatest}.items() if v}
        with self._translated():
            self._document(run_id, {"_id": 1})
            for first in range(0, len(documents), _BATCH):
                self._insert(documents[first : first + _BATCH])
            if change:
                self._runs.update_one({"_id": run_id}, change)

    def finish(
        self, run_id: str, status: Status, ended: str, error: str | None = None, traceback: str | None = None
    ) -> None:
        values = {"status": status, "ended": ended, "error": error, "traceback": traceback}
        with self._translated():
            self._document(run_id, {"_id": 1})
            self._runs.update_one({"_id": run_id, "ended": None}, {"$set": values})

    def get(self, run_id: str) -> RunRecord:
        with self._translated():
            return _record(self._document(run_id))

    def find(
        self, name: str | None = None, status: Status | None = None, limit: int = 100, after: str | None = None
    ) -> list[RunRecord]:
        wanted: dict[str, Any] = {k: {"$eq": v} for k, v in {"name": name, "status": status}.items() if v is not None}
        with self._translated():
            if after is not None:
                started = self._document(after, {"started": 1})["started"]
                wanted["$or"] = [{"started": {"$lt": started}}, {"started": started, "_id": {"$lt": after}}]
            found = self._runs.find(wanted, {"output": 0}).sort([("started", -1), ("_id", -1)]).limit(limit)
            return [_record(document) for document in found]

    def ids(self, prefix: str, limit: int = 100) -> list[str]:
        with self._translated():
            wanted = {"_id": {"$gte": prefix, "$lt": prefix + "\uffff"}}
            return [d["_id"] for d in self._runs.find(wanted, {"_id": 1}).sort("_id", 1).limit(limit)]

    def points(self, run_id: str, metric: str) -> list[Point]:
        with self._translated():
            self._document(run_id, {"_id": 1})
            found = self._metrics.find({"run": run_id, "name": metric}).sort("seq", 1)
            return [Point(d["seq"], d["name"], d["value"], d["step"], d["time"]) for d in found]

    def delete(self, run_id: str) -> None:
        with self._translated():
            self._document(run_id, {"_id": 1})
            self._metrics.delete_many({"run": run_id})
            self._runs.delete_one({"_id": run_id})

    def ping(self) -> str:
        with self._translated():
            n = self._runs.estimated_document_count()
            return f"{n} runs, MongoDB {self._client.server_info()['version']}"

    def close(self) -> None:
        self._client.close()

    def _insert(self, documents: list[dict[str, Any]]) -> None:
        try:
            self._metrics.insert_many(documents, ordered=False)
        except BulkWriteError as exc:
            details: dict[str, Any] = dict(exc.details or {})
            errors = details.get("writeErrors", [])
            # Points that an earlier try of the same write brought are there already, and that is fine.
            if details.get("writeConcernErrors") or any(e["code"] != _DUPLICATE for e in errors):
                raise

    def _document(self, run_id: str, fields: Mapping[str, int] | None = None) -> dict[str, Any]:
        document: dict[str, Any] | None = self._runs.find_one({"_id": run_id}, fields)
        if document is None:
            raise RunNotFound(f"there is no run {run_id!r}", hint="exia runs list")
        return document

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except ConfigurationError as exc:
            raise BadInput(f"{self.url}: {exc}", hint="mongodb://user@host:27017/database") from exc
        except PyMongoError as exc:
            if isinstance(exc, OperationFailure) and exc.code in _REFUSED:
                raise NotAllowed(f"{self.url} refused the login or the operation", hint="exia config show") from exc
            # A driver's message can run to many lines; its first words say what happened.
            reason = str(exc).partition(",")[0][:200]
            raise BackendUnavailable(f"{self.url} did not answer: {reason}", hint="is the server running?") from exc


def _address(url: BackendURL) -> str:
    login = f"{quote_plus(url.user)}:{quote_plus(url.password)}@" if url.user else ""
    host = f"[{url.host}]" if ":" in url.host else url.host
    options = "&".join(f"{quote(k)}={quote(v)}" for k, v in url.query.items())
    return f"mongodb://{login}{host}:{url.port or 27017}/" + (f"?{options}" if options else "")


def _record(document: Mapping[str, Any]) -> RunRecord:
    last = {unquote(key): found["value"] for key, found in document.get("last", {}).items()}
    plain = {k: v for k, v in document.items() if k not in ("_id", "last", *KINDS)}
    given: dict[str, Any] = {kind: _unpacked(document.get(kind, {})) for kind in KINDS}
    return RunRecord(id=document["_id"], metrics=dict(sorted(last.items())), **plain, **given)


def _keyed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` under keys that MongoDB takes as one word: a dot would be a path, a dollar an operator."""
    return {quote(key, safe="").replace(".", "%2E"): value for key, value in values.items()}


def _packed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` as MongoDB takes them: big and nested values become JSON."""
    return _keyed({k: v if _fits_bson(v) else {"json": json.dumps(v)} for k, v in values.items()})


def _unpacked(values: Mapping[str, Any]) -> dict[str, Any]:
    return {unquote(k): json.loads(v["json"]) if isinstance(v, dict) else v for k, v in values.items()}


def _fits_bson(value: Any) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return -(2**63) <= value < 2**63
    return value is None or isinstance(value, str | bool | float)


if TYPE_CHECKING:
    _fits: type[RunStore] = MongodbRuns
