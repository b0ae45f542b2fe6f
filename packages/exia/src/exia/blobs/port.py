"""The port ``blobs``: bytes, each kept under its SHA-256."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from exia.errors import BadInput, Damaged

_DIGEST = re.compile(r"[0-9a-f]{64}")


class BlobInfo(NamedTuple):
    """One blob as a listing shows it."""

    digest: str  #: SHA-256 in hexadecimal.
    size: int  #: Bytes.
    modified: float  #: Unix seconds of the last `BlobStore.put`.


class BlobStore(Protocol):
    """Content-addressed bytes; what `put` returned is durable and never changes.

    All verbs raise `BackendUnavailable` if the store does not answer.
    """

    @property
    def remote(self) -> bool:
        """Whether it lies across a network."""

    def put(self, data: bytes) -> str:
        """Keep `data` and return its digest; what is there already only becomes as young as new."""

    def get(self, digest: str) -> bytes:
        """Return the bytes, compared with their digest; raise `BlobNotFound` or `Damaged`."""

    def has(self, digest: str) -> bool:
        """Tell whether the blob is there."""

    def delete(self, digest: str) -> None:
        """Remove a blob; one that is not there is no error."""

    def blobs(self) -> Iterator[BlobInfo]:
        """Give every blob, in no order."""

    def ping(self) -> str:
        """Return what answers, in a few words."""

    def close(self) -> None:
        """Let go of the store."""


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def checked_digest(digest: str) -> str:
    """Return `digest`; raise `BadInput` if it is none, before it becomes a part of a path."""
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise BadInput(f"{digest!r} is no SHA-256 in hexadecimal")
    return digest


def verified(data: bytes, digest: str, where: str) -> bytes:
    """Return `data` if it has `digest`; raise `Damaged`."""
    if digest_of(data) != digest:
        raise Damaged(
            f"blob {digest[:12]}... in {where} is damaged: its bytes have another SHA-256",
            hint="put it there again from an export: exia models import FILE",
        )
    return data
