"""Tushare, and every service that speaks its protocol: ``tushare://api.tushare.pro``, ``tushare://127.0.0.1:8100``.

The token is the URL's password, as in ``tushare://:TOKEN@host``, or in ``TUSHARE_TOKEN``. Options are
``rate`` (calls a minute, 200 by default), ``tls`` (``false`` for plain http, which is what loopback gets) and
``timeout`` (seconds). The public client is not used: it takes an HTTP error for an empty result.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import urllib3

from ptolemy._house.config import home
from ptolemy._house.progress import Progress, no_progress
from ptolemy.catalogue import Asking, Interface, interfaces
from ptolemy.errors import (
    BackendUnavailable,
    BadData,
    BadInput,
    BadParam,
    BadToken,
    NoPermission,
    PtolemyError,
    RateLimited,
    nearest,
)
from ptolemy.sources.mapping import Field
from ptolemy.sources.port import EVERYTHING, Batch, Source, Wanted
from ptolemy.sources.rates import Rate
from ptolemy.sources.translate import table_of, translate

if TYPE_CHECKING:
    from ptolemy._house.backends import BackendURL

HOST = "api.tushare.pro"
PAGE = 2000  #: rows asked for at once where the catalogue does not know the interface's limit
TRIES = 5
_OPTIONS = ("rate", "tls", "timeout")
_LIMIT = re.compile(r"每(秒|分钟|小时|天).*?(\d+)次")
_SECONDS = {"秒": 1.0, "分钟": 60.0, "小时": 3600.0, "天": 86400.0}


class TushareSource:
    """One service; all processes of this machine that use it share one rate.

    Parameters
    ----------
    url
        Where questions are posted; below ``/dataapi`` the interface is named in the path too.
    rate
        Shared by all who use this service with this token.
    """

    def __init__(self, url: str, token: str, rate: Rate, timeout: float = 30.0,
                 sleep: Callable[[float], None] = time.sleep) -> None:  # fmt: skip
        self.url, self._token, self._rate, self._sleep = url.rstrip("/"), token, rate, sleep
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=5.0, read=timeout))

    @classmethod
    def from_url(cls, url: BackendURL) -> TushareSource:
        """Open the service that `url` names; nothing is asked yet."""
        for option in url.query:
            if option not in _OPTIONS:
                raise BadInput(
                    f"{url} has the option {option!r}", hint=nearest(option, _OPTIONS) or ", ".join(_OPTIONS)
                )
        host = url.host or HOST
        tls = url.query.get("tls", "false" if _is_loopback(host) else "true")
        if tls not in ("true", "false"):
            raise BadInput(f"{url}: tls is true or false")
        token = url.password or url.user or os.environ.get("TUSHARE_TOKEN", "")
        if not token:
            raise BadToken("no token for this source was given: tushare://:TOKEN@host, or TUSHARE_TOKEN")
        try:
            per_minute, timeout = float(url.query.get("rate", 200)), float(url.query.get("timeout", 30))
        except ValueError:
            raise BadInput(f"{url}: rate and timeout are numbers") from None
        shown = f"[{host}]" if ":" in host else host
        port = "" if url.port is None else f":{url.port}"
        address = f"{'https' if tls == 'true' else 'http'}://{shown}{port}{url.path}"
        return cls(address, token, Rate(home() / "rates", f"{address} {token}", per_minute), timeout)

    def datasets(self) -> list[str]:
        return sorted(i.name for i in interfaces().values() if i.asking is not None and not i.computed)

    def asking(self, interface: Interface) -> Asking | None:
        if interface.asking is None:
            raise BadInput(f"{interface.name} does not say how it is collected", hint='collect = { by = "trade_date" }')
        return interface.asking

    def read(
        self, interface: Interface, *, wanted: Wanted = EVERYTHING, progress: Progress = no_progress
    ) -> Iterator[Batch]:
        for code in (wanted.codes or ()) if wanted.by == interface.key[0] else (None,):
            params = _params(interface, wanted, code)
            names, rows = self._pages(interface, params)
            place = f"{interface.name} {' '.join(f'{k}={v}' for k, v in params.items())}".strip()
            table = table_of(names, list(zip(*rows, strict=True)) if rows else [[] for _ in names])
            progress(len(rows), len(rows))
            fields = {c.name: Field(c.name) for c in interface.columns if c.name in names}
            for name, value in wanted.each:
                if name in interface.names and name not in names:
                    fields[name] = Field(value=value)
            lines = pa.array(range(1, len(rows) + 1), pa.int64())
            yield translate(interface, fields, table, lines, place, "row", lenient=True)

    def close(self) -> None:
        self._pool.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _pages(self, interface: Interface, params: dict[str, str]) -> tuple[list[str], list[list[Any]]]:
        """Return all rows: a service cuts a long answer without a word, so that a full page is asked on."""
        size = interface.limit or PAGE
        names: list[str] = []
        rows: list[list[Any]] = []
        while True:
            data = self._ask(interface, {**params, "limit": size, "offset": len(rows)})
            here, page = _read_data(interface, data)
            names = names or here
            if here != names:
                page = [[row[here.index(n)] if n in here else None for n in names] for row in page]
            if rows and page and page[0] == rows[0]:
                raise BadData(
                    f"{interface.name} of {self.url}",
                    f"an answer has {len(rows)} rows at most, and the service does not know offset",
                    hint="ask for fewer days or securities at once",
                )
            rows += page
            if not page or (len(page) < size and not data.get("has_more")):
                return names, rows

    def _ask(self, interface: Interface, params: dict[str, Any]) -> dict[str, Any]:
        body = {"api_name": interface.name, "token": self._token, "params": params,
                "fields": ",".join(n for n in interface.names if n != "freq")}  # fmt: skip
        url = f"{self.url}/{interface.name}" if self.url.endswith("/dataapi") else self.url
        fault: PtolemyError | None = None
        for tried in range(TRIES):
            if tried:
                self._sleep(min(0.5 * 2**tried, 30) * (0.5 + random.random()))
            self._rate.wait()
            try:
                answer = self._pool.request(
                    "POST", url, body=json.dumps(body).encode(), headers={"content-type": "application/json"}
                )
            except (urllib3.exceptions.HTTPError, OSError) as exc:
                fault = BackendUnavailable(f"{self.url} does not answer: {str(exc).rpartition(': ')[2]}")
                continue
            if answer.status == 429 or answer.status >= 500:
                fault = BackendUnavailable(f"{self.url} answered HTTP {answer.status}")
                if answer.status == 429:
                    self._rate.learn(60, _seconds(answer.headers.get("retry-after")))
                continue
            reply = _reply(self.url, answer.data)
            code = reply.get("code")
            if code == 0:
                return reply.get("data") or {}
            text = str(reply.get("msg") or reply.get("message") or "")
            fault = _fault(interface, code, text)
            if not isinstance(fault, RateLimited):
                raise fault
            if fault.retry_after > 120:  # an hour or a day: whoever schedules may come back
                raise fault
            self._rate.learn(fault.rate or 60, fault.retry_after)
        assert fault is not None
        raise fault


def _params(interface: Interface, wanted: Wanted, code: str | None) -> dict[str, str]:
    params = dict(wanted.each)
    if code is not None:
        params[interface.key[0]] = code
    elif wanted.codes:
        params[interface.key[0]] = ",".join(wanted.codes)
    if wanted.by == "whole":
        return params
    if wanted.by not in ("range", interface.key[0]):
        return {**params, wanted.by: wanted.start or ""}
    for name, day, clock in (("start_date", wanted.start, "00:00:00"), ("end_date", wanted.end, "23:59:59")):
        if day:
            moment = interface.time is not None and interface.time.type == "time"
            params[name] = f"{day[:4]}-{day[4:6]}-{day[6:]} {clock}" if moment else day
    return params


def _read_data(interface: Interface, data: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    names, rows = data.get("fields"), data.get("items")
    if names is None and rows is None:
        return interface.names, []
    listed = isinstance(names, list) and isinstance(rows, list) and all(isinstance(n, str) for n in names)
    if listed and all(isinstance(row, list) and len(row) == len(names or ()) for row in rows or ()):
        return names or [], rows or []
    raise BadData(interface.name, "the answer has rows that do not fit its fields")


def _reply(url: str, body: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(body)
    except ValueError:
        reply = None
    if not isinstance(reply, dict) or "code" not in reply:
        raise BackendUnavailable(f"{url} does not answer as Tushare does", hint="is this its address?")
    return reply


def _fault(interface: Interface, code: Any, text: str) -> PtolemyError:
    """Return the error that a code means; 40203 is a rate or a permission, and only its text tells."""
    if (found := _LIMIT.search(text)) is not None:
        seconds = _SECONDS[found[1]]
        fault = RateLimited(max(1, round(int(found[2]) * 60 / seconds)), seconds)
        fault.message = f"{interface.name}: {text}"
        return fault
    if code == 40101 or "token" in text.lower():
        return BadToken(f"the source does not know this token: {text}")
    if code in (2002, -2002) or "权限" in text or "积分" in text:
        refused = NoPermission(interface.name, ())
        refused.message, refused.hint = f"{interface.name}: {text}", "the source wants more points for it"
        return refused
    if isinstance(code, int) and str(code).startswith("402"):
        limited = RateLimited(60, 60.0)
        limited.message = f"{interface.name}: {text}"
        return limited
    return BadParam(f"{interface.name}: the source answers {code}: {text}")


def _seconds(header: str | None) -> float:
    return float(header) if header and header.isdecimal() else 60.0


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if TYPE_CHECKING:
    _fits: type[Source] = TushareSource
