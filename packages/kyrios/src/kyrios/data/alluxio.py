"""``alluxio://worker:28080?under=file:///srv/kyrios``: reads through Alluxio's cache, writes below it.

``under`` is the place that Alluxio caches, as another data URL (``file``, or ``minio`` with its secret in the
environment). Without a worker, ``alluxio://?under=...``, reads go below the cache too. This adapter exists because
``alluxiofs`` alone does not know its own scheme, fails on a worker without a port, waits for ever, and does not read
below the cache where a worker is gone or gives too little.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from alluxiofs import AlluxioFileSystem  # type: ignore[import-not-found, import-untyped, unused-ignore]

from kyrios._house.backends import BackendURL
from kyrios.data.port import Data
from kyrios.errors import BadInput

_PORT = 28080
_SECONDS = 10.0  # for one table through the cache
_log = logging.getLogger(__name__)


class AlluxioData:
    """The under-store, with Alluxio before it for tables, which never change once they are written."""

    def __init__(self, url: BackendURL) -> None:
        from kyrios.data import open_data

        under = url.query.get("under", "")
        if under.partition(":")[0] not in ("file", "minio", "s3"):
            hint = "alluxio://worker:28080?under=file:///srv/kyrios"
            raise BadInput(f"{url} does not say what is below the cache", hint=hint)
        self._shown = str(url)
        self._under = open_data(under)
        self._alluxio: Any = None
        if url.host:
            quiet = logging.getLogger("kyrios.alluxiofs")
            quiet.addHandler(logging.NullHandler())
            quiet.propagate = False
            system = AlluxioFileSystem(
                target_protocol="file" if under.startswith("file") else "s3",
                worker_hosts=f"{url.host}:{url.port or _PORT}",
                worker_http_port=url.port or _PORT,
                logger=quiet,
                skip_instance_cache=True,
            )
            self._alluxio = system.alluxio

    @property
    def url(self) -> str:
        """The address without a secret."""
        return self._shown

    def put(self, key: str, data: bytes) -> None:
        """Keep `data` under `key`, below the cache."""
        self._under.put(key, data)

    def get(self, key: str) -> Any:
        """Return what is under `key`, from the cache if that has it whole."""
        # A record may be written again, and a cache would go on giving the old one.
        if self._alluxio is not None and key.endswith(".arrow"):
            where = self._under.where(key)
            path = where if "://" in where else f"file://{where}"
            data = _within(_SECONDS, lambda: self._whole(path))
            if data is not None:
                return data
            _log.info("alluxio: %s is read below the cache", key)
        return self._under.get(key)

    def _whole(self, path: str) -> bytes | None:
        # By chunks: reads of a range go to a port that the client has fixed, whatever the worker's is.
        data = bytes(self._alluxio.read(path))
        return data if data and len(data) == int(self._alluxio.get_file_status(path).size) else None

    def has(self, key: str) -> bool:
        """Tell whether there is something under `key`."""
        return self._under.has(key)

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys that begin with `prefix`, sorted."""
        return self._under.keys(prefix)

    def where(self, key: str) -> str:
        """Return where `key` is below the cache."""
        return self._under.where(key)


def _within(seconds: float, call: Callable[[], bytes | None]) -> bytes | None:
    """Return what `call` returns, or None where it raises or takes longer; the client itself waits for ever."""
    found: list[bytes | None] = []

    def work() -> None:
        with suppress(Exception):  # the client raises bare ones
            found.append(call())

    thread = threading.Thread(target=work, daemon=True, name="kyrios-alluxio")
    thread.start()
    thread.join(seconds)
    return found[0] if found else None


if TYPE_CHECKING:
    _fits: type[Data] = AlluxioData
