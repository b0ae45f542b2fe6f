"""The port ``objects``: which models there are, their versions, and which of them each alias names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


@dataclass(frozen=True)
class ModelVersion:
    """One version of a model; it never changes."""

    name: str
    number: int  #: From 1.
    id: str  #: Made by the client, so that a repeated write is known for what it is.
    manifest: bytes  #: JSON: what the model is and the digests of its bytes.
    signature: bytes  #: Ed25519 signature of `manifest`.
    key: str  #: Fingerprint of the key that signed it.


@dataclass(frozen=True)
class AliasMove:
    """One time that an alias was set; the newest says what it names now."""

    id: str  #: Made by the client.
    alias: str
    version: int | None  #: None if the alias was taken away.
    previous: int | None
    at: str  #: UTC, ISO 8601.
    who: str
    why: str = ""


@dataclass(frozen=True)
class Family:
    """All that the catalogue knows of one name but the versions' manifests."""

    name: str
    numbers: tuple[int, ...] = ()  #: Versions, ascending.
    last: int = 0  #: The highest number ever given; numbers are never given twice.
    aliases: dict[str, int] = field(default_factory=dict)
    moves: tuple[AliasMove, ...] = ()  #: Oldest first.


class Packed(NamedTuple):
    """What packing has done, in bytes."""

    before: int
    after: int


class ObjectStore(Protocol):
    """A catalogue of models; every write may be repeated and then changes nothing.

    All verbs raise `BackendUnavailable` if the catalogue does not answer; what returned is durable.
    """

    def names(self) -> list[str]:
        """Return the names of all models, sorted."""

    def family(self, name: str) -> Family:
        """Return what there is under `name`, an empty family if nothing is."""

    def find(self, name: str, which: int | str | None = None) -> ModelVersion:
        """Return the version with a number, with an alias, or the newest; raise `ModelNotFound`."""

    def add(self, version: ModelVersion) -> None:
        """Add a version; raise `ModelExists` if its number is, or ever was, another's."""

    def point(self, name: str, move: AliasMove) -> None:
        """Let an alias name another version.

        Raises
        ------
        ModelNotFound
            If the version is not there.
        Conflict
            If the alias does not name ``move.previous`` (any more); nothing was changed.
        """

    def remove(self, name: str, number: int) -> None:
        """Remove a version; raise `ModelNotFound`, or `Conflict` if an alias names it."""

    def pack(self) -> Packed:
        """Give the space of what is no longer referred to back to the disk."""

    def ping(self) -> str:
        """Return what answers, in a few words."""

    def close(self) -> None:
        """Let go of the catalogue."""
