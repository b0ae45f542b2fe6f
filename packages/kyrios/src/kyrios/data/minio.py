"""``minio://key:secret@host:9000/bucket/prefix?secure=false``: a bucket of any S3 server; ``s3://`` says the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kyrios._house.backends import BackendURL
from kyrios.data._keys import checked
from kyrios.data.port import Data
from kyrios.errors import BackendUnavailable, BadInput, MissingExtra, NotAllowed, NotFound

try:
    import botocore.exceptions  # type: ignore[import-not-found, import-untyped, unused-ignore]
    import s3fs  # type: ignore[import-not-found, import-untyped, unused-ignore]
except ModuleNotFoundError as exc:  # s3:// answers here too, and its extra is minio
    raise MissingExtra(
        f"data backend 'minio' needs {exc.name}, which is not installed", hint="pip install 'jiyuan-kyrios[minio]'"
    ) from exc

_SECONDS = 5.0


class MinioData:
    """One object for each key; a server that does not answer within some seconds is said to be unavailable."""

    def __init__(self, url: BackendURL) -> None:
        bucket, _, prefix = url.path.strip("/").partition("/")
        if not url.host or not bucket:
            raise BadInput(f"{url} names no host or no bucket", hint="minio://key:secret@host:9000/bucket?secure=false")
        self._shown = str(url)
        self._root = f"{bucket}/{prefix}".rstrip("/")
        scheme = "http" if url.query.get("secure", "true").lower() in ("false", "0") else "https"
        port = f":{url.port}" if url.port else ""
        self._s3 = s3fs.S3FileSystem(
            key=url.user or os.environ.get("AWS_ACCESS_KEY_ID"),
            secret=url.password or os.environ.get("AWS_SECRET_ACCESS_KEY"),
            endpoint_url=f"{scheme}://{url.host}{port}",
            # What another process has put must be seen at once.
            use_listings_cache=False,
            skip_instance_cache=True,
            client_kwargs={"region_name": url.query.get("region", "us-east-1")},
            config_kwargs={
                "connect_timeout": _SECONDS,
                "read_timeout": float(url.query.get("timeout", "30")),
                "retries": {"max_attempts": 1},
                "s3": {"addressing_style": "path"},
            },
        )

    @property
    def url(self) -> str:
        """The address without its secret."""
        return self._shown

    def put(self, key: str, data: bytes) -> None:
        """Keep `data` under `key`: an object is there whole or not at all."""
        path = self._path(key)
        with _translated(key):
            self._s3.pipe_file(path, bytes(data))

    def get(self, key: str) -> Any:
        """Return what is under `key`."""
        path = self._path(key)
        with _translated(key):
            return self._s3.cat_file(path)

    def has(self, key: str) -> bool:
        """Tell whether there is something under `key`."""
        path = self._path(key)
        try:
            with _translated(key):
                return bool(self._s3.info(path)["type"] == "file")
        except NotFound:
            return False

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys that begin with `prefix`, sorted."""
        folder = prefix.rpartition("/")[0]
        start = f"{self._root}/{folder}" if folder else self._root
        try:
            with _translated(prefix):
                found = [path.removeprefix(f"{self._root}/") for path in self._s3.find(start)]
        except NotFound:
            return []
        return sorted(key for key in found if key.startswith(prefix))

    def where(self, key: str) -> str:
        """Return ``s3://bucket/...``."""
        return f"s3://{self._path(key)}"

    def _path(self, key: str) -> str:
        return f"{self._root}/{checked(key)}"


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as exc:
        raise NotFound(f"there is nothing under {key!r}", hint="kyrios runs list") from exc
    except (PermissionError, botocore.exceptions.NoCredentialsError) as exc:
        raise NotAllowed(f"minio: {exc}", hint="kyrios config show --origin") from exc
    except (OSError, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as exc:
        raise BackendUnavailable(f"minio: {exc}", hint="kyrios doctor") from exc


if TYPE_CHECKING:
    _fits: type[Data] = MinioData
