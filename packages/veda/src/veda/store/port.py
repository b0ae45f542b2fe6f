"""The store port: blobs named by their digest, and claims of versions that are made once."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self


class Store(Protocol):
    """Content-addressed blobs, and who owns which version.

    A digest is 64 lower-case hex digits of SHA-256. One object may be used by many threads.
    """

    #: Whether reading costs a network, so that what was read is worth keeping.
    remote: bool

    def has_blob(self, digest: str) -> bool:
        """Tell whether a blob is there."""

    def put_blob(self, data: bytes) -> str:
        """Keep `data` durably and return its digest; a blob that is there already is not sent again."""

    def get_blob(self, digest: str) -> bytes:
        """Return a blob; raise `NotFound` if it is not there, `Damaged` if its bytes are not those of its name."""

    def claim(self, name: str, version: str, data: bytes) -> bytes:
        """Claim a version with `data` if nobody has yet, and return the claim that stands: one writer wins."""

    def get_claim(self, name: str, version: str) -> bytes:
        """Return the claim of a version; raise `NotFound` if there is none."""

    def versions(self, name: str) -> list[str]:
        """Return the claimed versions of a package, in no order; empty if there are none."""

    def close(self) -> None:
        """Let go of the backend; the store cannot be used afterwards."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None: ...
