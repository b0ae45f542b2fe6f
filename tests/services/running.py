"""The servers of this process: each started once, when first asked for, and all stopped at the end."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import tempfile
from pathlib import Path

from tests.services.process import Server, StartFailed, remove
from tests.services.table import SERVICES, Service

_PREFIX = "jiyuan-services-"


class Running:
    """Servers that are started once each; ``close`` stops them and removes their folder.

    A server is not started where the person has set all of its variables: those URLs are used instead.
    """

    def __init__(self) -> None:
        _sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        self.folder.chmod(0o711)  # a server that runs as another user must reach its own folder inside
        self._servers: dict[str, Server] = {}
        self._failed: dict[str, StartFailed] = {}
        atexit.register(self.close)

    def server(self, word: str) -> Server:
        """Return the server called `word`, not yet started; raise `Missing` where it is not installed."""
        if word not in self._servers:
            self._servers[word] = create(word, self.folder / word)
        return self._servers[word]

    def start(self, word: str) -> Server:
        """Return the server called `word` when it answers."""
        if word in self._failed:  # a hundred tests must not wait a minute each for the same failure
            raise self._failed[word]
        server = self.server(word)
        try:
            server.start()
        except StartFailed as exc:
            self._failed[word] = exc
            raise
        return server

    @property
    def started(self) -> list[Server]:
        """Return the servers that run now, in the order of their start."""
        return [server for server in self._servers.values() if server.pid is not None]

    def close(self) -> None:
        """Stop every server, newest first, and remove what they have written."""
        atexit.unregister(self.close)
        try:
            for server in reversed(self._servers.values()):
                server.stop()
                server.release_ports()
        except BaseException:  # a second Ctrl-C: no more patience, but nothing is left behind either
            for server in self._servers.values():
                server.kill()
            raise
        finally:
            self._servers.clear()
            remove(self.folder)


def create(word: str, folder: Path) -> Server:
    """Return a server of its own in `folder`, not yet started; raise `Missing` where it is not installed."""
    module = importlib.import_module(f"tests.services.{word}")
    kind: type[Server] = getattr(module, word.capitalize())
    return kind(folder)


def given(row: Service) -> dict[str, str]:
    """Return the URLs that the person has set for the variables of `row`."""
    return {variable: os.environ[variable] for variable in row.variables if os.environ.get(variable)}


def for_mark(mark: str) -> Service | None:
    """Return the row whose pytest marker is `mark`."""
    return next((row for row in SERVICES if row.mark == mark), None)


def _sweep() -> None:
    """Remove what a run that was killed has left; its servers died with it."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            with contextlib.suppress(OSError):
                remove(folder)
