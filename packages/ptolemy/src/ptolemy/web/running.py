"""Run the page: open what it shows, listen, and end with a signal."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptolemy._house.config import home, load_config
from ptolemy.errors import BadInput, Conflict, MissingExtra, NotFound

if TYPE_CHECKING:
    from ptolemy.services import Component
    from ptolemy.web.more import More


@dataclass(frozen=True)
class Watching:
    """How the page runs; `names` are those that ``Host`` may bear besides addresses."""

    host: str = "127.0.0.1"
    port: int = 8101
    names: tuple[str, ...] = ()
    services: str | None = None
    store: str | None = None
    webhook: str = ""
    grace: float = 5.0


def serve(watching: Watching, ready: Callable[[str, bool], None], more: More | None = None) -> None:
    """Show the page until a signal ends it; `ready` is told its URL, and whether no token is asked for.

    Parameters
    ----------
    more
        Views of another package; its command is ``<name in lower case> web``.

    Raises
    ------
    MissingExtra
        If the server's packages are not installed.
    Conflict
        If the port is taken.
    """
    try:
        import uvicorn

        from ptolemy.web.app import application
        from ptolemy.web.more import NOTHING
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] == "ptolemy":
            raise
        raise MissingExtra(
            f"ptolemy web needs {exc.name}, which is not installed", hint="pip install 'jiyuan-ptolemy[serve]'"
        ) from exc
    shown = more or NOTHING
    command = f"{shown.name.lower()} web"
    with opened(watching) as page, _listen(watching.host, watching.port, command) as listening:
        url = (
            f"http://{f'[{watching.host}]' if ':' in watching.host else watching.host}:{listening.getsockname()[1]}/web"
        )

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                ready(url, page.sessions.is_open)

        options: dict[str, Any] = {
            "access_log": False, "log_level": "warning", "server_header": False, "timeout_graceful_shutdown": 1,
        }  # fmt: skip
        Server(uvicorn.Config(application(page, shown), **options)).run(sockets=[listening])


@contextlib.contextmanager
def opened(watching: Watching, quotas: Callable[[], dict[str, int] | None] | None = None) -> Any:
    """Give the page that `watching` describes, with its threads running; `quotas` counts the calls answered."""
    from ptolemy.http.running import Serving, open_tokens
    from ptolemy.services import find_definition, open_services, read_components
    from ptolemy.web.alerts import Alerts
    from ptolemy.web.app import Page
    from ptolemy.web.audit import Audit
    from ptolemy.web.board import Board
    from ptolemy.web.sessions import Sessions

    def components() -> list[Component]:
        try:
            return read_components(find_definition())
        except NotFound:  # a page of data sets and tokens alone is one too
            return []

    folder = home() / "web"
    tokens = open_tokens()
    with open_services(watching.services) as services:
        board = Board(services, components(), components)
        alerts = Alerts(folder, board.states, watching.webhook, watching.grace)
        loopback = Serving(host=watching.host).loopback
        page = Page(
            board, alerts, Audit(folder), tokens, Sessions(tokens, loopback), watching.store,
            frozenset({"localhost", watching.host.lower(), *(n.lower() for n in watching.names)}),
            bool(watching.webhook), quotas or calls_answered,
        )  # fmt: skip
        board.start()
        alerts.start()
        try:
            yield page
        finally:
            board.close()
            alerts.close()


def read_webhook(path: Path) -> str:
    """Return the URL in `path`, which may hold a secret and so is no argument; raise `BadInput` if it is none."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise BadInput(f"{path} cannot be read: {getattr(exc, 'strerror', None) or exc}", hint="chmod 600 it") from None
    if not text.startswith(("http://", "https://")) or len(text.split()) != 1:
        raise BadInput(f"{path} holds no URL", hint="write https://... into it")
    return text


def calls_answered() -> dict[str, int] | None:
    """Return how many calls of each interface the configured service has answered, or None if there is none."""
    import re
    import urllib.request

    from ptolemy.settings import SETTINGS

    server = load_config(SETTINGS, strict=False).text("server")
    if not server.startswith(("http://", "https://")):
        return None
    try:
        with urllib.request.urlopen(f"{server.rstrip('/')}/metrics", timeout=1) as answer:
            text = answer.read(1 << 20).decode("utf-8", "replace")
    except (OSError, ValueError):
        return None
    found: dict[str, int] = {}
    for name, count in re.findall(
        r'^ptolemy_requests_total\{[^}]*interface="([^"]*)"[^}]*\} (\d+)', text, re.MULTILINE
    ):
        found[name] = found.get(name, 0) + int(count)
    return found


def _listen(host: str, port: int, command: str) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as exc:
        if isinstance(exc, OSError) and exc.errno in (98, 48):
            raise Conflict(f"port {port} of {host} is taken", hint=f"{command} --port {port + 1}") from None
        raise BadInput(f"{host}:{port} cannot be listened on: {exc}", hint="--host 127.0.0.1 --port 8101") from None
