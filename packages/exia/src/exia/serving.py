"""A pool over HTTP, by itself on this machine only: ``exia serve``.

=======  ==================  ==========================================================
GET      ``/``               the status page of the last hour
GET      ``/healthz``        whether it serves; with a token or without tokens, which version
GET      ``/methods``        the methods, name to signature and summary
GET      ``/stats``          the figures of the pool
GET      ``/metrics``        the same as Prometheus text
POST     ``/call/METHOD``    JSON arguments, a list by position or an object by name
=======  ==================  ==========================================================
"""

from __future__ import annotations

import json
import socket
import threading
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from time import perf_counter_ns
from typing import Any
from urllib.parse import unquote, urlsplit

from exia.errors import (
    BadInput,
    ConfigError,
    ExiaError,
    MethodNotFound,
    NotAllowed,
    NotFound,
    PoolBusy,
    PoolClosed,
    PoolTimeout,
    WrongArguments,
)
from exia.monitor import current
from exia.plain import plain
from exia.pooling.exporting import prometheus
from exia.pooling.pool import Pool
from exia.pooling.showing import figures
from exia.tokens import Token, Tokens

#: The largest body of a call, in bytes.
LARGEST = 64 * 1024 * 1024
_SHOWN = timedelta(hours=1)  # what the status page covers
_OURS = {"localhost", "127.0.0.1", "::1"}


