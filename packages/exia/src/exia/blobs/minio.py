"""``minio://key:secret@host:port/bucket/prefix?secure=false``: blobs as objects of any S3 server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from time import time
from typing import TYPE_CHECKING

import urllib3  # type: ignore[import-not-found, unused-ignore]
from minio import Minio  # type: ignore[import-not-found, unused-ignore]
from minio.error import MinioException, S3Error  # type: ignore[import-not-found, unused-ignore]

from exia._house.backends import BackendURL
from exia.blobs.port import BlobInfo, BlobStore, checked_digest, digest_of, verified
from exia.errors import BackendUnavailable, BadInput, BlobNotFound, NotAllowed, NotFound

_MISSING = ("NoSuchKey", "NoSuchObject")
_FORBIDDEN = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidAccessKey")
_HINT = "minio://key:secret@host:9000/bucket?secure=false"
_YOUNG = 600  # seconds in which an object counts as just put; a sweep spares what is an hour old


class MinioBlobs:
    """The server store; acknowledged when the server has taken the whole object.

    It has 1 s to take a connection; an answer may take the ``timeout`` of the URL's query, 30 s by
    default. A PUT of the same bytes to the same name changes nothing, so one that was cut is repeated.
    """

    remote = True

    def __init__(self, url: BackendURL) -> None:
        bucket, _, prefix = url.path.strip("/").partition("/")
        if not url.host or not bucket:
            raise BadInput(f"{url} names no host or no bucket", hint=_HINT)
        self._url = str(url)
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._http = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=1.0, read=_seconds(url)),
            retries=urllib3.Retry(total=2, connect=1, redirect=False, status=0, backoff_factor=0.1),
            maxsize=8,
            cert_reqs="CERT_REQUIRED",
        )
        try:
            self._s3 = Minio(
                f"{url.host}:{url.port}" if url.port else url.host,
                access_key=url.user or os.environ.get("AWS_ACCESS_KEY_ID"),
                secret_key=url.password or os.environ.get("AWS_SECRET_ACCESS_KEY"),
                secure=url.query.get("secure", "true").lower() not in ("false", "0"),
                region=url.query.get("region", "us-east-1"),  # without it the client asks the server first
                http_client=self._http,
            )
        except ValueError as exc:
            raise BadInput(f"{url}: {exc}", hint=_HINT) from None

    def put(self, data: bytes) -> str:
        digest = digest_of(data)
        with self._translated():
            try:
                there = self._s3.stat_object(self._bucket, self._key(digest))
                if (
                    there.size == len(data)
                    and there.last_modified
                    and time() - there.last_modified.timestamp() < _YOUNG
                ):
                    return digest
            except S3Error as exc:
                if exc.code not in _MISSING:
                    raise
            self._s3.put_object(self._bucket, self._key(digest), BytesIO(data), len(data))
        return digest

    def get(self, digest: str) -> bytes:
        with self._translated():
            try:
                answer = self._s3.get_object(self._bucket, self._key(digest))
            except S3Error as exc:
                if exc.code in _MISSING:
                    raise BlobNotFound(
                        f"blob {digest[:12]}... is not in {self._url}", hint="exia config show --origin"
                    ) from None
                raise
            try:
                data = bytes(answer.data)
                if "Content-Length" not in answer.headers:  # the line was cut among the headers
                    raise BackendUnavailable(f"{self._url} sent a part of blob {digest[:12]}...", hint="try again")
            finally:
                answer.close()
                answer.release_conn()
        return verified(data, digest, self._url)

    def has(self, digest: str) -> bool:
        with self._translated():
            try:
                self._s3.stat_object(self._bucket, self._key(digest))
            except S3Error as exc:
                if exc.code in _MISSING:
                    return False
                raise
        return True

    def delete(self, digest: str) -> None:
        with self._translated():
            self._s3.remove_object(self._bucket, self._key(digest))

    def blobs(self) -> Iterator[BlobInfo]:
        start = f"{self._prefix}blobs/"
        with self._translated():
            for found in self._s3.list_objects(self._bucket, prefix=start, recursive=True):
                modified = found.last_modified.timestamp() if found.last_modified else time()
                yield BlobInfo(str(found.object_name).rpartition("/")[2], found.size or 0, modified)

    def ping(self) -> str:
        with self._translated():
            if not self._s3.bucket_exists(self._bucket):
                raise NotFound(f"{self._url} has no bucket {self._bucket!r}", hint="make the bucket, or name another")
        return f"bucket {self._bucket}"

    def close(self) -> None:
        self._http.clear()

    def _key(self, digest: str) -> str:
        return f"{self._prefix}blobs/{checked_digest(digest)[:2]}/{digest}"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except S3Error as exc:
            if exc.code in _FORBIDDEN:
                raise NotAllowed(f"{self._url}: {exc.code}", hint="check the key and the secret") from exc
            if exc.code == "NoSuchBucket":
                raise NotFound(f"{self._url} has no bucket {self._bucket!r}", hint="make it, or name another") from exc
            raise BackendUnavailable(f"{self._url}: {exc.code}", hint="exia doctor") from exc
        except MinioException as exc:
            raise BackendUnavailable(f"{self._url}: {exc}", hint="exia doctor") from exc
        except ValueError as exc:  # the client's own rules, such as for a bucket's name
            raise BadInput(f"{self._url}: {exc}", hint=_HINT) from None
        except urllib3.exceptions.HTTPError as exc:
            cause = getattr(exc, "reason", None) or exc
            refused = isinstance(cause, urllib3.exceptions.NewConnectionError)
            reason = "no connection" if refused else type(cause).__name__
            raise BackendUnavailable(f"{self._url} does not answer ({reason})", hint="is the server running?") from exc


def _seconds(url: BackendURL) -> float:
    try:
        return float(url.query.get("timeout", "30"))
    except ValueError:
        raise BadInput(f"{url}: timeout is not a number of seconds") from None


if TYPE_CHECKING:
    _fits: type[BlobStore] = MinioBlobs
