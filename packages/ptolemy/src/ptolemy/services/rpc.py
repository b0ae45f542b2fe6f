"""supervisord's XML-RPC with a time-out, over a Unix socket or TCP; nothing but the methods that we call."""

from __future__ import annotations

import base64
import http.client
import os
import socket
import xmlrpc.client
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ptolemy.errors import BackendUnavailable

BAD_NAME, ALREADY_STARTED, NOT_RUNNING, ALREADY_ADDED = 10, 60, 70, 90
_METHODS = frozenset(
    {
        "getState", "getPID", "getAllProcessInfo", "getProcessInfo", "startProcess", "stopProcess", "reloadConfig",
        "addProcessGroup", "removeProcessGroup", "stopProcessGroup", "tailProcessStdoutLog", "readProcessStdoutLog",
        "shutdown",
    }
)  # fmt: skip
_LARGEST = 32 << 20  # bytes of an answer; a stranger's may be endless


class Rpc:
    """One supervisord, at ``unix:///path`` or ``http://host:port``.

    Parameters
    ----------
    timeout
        Seconds for one call.
    """

    def __init__(self, url: str, user: str = "", password: str = "", timeout: float = 5.0) -> None:
        self.url, self.timeout = url, timeout
        self._parts = urlsplit(url)
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Content-Type": "text/xml"} | ({"Authorization": f"Basic {pair}"} if user or password else {})

    def call(self, method: str, *words: Any) -> Any:
        """Return the answer of ``supervisor.<method>``.

        Raises
        ------
        BackendUnavailable
            If there is no answer in time.
        xmlrpc.client.Fault
            If supervisord refuses.
        """
        if method not in _METHODS:
            raise ValueError(method)
        body = xmlrpc.client.dumps(words, f"supervisor.{method}").encode()
        connection = self._connection()
        try:
            connection.request("POST", "/RPC2", body, self._headers)
            answer = connection.getresponse()
            data = answer.read(_LARGEST)
            if answer.status != 200:
                why = f"{answer.status} {answer.reason}"
                raise BackendUnavailable(f"{self.url} answers with {why}", hint="check name and password of the node")
            return xmlrpc.client.loads(data)[0][0]
        except (BackendUnavailable, xmlrpc.client.Fault):
            raise
        except (OSError, http.client.HTTPException) as exc:
            late = isinstance(exc, TimeoutError)
            why = f"no answer within {self.timeout:g} s" if late else str(exc) or type(exc).__name__
            raise BackendUnavailable(f"{self.url}: {why}", hint="is supervisord running? ptolemy up") from None
        except Exception as exc:  # whoever answers there does not speak XML-RPC
            why = type(exc).__name__
            raise BackendUnavailable(f"{self.url} is no supervisord: {why}", hint="check its port") from None
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self._parts.scheme == "unix":
            return _UnixConnection(self._parts.path, self.timeout)
        return http.client.HTTPConnection(self._parts.hostname or "", self._parts.port or 9001, timeout=self.timeout)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = Path(path)

    def connect(self) -> None:
        # Through a descriptor, for the path of a socket may have 107 bytes only.
        place = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(f"/proc/self/fd/{place}/{self._path.name}")
        finally:
            os.close(place)
