"""``elasticsearch://user:password@host:9200/prefix``: one index for each day, written in bulk.

``?tls=true`` speaks HTTPS, ``?ca=/path`` trusts that certificate authority, ``?shards=1`` and ``?replicas=1``
are for new indices. No index lifecycle management, data stream or ES|QL is needed: old days are dropped whole.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import elastic_transport
import elasticsearch

from exia._house.backends import BackendURL
from exia.errors import BackendUnavailable, BadInput, NotAllowed
from exia.monitor.mapping import index_template
from exia.monitor.port import Document, MonitorStore, Refused, bound, checked_limit, day_of

_PATIENCE = 5.0  # seconds for an answer
_LONG = 30.0  # to a bulk write
_PREFIX = re.compile(r"[a-z0-9][a-z0-9_-]*")


class ElasticsearchMonitor:
    """The server store; acknowledged when Elasticsearch has synced its translog."""

    def __init__(self, url: BackendURL) -> None:
        if not url.host:
            raise BadInput(f"{url} names no host", hint="elasticsearch://user:password@127.0.0.1:9200")
        self._prefix = url.path.strip("/") or "exia"
        if not _PREFIX.fullmatch(self._prefix):
            raise BadInput(f"no index can be called {self._prefix!r}", hint="take small letters, digits, - and _")
        self._url = str(url)
        self._settings: dict[str, int] = {
            name: _count(url, name) for name in ("shards", "replicas") if name in url.query
        }
        secure = url.query.get("tls", "false").lower() == "true"
        host = f"[{url.host}]" if ":" in url.host else url.host
        options: dict[str, Any] = {"basic_auth": (url.user, url.password or "")} if url.user else {}
        if url.query.get("ca"):
            options["ca_certs"] = url.query["ca"]
        self._client = elasticsearch.Elasticsearch(
            f"http{'s' * secure}://{host}:{url.port or 9200}",
            request_timeout=_PATIENCE,
            max_retries=0,  # who writes does it again, and knows what it has written
            retry_on_timeout=False,
            **options,
        )
        self._ready = False
        self._lock = threading.Lock()

    def write(self, documents: Sequence[Document]) -> list[Refused]:
        refused: list[Refused] = []
        operations: list[Any] = []
        sent: list[Document] = []
        for document in documents:
            try:
                place = {"_index": self._index(day_of(document)), "_id": str(document["event"]["id"])}
            except (KeyError, TypeError, ValueError) as exc:
                refused.append(Refused(document, f"it is no document: {type(exc).__name__}: {exc}"))
                continue
            operations += ({"create": place}, document)
            sent.append(document)
        if not sent:
            return refused
        with self._translated():
            self._prepare()
            answer = self._client.options(request_timeout=_LONG).bulk(operations=operations)
        busy = 0
        for document, item in zip(sent, answer["items"], strict=True):
            status = item["create"]["status"]
            if status < 300 or status == 409:  # 409: an earlier try has brought it there
                continue
            if status == 429 or status >= 500:
                busy += 1
                continue
            error = item["create"].get("error") or {}
            refused.append(Refused(document, f"{error.get('type', status)}: {error.get('reason', 'no reason given')}"))
        if busy:
            raise BackendUnavailable(f"{self._url} is too busy: it put off {busy} of {len(sent)} documents")
        return refused

    def query(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        where: Mapping[str, str] | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        limit = checked_limit(limit)
        times = {word: at for word, at in (("gte", bound(since)), ("lt", bound(until))) if at}
        filters: list[dict[str, Any]] = [{"term": {name: {"value": value}}} for name, value in (where or {}).items()]
        if times:
            filters.append({"range": {"@timestamp": times}})
        with self._translated():
            with suppress(elasticsearch.AuthorizationException):  # else searches see it a second later
                self._client.indices.refresh(index=f"{self._prefix}-*", ignore_unavailable=True)
            answer = self._client.search(
                index=f"{self._prefix}-*",
                query={"bool": {"filter": filters}} if filters else {"match_all": {}},
                sort=[{"@timestamp": "desc"}, {"event.sequence": {"order": "desc", "unmapped_type": "long"}}],
                size=limit,
                allow_no_indices=True,
                ignore_unavailable=True,
            )
        return [dict(hit["_source"]) for hit in reversed(answer["hits"]["hits"])]

    def days(self) -> list[date]:
        start = f"{self._prefix}-"
        with self._translated():
            found = self._client.indices.get(index=f"{start}*", allow_no_indices=True, ignore_unavailable=True)
        names = (re.fullmatch(r"(\d{4})\.(\d\d)\.(\d\d)", name.removeprefix(start)) for name in dict(found))
        return sorted(date(*map(int, name.groups())) for name in names if name)

    def drop(self, day: date) -> None:
        with self._translated():
            self._client.indices.delete(index=self._index(day), ignore_unavailable=True)

    def ping(self) -> str:
        with self._translated():
            info = self._client.info()
        return f"{self._url}: {info['version'].get('distribution', 'Elasticsearch')} {info['version']['number']}"

    def close(self) -> None:
        self._client.close()

    def _index(self, day: date) -> str:
        return f"{self._prefix}-{day:%Y.%m.%d}"

    def _prepare(self) -> None:
        """Have the index template there before the first document, so that its fields get their types."""
        with self._lock:
            if not self._ready:
                self._client.indices.put_index_template(
                    name=self._prefix, **index_template(self._prefix, self._settings)
                )
                self._ready = True

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (elasticsearch.AuthenticationException, elasticsearch.AuthorizationException) as exc:
            raise NotAllowed(
                f"{self._url} does not let this user in: {_line(exc)}",
                hint="check the user and password in EXIA_MONITOR",
            ) from exc
        except (elastic_transport.TransportError, elasticsearch.ApiError) as exc:
            # Started anew it may be another server, without the template.
            self._ready = False
            raise BackendUnavailable(f"{self._url}: {_line(exc)}", hint="exia doctor") from exc


def _count(url: BackendURL, name: str) -> int:
    try:
        return int(url.query[name])
    except ValueError:
        raise BadInput(f"{url}: {name} must be a whole number") from None


def _line(exc: Exception) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0]


if TYPE_CHECKING:
    _fits: type[MonitorStore] = ElasticsearchMonitor
