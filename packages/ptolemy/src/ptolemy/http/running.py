"""Run the service: its address is taken before anything else, so that a port in use is said and not retried."""

from __future__ import annotations

import gc
import json
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptolemy._house.config import home
from ptolemy.errors import BadInput, Conflict, MissingExtra

if TYPE_CHECKING:
    from ptolemy.http.service import Service

TOKENS = "tokens.json"
PREFIX = "ptl"
_WORKER = "PTOLEMY_SERVE_WORKER"  # how one of several workers learns what it serves


@dataclass(frozen=True)
class Serving:
    """How the service runs.

    Parameters
    ----------
    names
        What ``Host`` may bear besides addresses.
    push
        Whether rows may be sent to it; then it is the store's writer.
    push_socket
        Path of a socket of this machine that takes rows too; empty for none.
    """

    series: str | None = None
    host: str = "127.0.0.1"
    port: int = 8100
    names: tuple[str, ...] = ()
    workers: int = 1
    max_rows: int = 200_000
    push: bool = False
    push_socket: str = ""
    web: bool = False

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def service(self) -> Service:
        """Open the store and the tokens."""
        from ptolemy.http.service import Service
        from ptolemy.series import open_series

        names = {"localhost", self.host.lower(), *(name.lower() for name in self.names)}
        series = open_series(self.series)
        intake = None
        if self.push or self.push_socket:
            from ptolemy.journal import Journal
            from ptolemy.pushing import Intake
            from ptolemy.retention import retention

            intake = Intake(series, Journal(), retention=retention())
        return Service(
            series, open_tokens(), loopback=self.loopback, hosts=names, max_rows=self.max_rows,
            share=1 / self.workers, intake=intake,
        )  # fmt: skip


def open_tokens() -> Any:
    """Return the tokens in the home folder."""
    from ptolemy.http.tokens import Tokens

    return Tokens(home() / TOKENS, PREFIX)


def serve(serving: Serving, ready: Callable[[str, bool], None]) -> None:
    """Serve until a signal ends it; `ready` is told the URL, and whether any token is taken, when calls are answered.

    Raises
    ------
    MissingExtra
        If the server's packages are not installed.
    Conflict
        If the port is taken.
    """
    try:
        import uvicorn

        from ptolemy.http.app import application
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] == "ptolemy":
            raise
        raise MissingExtra(
            f"ptolemy serve needs {exc.name}, which is not installed", hint="pip install 'jiyuan-ptolemy[serve]'"
        ) from exc
    options: dict[str, Any] = {
        "access_log": False, "log_level": "warning", "server_header": False, "timeout_graceful_shutdown": 10,
        "ws": "websockets-sansio", "ws_max_size": 1 << 20,
    }  # fmt: skip
    if serving.workers > 1 and (serving.push or serving.push_socket):
        raise BadInput("only one worker can take rows, for a store has one writer", hint="--workers 1")
    if serving.workers > 1 and serving.web:
        raise BadInput("only one worker can show the page, for whoever signs in is known to one", hint="--workers 1")
    service = serving.service()
    _settle()
    with service.series, ExitStack() as opened_ones:
        service.series.datasets()  # a store that cannot be opened is said here, and not by each call
        with _listen(serving.host, serving.port) as listening:
            url = f"http://{_shown(serving.host)}:{listening.getsockname()[1]}"
            if serving.workers > 1:
                from uvicorn.supervisors import Multiprocess

                os.environ[_WORKER] = json.dumps(asdict(serving))
                config = uvicorn.Config("ptolemy.http.running:worker", factory=True, workers=serving.workers, **options)
                ready(url, service.open)
                Multiprocess(config, sockets=[listening]).run()
                return

            end = _taking(service, serving.push_socket)
            page = opened_ones.enter_context(_page(serving, service)) if serving.web else None
            app = application(service)
            if page is not None:
                from ptolemy.web.app import application as web

                app = application(service, web(page))

            class Server(uvicorn.Server):
                async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                    await super().startup(sockets)
                    ready(url, service.open)

                async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
                    if page is not None:
                        page.ended = True  # a page that listens would be waited for
                    await super().shutdown(sockets)
                    end()  # the signal that ended the service ends the process before `run` returns

            Server(uvicorn.Config(app, **options)).run(sockets=[listening])


def _page(serving: Serving, service: Service) -> Any:
    """Open the page of the centre over the same store and tokens."""
    from ptolemy.web.running import Watching, opened

    return opened(Watching(serving.host, names=serving.names, store=serving.series), service.metrics.calls)


def _taking(service: Service, path: str) -> Callable[[], None]:
    """Take rows at a socket, if one is named; return what ends it."""
    if service.intake is None or not path:
        return lambda: None
    from ptolemy.pushing import PushSocket

    return PushSocket(service.intake, Path(path)).close


def _settle() -> None:
    """Keep the collector of garbage off what is there for good: a call's rows would have it look through all of it."""
    gc.collect()
    gc.freeze()


def worker() -> Any:
    """Return the application of one of several workers."""
    from ptolemy.http.app import application

    _settle()
    given = json.loads(os.environ[_WORKER])
    return application(Serving(**{**given, "names": tuple(given["names"])}).service())


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as exc:
        if isinstance(exc, OSError) and exc.errno in (98, 48):
            raise Conflict(f"port {port} of {host} is taken", hint=f"ptolemy serve --port {port + 1}") from None
        raise BadInput(f"{host}:{port} cannot be listened on: {exc}", hint="--host 127.0.0.1 --port 8100") from None


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
