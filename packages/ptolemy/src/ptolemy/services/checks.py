"""Ask whether a program is ready, and how old is what must be fresh."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from ptolemy.services.port import Fresh, Ready

_PATIENCE = 1.0  # seconds for one answer


def is_ready(ready: Ready, started: float, now: float, said: Callable[[bytes], bool]) -> bool:
    """Tell whether a program that was started at `started` is ready.

    Parameters
    ----------
    started, now
        Seconds since 1970.
    said
        Tells whether its output since then holds a text.
    """
    if ready.tcp:
        host, _, port = ready.tcp.rpartition(":")
        return _connects(host.strip("[]"), int(port))
    if ready.http:
        return answers(ready.http)
    if ready.file:
        # A file system may round the time down to its own tick.
        return (modified(ready.file) or 0.0) >= started - 0.02
    if ready.log:
        return said(ready.log.encode())
    return now - started >= ready.after


def last_sign(fresh: Fresh, log: Path) -> float | None:
    """Return when what must be fresh last changed, or None if it never did."""
    if fresh.file:
        return modified(fresh.file)
    return modified(str(log)) if fresh.log else None


def modified(pattern: str) -> float | None:
    """Return when the newest file that fits `pattern` was written, or None if there is none."""
    import glob

    times = []
    for path in glob.iglob(pattern) if glob.has_magic(pattern) else [pattern]:  # noqa: PTH207 - absolute, with folders
        try:
            times.append(Path(path).stat().st_mtime)
        except OSError:  # gone meanwhile
            continue
    return max(times, default=None)


def answers(url: str) -> bool:
    """Tell whether `url` answers with a status below 400."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_PATIENCE)
    try:
        connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        return connection.getresponse().status < 400
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=_PATIENCE).close()
    except OSError:
        return False
    return True
