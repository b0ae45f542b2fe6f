"""The registry port: a catalogue of releases, and tags that move between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self


@dataclass(frozen=True)
class Release:
    """One published version of a package.

    Parameters
    ----------
    name, version
        Its key, both in their normal form.
    digest
        Identity of its content, ``sha256:...``.
    facts
        The manifest without its lists of files and chunks.
    """

    name: str
    version: str
    digest: str
    facts: Mapping[str, Any] = field(hash=False)

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


class Registry(Protocol):
    """A catalogue of releases, keyed by name and version; releases never change."""

    def publish(self, release: Release) -> None:
        """Add `release`; again with the same digest changes nothing, with another raises `ReleaseExists`."""

    def get(self, name: str, version: str) -> Release:
        """Return one release; raise `NotFound` if there is none."""

    def releases(self, name: str | None = None) -> list[Release]:
        """Return all releases, or those of one package, in the order in which they were published."""

    def find(self, digest: str) -> list[Release]:
        """Return the releases whose digest is `digest`."""

    def tag(self, name: str, tag: str, version: str) -> None:
        """Point `tag` to a version from now on; raise `NotFound` if there is no such release."""

    def tags(self, name: str) -> Mapping[str, str]:
        """Return where each tag of a package points, sorted by tag."""

    def close(self) -> None:
        """Let go of the backend; the registry cannot be used afterwards."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None: ...
