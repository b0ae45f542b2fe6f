"""CSV or JSON from any address: ``https://host/bars.csv?mapping=bars.toml``.

Four options of the query belong to ptolemy and are not sent: ``mapping`` (a file as for ``csv:``), ``format``
(``csv`` or ``json``; the answer's Content-Type by default), ``rows`` (where in a JSON answer the rows are, such
as ``data.items``) and ``columns`` (where the names of the columns are, if the rows are lists). In path and
query ``{day}``, ``{start}``, ``{end}`` (``YYYYMMDD``) and ``{code}`` stand for what is asked for; with one of
them the address is asked day by day, for a range, or security by security, and ``rate`` (calls a minute, 120 by
default) is kept by all processes of this machine.
"""

from __future__ import annotations

import csv
import io
import json
import random
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlencode

import pyarrow as pa
import urllib3

from ptolemy._house.config import home
from ptolemy._house.progress import Progress, no_progress
from ptolemy.catalogue import Asking, Interface
from ptolemy.errors import BackendUnavailable, BadData, BadInput, NotAllowed, NotFound
from ptolemy.sources.mapping import Field, mapping_of, plain
from ptolemy.sources.port import EVERYTHING, Batch, Source, Wanted
from ptolemy.sources.rates import Rate
from ptolemy.sources.translate import needed, table_of, translate

if TYPE_CHECKING:
    from ptolemy._house.backends import BackendURL

TRIES = 4
LARGEST = 1 << 30  #: bytes of one answer
_OWN = ("mapping", "format", "rows", "columns", "rate")


class HttpSource:
    """One address, with places for what is asked."""

    def __init__(self, url: BackendURL, sleep: Callable[[float], None] = time.sleep) -> None:
        if not url.host:
            raise BadInput(f"{url} names no host", hint="https://host/bars.csv?mapping=bars.toml")
        self._url, self._sleep = url, sleep
        self._own = {k: v for k, v in url.query.items() if k in _OWN}
        self._sent = {k: v for k, v in url.query.items() if k not in _OWN}
        if self._own.get("format", "csv") not in ("csv", "json"):
            raise BadInput(f"{url}: format is csv or json")
        self.mapping = mapping_of(self._own.get("mapping"))
        try:
            per_minute = float(self._own.get("rate", 120))
        except ValueError:
            raise BadInput(f"{url}: rate is a number of calls a minute") from None
        self._rate = Rate(home() / "rates", f"{url.scheme}://{url.host}:{url.port}", per_minute)
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=5.0, read=60.0))

    @classmethod
    def from_url(cls, url: BackendURL) -> HttpSource:
        """Open the address that `url` names; nothing is asked yet."""
        return cls(url)

    def datasets(self) -> list[str]:
        return sorted(self.mapping or ())

    def asking(self, interface: Interface) -> Asking | None:
        text = f"{self._url.path} {' '.join(self._sent.values())}"
        on = interface.asking.on if interface.asking else "day"
        if "{code}" in text:
            return Asking(interface.key[0])
        if "{day}" in text:
            return Asking("day", on)
        return Asking("range") if "{start}" in text or "{end}" in text else None

    def read(
        self, interface: Interface, *, wanted: Wanted = EVERYTHING, progress: Progress = no_progress
    ) -> Iterator[Batch]:
        asked = self.asking(interface) is not None
        for code in wanted.codes or ("",) if wanted.by == interface.key[0] else ("",):
            places = {"code": code, "day": wanted.start or "", "start": wanted.start or "", "end": wanted.end or ""}
            data, kind = self._get(places)
            progress(len(data), len(data))
            place = self._shown(places)
            header, raw = _parsed(place, data, self._own.get("format", kind), self._own)
            fields = (self.mapping or {}).get(interface.name) or plain(interface, header)
            if code and not set(fields.get(interface.key[0], Field(value=code)).sources) <= set(header):
                fields = {**fields, interface.key[0]: Field(value=code)}
            names = needed(place, fields, header)
            lines = pa.array(range(1, raw.num_rows + 1), pa.int64())
            yield translate(interface, fields, raw.select(names) if names else raw, lines, place, "row", lenient=asked)

    def close(self) -> None:
        self._pool.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _get(self, places: dict[str, str]) -> tuple[bytes, str]:
        """Return an answer and whether it says that it is JSON or CSV."""
        url = self._url
        port = "" if url.port is None else f":{url.port}"
        query = urlencode({k: _filled(v, places) for k, v in self._sent.items()})
        address = f"{url.scheme}://{url.host}{port}{quote(_filled(url.path, places))}" + (f"?{query}" if query else "")
        headers = urllib3.make_headers(basic_auth=f"{url.user}:{url.password}") if url.user or url.password else {}
        why = ""
        for tried in range(TRIES):
            if tried:
                self._sleep(min(0.5 * 2**tried, 30) * (0.5 + random.random()))
            self._rate.wait()
            try:
                answer = self._pool.request("GET", address, headers=headers, preload_content=False)
                with answer:
                    data = answer.read(LARGEST + 1)
            except (urllib3.exceptions.HTTPError, OSError) as exc:
                why = str(exc).rpartition(": ")[2]
                continue
            if answer.status == 200:
                if len(data) > LARGEST:
                    raise BadData(self._shown(places), f"the answer has more than {LARGEST} bytes")
                kind = "json" if "json" in answer.headers.get("content-type", "") else "csv"
                return data, kind
            if answer.status in (401, 403):
                raise NotAllowed(f"{self._shown(places)} answered HTTP {answer.status}")
            if answer.status == 404:
                raise NotFound(f"{self._shown(places)} answered HTTP 404: it is not there")
            why = f"HTTP {answer.status}"
            if answer.status < 500 and answer.status != 429:
                break
        raise BackendUnavailable(f"{self._shown(places)} gives no rows: {why}")

    def _shown(self, places: dict[str, str]) -> str:
        return f"{self._url.host}{_filled(self._url.path, places)}"


def _filled(text: str, places: dict[str, str]) -> str:
    for word, value in places.items():
        text = text.replace(f"{{{word}}}", value)
    return text


def _parsed(place: str, data: bytes, kind: str, own: dict[str, str]) -> tuple[list[str], pa.Table]:
    try:
        text = data.decode("utf-8-sig")
        if kind == "csv":
            header, *rows = list(csv.reader(io.StringIO(text))) or [[]]
            rows = [row for row in rows if row]
        else:
            document = json.loads(text)
            found = _at(document, own.get("rows", ""))
            if found and isinstance(found[0], dict):
                header = list(dict.fromkeys(key for row in found for key in row))
                rows = [[row.get(name) for name in header] for row in found]
            else:
                header, rows = list(_at(document, own.get("columns", "columns")) if found else []), list(found or [])
    except (UnicodeDecodeError, ValueError, KeyError, TypeError, IndexError, AttributeError) as exc:
        raise BadData(place, f"the answer is no {kind} as it is described: {type(exc).__name__} {exc}") from None
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise BadData(f"{place} row {number}", f"it has {len(row)} values, the header names {len(header)}")
    columns: list[Any] = list(zip(*rows, strict=True)) if rows else [[] for _ in header]
    return header, table_of(header, columns)


def _at(document: Any, path: str) -> Any:
    for word in path.split(".") if path else ():
        document = document[int(word)] if isinstance(document, list) else document[word]
    return document


if TYPE_CHECKING:
    _fits: type[Source] = HttpSource
