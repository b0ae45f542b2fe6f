"""The HTTP server of ``kyrios serve``; it listens on loopback unless it is told another address."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from kyrios.errors import BadInput
from kyrios.serving.app import Service, application
from kyrios.serving.guard import Guard, is_loopback
from kyrios.serving.running import Runs
from kyrios.serving.shelf import Shelf
from kyrios.serving.tokens import Tokens


class FlowServer:
    """Serves flows on a port; it runs from entering to leaving its ``with``.

    Once there is a token, and always beyond loopback, every caller needs one. The line is not encrypted.

    Parameters
    ----------
    folders
        Folders of flows.
    port
        0 takes a free one; see `url`.
    names
        What ``Host`` may say besides addresses and this machine's name.
    out
        Folder of the files that callers may render; None where none are written.
    max_runs
        How many runs may be under way at once.

    Raises
    ------
    BadInput
        If the address cannot be taken, or is not on loopback and there is no token yet.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        port: int = 8300,
        host: str = "127.0.0.1",
        *,
        names: Sequence[str] = (),
        out: Path | None = None,
        max_runs: int = 4,
        tokens: Tokens | None = None,
    ) -> None:
        loopback = is_loopback(host)
        tokens = tokens or Tokens()
        if not loopback and not tokens.all():
            raise BadInput(
                f"{host} can be reached from other machines, and there is no token to ask for",
                hint="make one: kyrios token create NAME",
            )
        own = {"localhost", host.lower(), socket.gethostname().lower(), *(name.lower() for name in names)}
        self.service = Service(Shelf(folders), Runs(max_runs), Guard(tokens, loopback, own), out)
        try:
            self._server = _Server(host, port, application(self.service), _Handler)
        except (OSError, SystemExit) as exc:
            why = exc.strerror if isinstance(exc, OSError) else "it is in use"
            raise BadInput(f"{host}:{port} cannot be taken: {why}", hint="choose another: --port 0") from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True, name="kyrios-serve"
        )

    @property
    def url(self) -> str:
        """Where it answers, such as ``http://127.0.0.1:8300``."""
        host, port = self._server.server_address[:2]
        return f"http://[{host!s}]:{port}" if ":" in str(host) else f"http://{host!s}:{port}"

    def __enter__(self) -> FlowServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.service.runs.__exit__()
        self.service.follower.close()


class _Server(ThreadedWSGIServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128


class _Handler(WSGIRequestHandler):
    timeout = 30  # seconds that a connection may be silent

    def version_string(self) -> str:
        return "kyrios"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing: /metrics counts, and a line per request would hide what matters."""
