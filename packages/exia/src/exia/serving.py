"""A pool over HTTP, on this machine only: ``exia serve``.

=======  ==================  ==========================================================
GET      ``/healthz``        whether it serves, and which version
GET      ``/methods``        the methods, name to signature and summary
GET      ``/stats``          the figures of the pool
GET      ``/metrics``        the same as Prometheus text
POST     ``/call/METHOD``    JSON arguments, a list by position or an object by name
=======  ==================  ==========================================================
"""

from __future__ import annotations

import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from exia.errors import (
    BadInput,
    ExiaError,
    MethodNotFound,
    NotAllowed,
    NotFound,
    PoolBusy,
    PoolClosed,
    PoolTimeout,
    WrongArguments,
)
from exia.plain import plain
from exia.pooling.exporting import prometheus
from exia.pooling.pool import Pool
from exia.pooling.showing import figures

#: The largest body of a call, in bytes.
LARGEST = 64 * 1024 * 1024
_OURS = {"localhost", "127.0.0.1", "::1"}


class PoolServer(ThreadingHTTPServer):
    """Serves one pool on a loopback port; it runs from entering to leaving its ``with``.

    A request is answered only if its Host is this machine and its Origin, where a browser names one, is this
    server: a page from elsewhere cannot call through its visitor's browser. There are no tokens: whoever may
    open a loopback connection may call.

    Parameters
    ----------
    pool
        What is called; the caller closes it.
    port
        0 takes a free one; see `url`.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, pool: Pool[Any], port: int = 8200) -> None:
        self.pool = pool
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as exc:
            raise BadInput(f"port {port} cannot be taken: {exc.strerror}", hint="choose another: --port 0") from exc
        self._thread = threading.Thread(
            target=self.serve_forever, args=(0.05,), daemon=True, name=f"exia-serve-{self.server_port}"
        )

    @property
    def url(self) -> str:
        """Where it answers, such as ``http://127.0.0.1:8200``."""
        return f"http://127.0.0.1:{self.server_port}"

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

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._call)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the pool counts, and a line per call would cost more than the call."""

    def _get(self) -> Any:
        pool, path = self.server.pool, urlsplit(self.path).path
        if path == "/healthz":
            return {"status": "closed" if pool.closed else "ok", "pool": pool.name, "version": pool.version}
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
        args, kwargs = (arguments, {}) if isinstance(arguments, list) else ([], arguments)
        lease = self.server.pool.acquire()
        try:
            result = lease.call(unquote(path.removeprefix("/call/")), *args, **kwargs)
            answer = {"result": plain(result), "version": lease.version}
        except (MethodNotFound, WrongArguments):
            lease.release()  # the caller's mistake; it says nothing against the version
            raise
        except BaseException as exc:
            lease.release(exc)
            if isinstance(exc, Exception):
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
            status, body = HTTPStatus.OK, work()
        except ExiaError as exc:
            status, body = _status(exc), {"error": str(exc), "hint": exc.hint}
            self.close_connection = True  # what was not read of the body must not be taken for a request
        text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        data = text.encode()
        self.send_response(status)
        kind = "text/plain; version=0.0.4" if isinstance(body, str) else "application/json"
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.send_header("Retry-After", "1")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def _refuse_strangers(self) -> None:
        host = urlsplit(f"//{self.headers.get('Host', '')}")
        origin = self.headers.get("Origin")
        if host.hostname not in _OURS or (origin is not None and origin != f"http://{self.headers.get('Host')}"):
            raise NotAllowed("this server answers only to its own machine", hint=f"call it as {self.server.url}")


class _CallFailed(ExiaError):
    """The method raised."""


class _TooLarge(ExiaError):
    """The body is larger than allowed."""


def _status(exc: ExiaError) -> HTTPStatus:
    kinds: tuple[tuple[type[ExiaError], HTTPStatus], ...] = (
        (_TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        (NotFound, HTTPStatus.NOT_FOUND),
        (NotAllowed, HTTPStatus.FORBIDDEN),
        (BadInput, HTTPStatus.BAD_REQUEST),
        (PoolTimeout, HTTPStatus.SERVICE_UNAVAILABLE),
        (PoolBusy, HTTPStatus.SERVICE_UNAVAILABLE),
        (PoolClosed, HTTPStatus.SERVICE_UNAVAILABLE),
    )
    return next((status for kind, status in kinds if isinstance(exc, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
