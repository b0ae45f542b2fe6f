"""``consul://:token@host:8500/prefix``: parameters in Consul's key-value store.

``<prefix>/params/<name>/v/<n>`` holds a version, ``<prefix>/current/<name>`` the pointer; one transaction
of two operations writes both. A value may have 512 KB and a transaction as much in all, in Base64, so
that the bytes of a large version go into parts first, each named by the version's digest.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import consul  # type: ignore[import-untyped, import-not-found, unused-ignore]
import requests
from consul.exceptions import (  # type: ignore[import-untyped, import-not-found, unused-ignore]
    ACLDisabled,
    ACLPermissionDenied,
    ClientError,
    ConsulException,
)

from exia._house.backends import BackendURL
from exia.errors import BackendUnavailable, BadInput, ExiaError, NotAllowed, ParamsChanged, ParamsNotFound
from exia.params.port import Head, ParamStore, checked_name, digest_of

_PATIENCE = 2.0  # seconds for an answer, beyond the wait of a blocking query
_LONGEST = 10.0  # seconds of one blocking query
_WHOLE = 256_000  # bytes of a version that fit into a transaction, with a third more in Base64
_PART = 400_000  # bytes of one part of a larger one


class ConsulParams:
    """The server store; acknowledged when Consul's leader has committed."""

    def __init__(self, url: BackendURL) -> None:
        if not url.host:
            raise BadInput(f"{url} names no host", hint="consul://:token@127.0.0.1:8500")
        self._url = str(url)
        self._prefix = url.path.strip("/") or "exia"
        self._address = url
        self._local = threading.local()
        self._seen: dict[str, tuple[Head | None, int]] = {}

    def names(self) -> list[str]:
        start = f"{self._prefix}/current/"
        with self._translated():
            _, keys = self._client().kv.get(start, keys=True)
        return sorted(key.removeprefix(start) for key in keys or ())

    def head(self, name: str) -> Head | None:
        with self._translated():
            return self._head(name)[0]

    def body(self, name: str, version: int) -> bytes:
        with self._translated():
            found = self._value(f"{self._versions(name)}/{int(version)}")
            if found is None:
                raise ParamsNotFound(
                    f"there is no version {version} of parameters {name!r}", hint=f"exia params history {name}"
                )
            entry = json.loads(found)
            if "parts" not in entry:
                return base64.b64decode(entry["body"])
            parts = [self._value(self._part(name, entry["digest"], n)) for n in range(entry["parts"])]
        return b"".join(part or b"" for part in parts)  # whoever asked compares the whole with its digest

    def publish(self, name: str, version: int, body: bytes) -> None:
        new = Head(version, digest_of(body))
        with self._translated():
            entry: dict[str, Any] = {"digest": new.digest}
            if len(body) <= _WHOLE * 3 // 4:
                entry["body"] = base64.b64encode(body).decode()
            else:
                starts = range(0, len(body), _PART)
                for n, start in enumerate(starts):
                    self._put(self._part(name, new.digest, n), body[start : start + _PART])
                entry["parts"] = len(starts)
            try:
                self._move(name, new, json.dumps(entry).encode())
            except (requests.RequestException, ConsulException):
                # The line may have been cut before or after Consul did it: the pointer tells.
                time.sleep(0.1)
                if self._head(name)[0] != new:
                    self._move(name, new, json.dumps(entry).encode())

    def wait(self, name: str, seen: Head | None, timeout: float, stop: threading.Event) -> Head | None:
        end = time.monotonic() + timeout
        with self._translated():
            known = self._seen.get(name)
            index = known[1] if known and known[0] == seen else 0
            while True:
                left = min(end - time.monotonic(), _LONGEST)
                if index and left > 0:
                    found, at = self._head(name, index=index, wait=f"{max(1, int(left * 1000))}ms")
                else:
                    found, at = self._head(name)
                # An index that goes backwards, as after a restore, would wait for what never comes.
                index = max(at, 1) if at >= index else 0
                self._seen[name] = (found, index)
                if found != seen or time.monotonic() >= end or stop.is_set():
                    return found

    def ping(self) -> str:
        with self._translated():
            leader = self._client().status.leader()
            if not leader:
                raise BackendUnavailable(f"{self._url} has no leader", hint="consul operator raft list-peers")
        return f"{len(self.names())} sets, Consul with leader {leader}"

    def close(self) -> None:
        """Close this thread's connection; others close when their threads end."""
        client = getattr(self._local, "client", None)
        if client is not None:
            client.http.session.close()

    def _move(self, name: str, new: Head, entry: bytes) -> None:
        now, index = self._head(name, modified=True)
        if now == new:
            return
        if (now.version if now else 0) != new.version - 1:
            raise self._changed(name, now)
        pointer = json.dumps(new._asdict()).encode()
        operations = [
            _set(f"{self._versions(name)}/{new.version}", entry, 0),
            _set(self._pointer(name), pointer, index),
        ]
        try:
            self._client().txn.put(operations)
        except ClientError as exc:
            if not str(exc).startswith("409"):
                raise
            now = self._head(name)[0]
            if now != new:
                raise self._changed(name, now) from None

    def _changed(self, name: str, now: Head | None) -> ParamsChanged:
        return ParamsChanged(
            f"parameters {name!r} are at version {now.version if now else 0}: somebody changed them first",
            hint=f"exia params diff {name}",
        )

    def _head(self, name: str, *, modified: bool = False, **options: Any) -> tuple[Head | None, int]:
        """Return the head, with the index to wait from or, if asked for, that of its last change."""
        index, found = self._client().kv.get(self._pointer(name), **options)
        if found is None:
            return None, 0 if modified else int(index)
        entry = json.loads(found["Value"])
        return Head(entry["version"], entry["digest"]), found["ModifyIndex"] if modified else int(index)

    def _value(self, key: str) -> bytes | None:
        _, found = self._client().kv.get(key)
        return None if found is None else bytes(found["Value"] or b"")

    def _put(self, key: str, data: bytes) -> None:
        if not self._client().kv.put(key, data):
            raise BackendUnavailable(f"{self._url} did not take {key}", hint="exia doctor")

    def _client(self) -> Any:
        # One per thread: a session of requests is not for several, and a blocking query holds it.
        client = getattr(self._local, "client", None)
        if client is None:
            url = self._address
            secure = url.query.get("secure", "false").lower() in ("true", "1")
            client = consul.Consul(
                host=url.host,
                port=url.port or 8500,
                scheme="https" if secure else "http",
                dc=url.query.get("dc"),
                consistency="consistent",  # a stale follower must not tell a writer an old pointer
            )
            if url.password:  # before CONSUL_HTTP_TOKEN, which the client would prefer
                client.token = url.password
            client.http.connections_timeout = _PATIENCE
            self._local.client = client
        return client

    def _pointer(self, name: str) -> str:
        return f"{self._prefix}/current/{quote(checked_name(name))}"

    def _versions(self, name: str) -> str:
        return f"{self._prefix}/params/{quote(checked_name(name))}/v"

    def _part(self, name: str, digest: str, n: int) -> str:
        return f"{self._prefix}/params/{quote(checked_name(name))}/part/{digest}/{n}"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except ExiaError:
            raise
        except requests.RequestException as exc:
            refused = isinstance(exc, requests.ConnectionError) and not isinstance(exc, requests.Timeout)
            reason = "no connection" if refused else type(exc).__name__
            raise BackendUnavailable(f"{self._url} does not answer ({reason})", hint="is the server running?") from exc
        except (ACLPermissionDenied, ACLDisabled) as exc:
            raise NotAllowed(f"{self._url}: {exc}", hint="check the token and its policy") from exc
        except ConsulException as exc:
            reason = " ".join(str(exc).split())[:200]
            raise BackendUnavailable(f"{self._url} did not answer: {reason}", hint="exia doctor") from exc
        except (ValueError, KeyError, TypeError) as exc:
            raise BackendUnavailable(
                f"{self._url} holds what is no parameters: {type(exc).__name__}", hint="who else writes there?"
            ) from exc


def _set(key: str, value: bytes, index: int) -> dict[str, Any]:
    return {"KV": {"Verb": "cas", "Key": key, "Value": base64.b64encode(value).decode(), "Index": index}}


if TYPE_CHECKING:
    _fits: type[ParamStore] = ConsulParams
