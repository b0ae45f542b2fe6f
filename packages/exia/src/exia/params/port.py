"""The port ``params``: numbered, immutable sets of parameters, and one pointer per name to the newest."""

from __future__ import annotations

import hashlib
import re
import threading
from typing import NamedTuple, Protocol

from exia.errors import BadInput, Damaged

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Head(NamedTuple):
    """Where the pointer of a name stands."""

    version: int  #: From 1.
    digest: str  #: SHA-256 of the version's bytes, in hexadecimal.


class ParamStore(Protocol):
    """Versions of parameters as bytes; a version never changes, and its number is never another's.

    All verbs raise `BackendUnavailable` if the store does not answer; what returned is durable.
    """

    def names(self) -> list[str]:
        """Return the names that have a version, sorted."""

    def head(self, name: str) -> Head | None:
        """Return the newest version's number and digest, None if there is none."""

    def body(self, name: str, version: int) -> bytes:
        """Return the bytes of a version; raise `ParamsNotFound`."""

    def publish(self, name: str, version: int, body: bytes) -> None:
        """Add a version and move the pointer to it, both or neither.

        Publishing the same bytes under the same number again changes nothing.

        Raises
        ------
        ParamsChanged
            If the pointer does not stand at ``version - 1`` (any more).
        """

    def wait(self, name: str, seen: Head | None, timeout: float, stop: threading.Event) -> Head | None:
        """Return the head as soon as it is not `seen`, or after `timeout` seconds, or soon after `stop` is set."""

    def ping(self) -> str:
        """Return what answers, in a few words."""

    def close(self) -> None:
        """Let go of the store."""


def digest_of(body: bytes) -> str:
    """Return the SHA-256 of `body` in hexadecimal."""
    return hashlib.sha256(body).hexdigest()


def verified(body: bytes, head: Head, what: str) -> bytes:
    """Return `body` if it is what the pointer names; raise `Damaged`."""
    if digest_of(body) != head.digest:
        raise Damaged(f"{what} is damaged: its bytes have another SHA-256", hint="exia params rollback")
    return body


def checked_name(name: str) -> str:
    """Return `name`; raise `BadInput` if it could pass for a path."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or ".." in name:
        raise BadInput(
            f"parameters cannot be called {name!r}",
            hint="begin with a letter or digit; then letters, digits and . _ -, at most 100",
        )
    return name
