"""The store port: blobs named by their digest, claims of versions that are made once, and small objects by key."""

from __future__ import annotations

import builtins
from collections.abc import Collection
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

MAX_OBJECT = 4 << 20  #: Bytes of an object that is no blob; a reader takes no more from a store.


@dataclass(frozen=True)
class Entry:
    """An object as a listing shows it: its key, its size in bytes, and when it was written, in Unix seconds."""

    key: str
    size: int
    written_at: float


class Store(Protocol):
    """Content-addressed blobs, who owns which version, and small objects such as signatures and channels.

    A key has parts divided by slashes, such as ``channels/stable``.

    A digest is 64 lower-case hex digits of SHA-256. One object may be used by many threads.
    """

    #: Whether reading costs a network, so that what was read is worth keeping.
    remote: bool

    def has_blob(self, digest: str) -> bool:
        """Tell whether a blob is there."""

    def missing(self, digests: Collection[str]) -> set[str]:
        """Return those of `digests` of which no blob is there, in as few questions as the backend allows."""

    def put_blob(self, data: bytes, digest: str = "") -> str:
        """Keep `data` durably and return its digest; again changes nothing.

        Over a network it is sent even if it is there: who may have much of it there asks `missing` first.

        Parameters
        ----------
        digest
            That of `data`, from a caller who has just compared the two: they are not hashed again.
        """

    def get_blob(self, digest: str, limit: int | None = None) -> bytes:
        """Return a blob; raise `NotFound` if it is not there, `Damaged` if its bytes are not those of its name.

        Of a blob of more than `limit` bytes no more is read, and it is `Damaged` too.
        """

    def claim(self, name: str, version: str, data: bytes) -> bytes:
        """Claim a version with `data` if nobody has yet, and return the claim that stands: one writer wins."""

    def get_claim(self, name: str, version: str) -> bytes:
        """Return the claim of a version; raise `NotFound` if there is none."""

    def versions(self, name: str) -> builtins.list[str]:
        """Return the claimed versions of a package, in no order; empty if there are none."""

    def read(self, key: str) -> tuple[bytes, str]:
        """Return an object and its mark, which changes with its bytes; raise `NotFound` if there is none."""

    def replace(self, key: str, data: bytes, mark: str | None) -> bool:
        """Write an object if it still has the `mark`, or with None if there is none; tell whether it was written."""

    def list(self, prefix: str) -> list[Entry]:
        """Return the objects whose keys begin with `prefix`, which ends in a slash, sorted by key."""

    def remove(self, key: str) -> None:
        """Remove an object if it is there."""

    def close(self) -> None:
        """Let go of the backend; the store cannot be used afterwards."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None: ...
