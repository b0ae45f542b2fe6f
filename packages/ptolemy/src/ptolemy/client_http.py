"""Ask a service: Arrow over pooled connections, pages put together, errors as they were raised there."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import urllib3

from ptolemy.answers import Fields
from ptolemy.bars import PRO_BAR
from ptolemy.errors import BackendUnavailable, BadInput, PtolemyError, RateLimited
from ptolemy.http.faults import raised
from ptolemy.http.formats import ARROW
from ptolemy.series import Version

TRIES = 4
PATIENCE = 5.0  #: seconds that a call waits for its rate by itself; for longer it raises `RateLimited`
CONNECTIONS = 16
_AGAIN = (502, 503, 504)


class Service:
    """``ptolemy serve`` at `url`; several threads may use one."""

    def __init__(self, url: str, token: str, timeout: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            shown = parts.netloc.rpartition("@")[2]
            raise BadInput(f"{shown or url!r} is no address of a service", hint="url='http://127.0.0.1:8100'")
        self._url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._headers = {"accept": ARROW, "content-type": "application/json", "user-agent": "ptolemy"}
        if token:
            self._headers["authorization"] = f"Bearer {token}"
        self._pool = urllib3.PoolManager(
            maxsize=CONNECTIONS, retries=False, timeout=urllib3.Timeout(connect=min(timeout, 5.0), read=timeout)
        )
        self._names: list[str] | None = None

    def table(self, name: str, fields: Fields, parameters: Mapping[str, Any]) -> pa.Table:
        asked = {k: _plain(v) for k, v in parameters.items() if v is not None}
        if fields is not None:
            asked["fields"] = fields if isinstance(fields, str) else list(fields)
        pages = []
        while True:
            answer = self._ask("POST", f"/v1/{name}", asked)
            pages.append(pa.ipc.open_stream(pa.py_buffer(answer.data)).read_all())
            if not (cursor := answer.headers.get("x-next-cursor")):
                return pages[0] if len(pages) == 1 else pa.concat_tables(pages)
            asked["cursor"] = cursor

    def pro_bar(self, words: Mapping[str, Any]) -> pa.Table:
        words = dict(words)
        if "precision" in words and words["precision"] is None:
            words["precision"] = "full"
        return self.table(PRO_BAR, words.pop("fields", None), words)

    def versions(self, dataset: str) -> list[Version]:
        return [Version(**v) for v in self._json(f"/v1/datasets/{dataset}/versions")]

    def datasets(self) -> list[str]:
        return [v["dataset"] for v in self._json("/v1/datasets")]

    def names(self) -> list[str]:
        if self._names is None:
            self._names = [i["interface"] for i in self._json("/v1")]
        return self._names

    def close(self) -> None:
        self._pool.clear()

    def _json(self, path: str) -> Any:
        return json.loads(self._ask("GET", path, None).data)

    def _ask(self, method: str, path: str, asked: Mapping[str, Any] | None) -> urllib3.BaseHTTPResponse:
        """Ask until there is an answer: every question can be asked twice, for none changes anything."""
        body = None if asked is None else json.dumps(asked).encode()
        for left in reversed(range(TRIES)):
            try:
                answer = self._pool.request(method, self._url + path, body=body, headers=self._headers, redirect=False)
            except (urllib3.exceptions.HTTPError, OSError) as exc:
                fault: PtolemyError = BackendUnavailable(
                    f"the service {self._url} does not answer: {_reason(exc)}", hint="is it running? ptolemy serve"
                )
                fault.__cause__ = exc
            else:
                if answer.status == 200:
                    return answer
                fault = _fault(self._url, answer)
                wait = fault.retry_after if isinstance(fault, RateLimited) else None
                if wait is not None and left and wait <= PATIENCE:
                    time.sleep(wait * (1 + random.random() / 10))
                    continue
                if answer.status not in _AGAIN:
                    raise fault
            if not left:
                raise fault
            # Callers that failed together must not come back together.
            time.sleep(0.1 * 2 ** (TRIES - 1 - left) * (0.5 + random.random()))
        raise AssertionError("unreachable")


def _fault(url: str, answer: urllib3.BaseHTTPResponse) -> PtolemyError:
    try:
        document = json.loads(answer.data)
        if isinstance(document, dict) and "error" in document:
            return raised({k: v for k, v in document.items() if k != "status"})
    except ValueError:
        pass
    return BackendUnavailable(
        f"{url} answered HTTP {answer.status}, and not as a service of ptolemy does", hint="is this its address?"
    )


def _reason(exc: Exception) -> str:
    text = str(exc)
    return text.rpartition(": ")[2] if isinstance(exc, urllib3.exceptions.HTTPError) else text


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.strftime("%Y%m%d")
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str | Mapping) else value
