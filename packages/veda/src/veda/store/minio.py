"""``minio://key:secret@host:port/bucket/prefix?secure=false``: a store in a bucket of any S3 server."""

from __future__ import annotations

import builtins
import hashlib
import os
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import urllib3  # type: ignore[import-not-found, unused-ignore]
from minio import Minio  # type: ignore[import-not-found, unused-ignore]
from minio.credentials.credentials import Credentials  # type: ignore[import-not-found, unused-ignore]
from minio.error import MinioException, S3Error  # type: ignore[import-not-found, unused-ignore]
from minio.signer import sign_v4_s3  # type: ignore[import-not-found, unused-ignore]

from veda._house.backends import BackendURL
from veda._house.ids import uuid7
from veda.errors import BackendUnavailable, BadInput, Damaged, NotAllowed, NotFound
from veda.store.port import MAX_OBJECT, Entry, Store

_MISSING = ("NoSuchKey", "NoSuchObject")
_PAGE = 1000  # keys of one page of a listing
_WORKERS = 8
_FORBIDDEN = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidAccessKey")


class MinioStore:
    """The layout of the ``file`` store as objects; a claim is a PUT that the server lets one writer win.

    The server has 1 s to take a connection and 1 s for its first answer; afterwards it may be silent
    for the ``timeout`` of the URL's query, 30 s by default, and once that time is over it must have
    sent ``min_rate`` bytes a second, 4096 by default: a server that trickles must not hold a pull up.
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
        self._wait = wait = _number(url, "timeout", 30)
        self._rate = _number(url, "min_rate", 4096)
        self._http = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=1.0, read=1.0), retries=False, maxsize=8, cert_reqs="CERT_REQUIRED"
        )
        key = url.user or os.environ.get("AWS_ACCESS_KEY_ID")
        secret = url.password or os.environ.get("AWS_SECRET_ACCESS_KEY")
        self._credentials = Credentials(key, secret) if key and secret else None
        self._region = url.query.get("region", "us-east-1")  # without it the client asks the server first
        try:
            self._s3 = Minio(
                f"{url.host}:{url.port}" if url.port else url.host,
                access_key=key,
                secret_key=secret,
                secure=url.query.get("secure", "true").lower() not in ("false", "0"),
                region=self._region,
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

    def missing(self, digests: Collection[str]) -> set[str]:
        """Ask for one page of the listing, and for the head of each blob where one page is not all."""
        with self._translated():
            start = f"{self._prefix}blobs/sha256/"
            listing = self._s3.list_objects(self._bucket, prefix=start, recursive=True)
            there = {str(o.object_name).rpartition("/")[2] for o in islice(listing, _PAGE + 1)}
        if len(there) <= _PAGE:
            return set(digests) - there
        asked = set(digests) - there
        with ThreadPoolExecutor(_WORKERS) as pool:
            return {
                digest for digest, is_there in zip(asked, pool.map(self.has_blob, asked), strict=True) if not is_there
            }

    def put_blob(self, data: bytes, digest: str = "") -> str:
        """Send an object; its signature says the digest, which a server may compare."""
        digest = digest or hashlib.sha256(data).hexdigest()
        status = self._put(self._blob(digest), data, digest, {})
        if status != 200:
            raise BackendUnavailable(f"{self._shown} answered {status} to a blob", hint="veda doctor")
        return digest

    def get_blob(self, digest: str, limit: int | None = None) -> bytes:
        """Read an object and compare it with its name."""
        data, _ = self._get(self._blob(digest), f"blob {digest[:12]}...", limit)
        if hashlib.sha256(data).hexdigest() != digest:
            raise Damaged(f"blob {digest[:12]}... in {self._shown} is damaged", hint="delete it, then push it again")
        return data

    def claim(self, name: str, version: str, data: bytes) -> bytes:
        """PUT with ``If-None-Match: *``; refuse a server that ignores it, because two writers could then win."""
        self._prove()
        self._write(self._claim(name, version), data, {"If-None-Match": "*"})
        return self.get_claim(name, version)

    def get_claim(self, name: str, version: str) -> bytes:
        """Read a claim."""
        return self._get(self._claim(name, version), f"{name}@{version}", MAX_OBJECT)[0]

    def versions(self, name: str) -> builtins.list[str]:
        """List the claims of a package."""
        start = f"{self._prefix}versions/{name}/"
        with self._translated():
            found = self._s3.list_objects(self._bucket, prefix=start, recursive=True)
            return [str(o.object_name).removeprefix(start) for o in found]

    def read(self, key: str) -> tuple[bytes, str]:
        """Read an object; its mark is its ETag."""
        data, mark = self._get(f"{self._prefix}{key}", key, MAX_OBJECT)
        if len(data) > MAX_OBJECT:
            raise Damaged(f"{key} in {self._shown} is larger than {MAX_OBJECT} bytes")
        return data, mark

    def replace(self, key: str, data: bytes, mark: str | None) -> bool:
        """PUT with ``If-Match`` or ``If-None-Match``."""
        self._prove()
        return self._write(f"{self._prefix}{key}", data, {"If-None-Match": "*"} if mark is None else {"If-Match": mark})

    def list(self, prefix: str) -> builtins.list[Entry]:
        """Ask for the listing, page after page."""
        with self._translated():
            found = self._s3.list_objects(self._bucket, prefix=f"{self._prefix}{prefix}", recursive=True)
            return sorted(
                (
                    Entry(
                        str(o.object_name).removeprefix(self._prefix),
                        int(o.size or 0),
                        o.last_modified.timestamp() if o.last_modified else 0.0,
                    )
                    for o in found
                ),
                key=lambda e: e.key,
            )

    def remove(self, key: str) -> None:
        """DELETE the object."""
        with self._translated():
            self._s3.remove_object(self._bucket, f"{self._prefix}{key}")

    def close(self) -> None:
        """Close the connections."""
        self._http.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _prove(self) -> None:
        """Refuse a server that ignores conditions, because two writers could then win."""
        if self._claims_proved:
            return
        probe = f"{self._prefix}probes/{uuid7()}"
        self._write(probe, b"1", {"If-None-Match": "*"})
        again = self._write(probe, b"2", {"If-None-Match": "*"})
        other = self._write(probe, b"3", {"If-Match": '"00000000000000000000000000000000"'})
        with self._translated():
            self._s3.remove_object(self._bucket, probe)
        if again or other:
            ignored = "If-None-Match" if again else "If-Match"
            raise NotAllowed(
                f"{self._shown} does not keep a version to its first writer (it ignores {ignored})",
                hint="use an S3 server with conditional writes, such as SeaweedFS 4.17 or newer",
            )
        self._claims_proved = True

    def _write(self, key: str, data: bytes, condition: dict[str, str]) -> bool:
        """Write an object on a condition; tell whether it held."""
        status = self._put(key, data, hashlib.sha256(data).hexdigest(), condition)
        if status in (404, 409, 412):  # 404: If-Match where there is nothing
            return False
        if status != 200:
            raise BackendUnavailable(f"{self._shown} answered {status} to a claim", hint="veda doctor")
        return True

    def _put(self, key: str, data: bytes, digest: str, headers: Mapping[str, str]) -> int:
        """Send an object and return the status of the answer.

        The client's own ``put_object`` takes no conditions, and hashes again what has its digest for a name.
        """
        with self._translated():
            # The address without its signature, which says nothing about the body: the client knows those of every S3.
            address = urlsplit(self._s3.presigned_put_object(self._bucket, key))._replace(query="")
            date = datetime.now(UTC)
            told: dict[str, Any] = {"x-amz-content-sha256": digest, "x-amz-date": f"{date:%Y%m%dT%H%M%SZ}", **headers}
            if self._credentials:
                told = sign_v4_s3(
                    method="PUT",
                    url=address,
                    region=self._region,
                    headers={**told, "Host": address.netloc},
                    credentials=self._credentials,
                    content_sha256=digest,
                    date=date,
                )
            status = self._http.request("PUT", address.geturl(), body=data, headers=told).status
        if status == 403:
            raise NotAllowed(f"{self._shown} does not let this key write", hint="check the key and its policy")
        return int(status)

    def _get(self, key: str, what: str, limit: int | None) -> tuple[bytes, str]:
        with self._translated():
            try:
                answer = self._s3.get_object(self._bucket, key)
            except S3Error as exc:
                if exc.code in _MISSING:
                    raise NotFound(f"{what} is not in {self._shown}", hint="veda push it") from None
                raise
            try:
                # A line that is cut among the headers leaves an answer without a length: its body is no object.
                declared = int(answer.headers.get("Content-Length") or -1)
                if declared < 0:
                    raise BackendUnavailable(f"{self._shown} sent a part of {what}", hint="try again")
                if limit is not None and declared > limit:
                    raise Damaged(f"{what} in {self._shown} has {declared} bytes, more than the {limit} it may have")
                return self._stream(answer, what, limit), answer.headers.get("ETag", "")
            except BaseException:
                answer.close()  # what is left of an answer must not stay in the connection
                raise
            finally:
                answer.release_conn()

    def _stream(self, answer: Any, what: str, limit: int | None) -> bytes:
        began, held = time.monotonic(), bytearray()
        # read1 gives what is there; read would wait for a whole piece, however slowly it trickles.
        while piece := answer.read1(1 << 20):
            held += piece
            if limit is not None and len(held) > limit:
                raise Damaged(f"{what} in {self._shown} has more than the {limit} bytes it may have")
            spent = time.monotonic() - began
            if spent > self._wait and len(held) < spent * self._rate:
                raise BackendUnavailable(
                    f"{self._shown} sends {what} at {len(held) / spent:.0f} bytes/s, fewer than {self._rate:.0f}",
                    hint="try another store, or set min_rate in its URL",
                )
        return bytes(held)

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
        except (SyntaxError, AttributeError, KeyError, TypeError) as exc:  # what its client meets in a garbled answer
            raise BackendUnavailable(f"{self._shown} answers what no S3 server says", hint="veda doctor") from exc
        except urllib3.exceptions.HTTPError as exc:
            cause = getattr(exc, "reason", None) or exc
            refused = isinstance(cause, urllib3.exceptions.NewConnectionError)
            reason = "no connection" if refused else type(cause).__name__
            raise BackendUnavailable(
                f"{self._shown} does not answer ({reason})", hint="is the server running?"
            ) from exc


def _number(url: BackendURL, key: str, default: float) -> float:
    try:
        return float(url.query.get(key, default))
    except ValueError:
        raise BadInput(f"{url}: {key} is not a number") from None


if TYPE_CHECKING:
    _fits: type[Store] = MinioStore