class PoolServer(ThreadingHTTPServer):
    """Serves one pool on a port; it runs from entering to leaving its ``with``.

    A request is answered only if its Host is this server and its Origin, where a browser names one, too: a page
    from elsewhere cannot call through its visitor's browser. Once there is a token, and always beyond loopback,
    every caller needs one: ``Authorization: Bearer TOKEN``. The line is not encrypted.

    Parameters
    ----------
    pool
        What is called; the caller closes it.
    port
        0 takes a free one; see `url`.
    host
        Name or address to listen on.
    tokens
        By default those in Exia's home.

    Raises
    ------
    BadInput
        If the address cannot be taken, or is not on loopback and there is no token yet.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, pool: Pool[Any], port: int = 8200, host: str = "127.0.0.1", *, tokens: Tokens | None = None
    ) -> None:
        self.pool = pool
        self.tokens = tokens or Tokens()
        self.open = host == "localhost" or _loopback(host)
        if not self.open and not self.tokens.all():
            raise BadInput(
                f"{host} can be reached from other machines, and there is no token to ask for",
                hint="make one: exia token create NAME",
            )
        self.names = _OURS | {host.lower(), socket.gethostname().lower()}
        try:
            family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            self.address_family = family
            super().__init__((str(address[0]), port), _Handler)
        except socket.gaierror as exc:
            raise BadInput(f"{host} is no address of this machine: {exc.strerror}") from exc
        except OSError as exc:
            raise BadInput(f"port {port} cannot be taken: {exc.strerror}", hint="choose another: --port 0") from exc
        self._thread = threading.Thread(
            target=self.serve_forever, args=(0.05,), daemon=True, name=f"exia-serve-{self.server_port}"
        )

    @property
    def url(self) -> str:
        """Where it answers, such as ``http://127.0.0.1:8200``."""
        host = str(self.server_address[0])
        return f"http://[{host}]:{self.server_port}" if ":" in host else f"http://{host}:{self.server_port}"

    def __enter__(self) -> PoolServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: PoolServer
    protocol_version = "HTTP/1.1"
    server_version = "exia"
    sys_version = ""
    timeout = 30  # seconds that a connection may be silent
    token: Token | None = None  # what the caller has shown

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._call)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the pool counts, and a line per call would cost more than the call."""

    def _get(self) -> Any:
        pool, path = self.server.pool, urlsplit(self.path).path
        if path == "/":
            return _status_page()
        if path == "/healthz":
            status = {"status": "closed" if pool.closed else "ok"}
            return status | ({"pool": pool.name, "version": pool.version} if self.token or not self._asks() else {})
        if path == "/methods":
            return dict(pool.methods())
        if path == "/stats":
            return figures(pool)
        if path == "/metrics":
            return prometheus([pool])
        raise NotFound(f"there is no {path}", hint="GET /healthz, /methods, /stats or /metrics, or POST /call/METHOD")

    def _call(self) -> Any:
        arguments = self._body()
        path = urlsplit(self.path).path
        if not path.startswith("/call/"):
            raise NotFound(f"there is no {path}", hint="POST /call/METHOD")
        method = unquote(path.removeprefix("/call/"))
        if self.token is not None and not self.token.may_call(method):
            raise NotAllowed(
                f"token {self.token.id} may not call {method!r}", hint=f"it may call {', '.join(self.token.methods)}"
            )
        args, kwargs = (arguments, {}) if isinstance(arguments, list) else ([], arguments)
        began = perf_counter_ns()
        lease = self.server.pool.acquire()
        try:
            result = lease.call(method, *args, **kwargs)
            answer = {"result": plain(result), "version": lease.version}
        except (MethodNotFound, WrongArguments):
            lease.release()  # the caller's mistake; it says nothing against the version
            raise
        except BaseException as exc:
            lease.release(exc)
            if isinstance(exc, Exception):
                if (monitor := current()) is not None:
                    pool = self.server.pool.name
                    monitor.failed("call", exc, perf_counter_ns() - began, method=method, pool=pool)
                raise _CallFailed(f"{type(exc).__name__}: {exc}") from exc
            raise
        lease.release()
        return answer

    def _body(self) -> Any:
        if self.headers.get_content_type() != "application/json":
            # A page from elsewhere can send other types without asking first.
            raise BadInput("the body must be application/json", hint="send Content-Type: application/json")
        try:
            size = int(self.headers.get("Content-Length", ""))
        except ValueError:
            raise BadInput("the request has no Content-Length") from None
        if not 0 <= size <= LARGEST:
            raise _TooLarge(f"the body is {size} bytes, and {LARGEST} are the most")
        try:
            value = json.loads(self.rfile.read(size))
        except ValueError as exc:
            raise BadInput(f"the body is no JSON: {exc}") from None
        if not isinstance(value, list | dict):
            raise BadInput("the arguments are neither a list nor an object", hint='send [1, 2] or {"x": 1}')
        return value

    def _answer(self, work: Any) -> None:
        try:
            self._refuse_strangers()
            self._admit()
            status, body = HTTPStatus.OK, work()
        except ExiaError as exc:
            status, body = _status(exc), {"error": str(exc), "hint": exc.hint}
            self.close_connection = True  # what was not read of the body must not be taken for a request
        text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        data = text.encode()
        self.send_response(status)
        kind = "text/plain; version=0.0.4" if isinstance(body, str) else "application/json"
        kind = "text/html" if isinstance(body, _Html) else kind
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Bearer realm="exia"')
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.send_header("Retry-After", "1")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def _refuse_strangers(self) -> None:
        host = self.headers.get("Host", "")
        origin = self.headers.get("Origin")
        if not self._named(host) or (origin is not None and origin != f"http://{host}"):
            raise NotAllowed("this server answers only to its own name", hint=f"call it as {self.server.url}")

    def _named(self, header: str) -> bool:
        """Tell whether a Host header names this server; beyond loopback by any address that it may have."""
        try:
            host = (urlsplit(f"//{header}").hostname or "").lower()
            return host in self.server.names or (not self.server.open and bool(ip_address(host)))
        except ValueError:
            return False

    def _asks(self) -> bool:
        """Tell whether callers need a token."""
        return not self.server.open or bool(self.server.tokens.all())

    def _admit(self) -> None:
        """Refuse whoever needs a token and has none that is valid."""
        self.token = None
        if not self._asks():
            return
        scheme, _, text = self.headers.get("Authorization", "").partition(" ")
        self.token = self.server.tokens.find(text.strip()) if scheme.lower() == "bearer" else None
        if self.token is None and urlsplit(self.path).path != "/healthz":
            raise _Unauthorized("this server asks for a token", hint="Authorization: Bearer TOKEN; exia token create")


class _Html(str):
    """A page."""


class _Unauthorized(ExiaError):
    """The caller has shown no valid token."""


class _CallFailed(ExiaError):
    """The method raised."""


class _TooLarge(ExiaError):
    """The body is larger than allowed."""


def _status(exc: ExiaError) -> HTTPStatus:
    kinds: tuple[tuple[type[ExiaError], HTTPStatus], ...] = (
        (ConfigError, HTTPStatus.INTERNAL_SERVER_ERROR),
        (_Unauthorized, HTTPStatus.UNAUTHORIZED),
        (_TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        (NotFound, HTTPStatus.NOT_FOUND),
        (NotAllowed, HTTPStatus.FORBIDDEN),
        (BadInput, HTTPStatus.BAD_REQUEST),
        (PoolTimeout, HTTPStatus.SERVICE_UNAVAILABLE),
        (PoolBusy, HTTPStatus.SERVICE_UNAVAILABLE),
        (PoolClosed, HTTPStatus.SERVICE_UNAVAILABLE),
    )
    return next((status for kind, status in kinds if isinstance(exc, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)


def _status_page() -> _Html:
    from exia.monitor.page import REFRESH, recent_page

    monitor = current()
    if monitor is None:
        raise NotFound("no monitor runs in this server", hint="start it without --no-monitor")
    return _Html(recent_page(monitor.store, since=datetime.now(UTC) - _SHOWN, refresh=REFRESH))


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
