"""``minio://key:secret@host:port/bucket/prefix?secure=false``: a store in a bucket of any S3 server."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

import urllib3  # type: ignore[import-not-found, unused-ignore]
from minio import Minio  # type: ignore[import-not-found, unused-ignore]
from minio.error import MinioException, S3Error  # type: ignore[import-not-found, unused-ignore]

from veda._house.backends import BackendURL
from veda._house.ids import uuid7
from veda.errors import BackendUnavailable, BadInput, Damaged, NotAllowed, NotFound
from veda.store.port import Store

_MISSING = ("NoSuchKey", "NoSuchObject")
_FORBIDDEN = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidAccessKey")


class MinioStore:
    """The layout of the ``file`` store as objects; a claim is a PUT that the server lets one writer win.

    The server has 1 s to take a connection and 1 s for its first answer; afterwards an answer
    may take the ``timeout`` of the URL's query, 30 s by default.
    """

    remote = True

    def __init__(self, url: BackendURL) -> None:
        bucket, _, prefix = url.path.strip("/").partition("/")
        if not url.host or not bucket:
            raise BadInput(f"{url} names no host or no bucket", hint="minio://key:secret@host:9000/bucket?secure=false")
        self._shown = str(url)
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._claims_proved = False
        wait = _seconds(url)
        self._http = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=1.0, read=1.0), retries=False, maxsize=8, cert_reqs="CERT_REQUIRED"
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
            raise BadInput(f"{url}: {exc}") from None
        try:
            with self._translated():
                there = self._s3.bucket_exists(bucket)
        except ValueError as exc:  # the client's own rules, such as for a bucket's name
            raise BadInput(f"{url}: {exc}", hint="minio://key:secret@host:9000/bucket?secure=false") from None
        if not there:
            raise NotFound(f"{url.host} has no bucket {bucket!r}", hint="make the bucket, or name another")
        # What goes to a store may be sent twice, so a connection that was cut is tried once more.
        again = urllib3.Retry(total=1, connect=0, redirect=False, status=0, backoff_factor=0.1)
        self._http.connection_pool_kw.update(timeout=urllib3.Timeout(connect=1.0, read=wait), retries=again)
        self._http.clear()

    def has_blob(self, digest: str) -> bool:
        """Ask for the object's head."""
        with self._translated():
            try:
                self._s3.stat_object(self._bucket, self._blob(digest))
            except S3Error as exc:
                if exc.code in _MISSING:
                    return False
                raise
        return True

    def put_blob(self, data: bytes) -> str:
        """Send an object unless it is there."""
        from io import BytesIO

        digest = hashlib.sha256(data).hexdigest()
        if not self.has_blob(digest):
            with self._translated():
                self._s3.put_object(self._bucket, self._blob(digest), BytesIO(data), len(data))
        return digest

    def get_blob(self, digest: str) -> bytes:
        """Read an object and compare it with its name."""
        data = self._get(self._blob(digest), f"blob {digest[:12]}...")
        if hashlib.sha256(data).hexdigest() != digest:
            raise Damaged(f"blob {digest[:12]}... in {self._shown} is damaged", hint="delete it, then push it again")
        return data

    def claim(self, name: str, version: str, data: bytes) -> bytes:
        """PUT with ``If-None-Match: *``; refuse a server that ignores it, because two writers could then win."""
        if not self._claims_proved:
            probe = f"{self._prefix}probes/{uuid7()}"
            self._create(probe, b"1")
            if self._create(probe, b"2"):
                raise NotAllowed(
                    f"{self._shown} does not keep a version to its first writer (it ignores If-None-Match)",
                    hint="use an S3 server with conditional writes, such as SeaweedFS 4.17 or newer",
                )
            with self._translated():
                self._s3.remove_object(self._bucket, probe)
            self._claims_proved = True
        self._create(self._claim(name, version), data)
        return self.get_claim(name, version)

    def get_claim(self, name: str, version: str) -> bytes:
        """Read a claim."""
        return self._get(self._claim(name, version), f"{name}@{version}")

    def versions(self, name: str) -> list[str]:
        """List the claims of a package."""
        start = f"{self._prefix}versions/{name}/"
        with self._translated():
            found = self._s3.list_objects(self._bucket, prefix=start, recursive=True)
            return [str(o.object_name).removeprefix(start) for o in found]

    def close(self) -> None:
        """Close the connections."""
        self._http.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _create(self, key: str, data: bytes) -> bool:
        """Write an object if there is none; tell whether this call did."""
        with self._translated():
            # The client's put_object takes no headers; a signed URL does.
            address = self._s3.presigned_put_object(self._bucket, key, expires=timedelta(minutes=5))
            answer = self._http.request("PUT", address, body=data, headers={"If-None-Match": "*"})
        if answer.status in (409, 412):
            return False
        if answer.status == 403:
            raise NotAllowed(f"{self._shown} does not let this key write", hint="check the key and its policy")
        if answer.status != 200:
            raise BackendUnavailable(f"{self._shown} answered {answer.status} to a claim", hint="veda doctor")
        return True

    def _get(self, key: str, what: str) -> bytes:
        with self._translated():
            try:
                answer = self._s3.get_object(self._bucket, key)
            except S3Error as exc:
                if exc.code in _MISSING:
                    raise NotFound(f"{what} is not in {self._shown}", hint="veda push it") from None
                raise
            try:
                return bytes(answer.data)
            finally:
                answer.close()
                answer.release_conn()

    def _blob(self, digest: str) -> str:
        return f"{self._prefix}blobs/sha256/{digest[:2]}/{digest}"

    def _claim(self, name: str, version: str) -> str:
        return f"{self._prefix}versions/{name}/{version}"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except S3Error as exc:
            if exc.code in _FORBIDDEN:
                raise NotAllowed(f"{self._shown}: {exc.code}", hint="check the key and the secret") from exc
            raise BackendUnavailable(f"{self._shown}: {exc.code}", hint="veda doctor") from exc
        except MinioException as exc:
            raise BackendUnavailable(f"{self._shown}: {exc}", hint="veda doctor") from exc
        except urllib3.exceptions.HTTPError as exc:
            cause = getattr(exc, "reason", None) or exc
            refused = isinstance(cause, urllib3.exceptions.NewConnectionError)
            reason = "no connection" if refused else type(cause).__name__
            raise BackendUnavailable(
                f"{self._shown} does not answer ({reason})", hint="is the server running?"
            ) from exc


def _seconds(url: BackendURL) -> float:
    try:
        return float(url.query.get("timeout", "30"))
    except ValueError:
        raise BadInput(f"{url}: timeout is not a number of seconds") from None


if TYPE_CHECKING:
    _fits: type[Store] = MinioStore
