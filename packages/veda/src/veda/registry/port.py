"""The registry port: a catalogue of releases, and what happened to them as events that are only ever appended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Any, Protocol, Self
from uuid import UUID, uuid5

from veda._house.ids import uuid7
from veda.errors import BadInput

_PUBLISHED = UUID("6f0f7a52-0d5d-5c1c-9b2d-7b6a0f2d6a41")  # the space of `published` events, fixed for ever


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
    published_at
        When it was published, ISO 8601 in UTC; empty where nobody says.
    """

    name: str
    version: str
    digest: str
    facts: Mapping[str, Any] = field(hash=False)
    published_at: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True)
class Event:
    """Something that happened to a release; what is true now follows from all events.

    Parameters
    ----------
    kind
        ``published``, ``updated``, ``tagged``, ``yanked``, ``unyanked``, ``promoted``, ``deployed``,
        ``downloaded`` or a word of your own.
    name, version
        The release.
    subject
        What it happened with: the tag, the channel, the host.
    by
        Who did it.
    data
        More facts, such as the reason of a yank.
    id
        Made by whoever appends the event, so that a retry appends it once.
    at
        When, ISO 8601 in UTC.
    """

    kind: str
    name: str
    version: str
    subject: str = ""
    by: str = ""
    data: Mapping[str, Any] = field(default_factory=dict, hash=False)
    id: str = field(default_factory=uuid7)
    at: str = field(default_factory=lambda: now())


@dataclass(frozen=True)
class Query:
    """What a search asks for; a release fits if all that is given fits.

    Parameters
    ----------
    text
        Words of the name, summary, methods, parameters, authors or requirements; all must occur.
    name
        A name, with ``*`` for any characters.
    method, parameter, author
        What an entry point offers, what its constructor takes, who wrote it.
    uses
        A distribution or a package that it requires.
    tag
        A tag that points to it now.
    since, until
        First and last day of publication, such as ``"2026-01-31"``, both included; or a time, ISO 8601 in UTC.
    limit
        How many releases at most; every version counts where `name` has no ``*``, else the last of each package.

    Raises
    ------
    BadInput
        If `since` or `until` is neither.
    """

    text: str = ""
    name: str = ""
    method: str = ""
    parameter: str = ""
    author: str = ""
    uses: str = ""
    tag: str = ""
    since: str = ""
    until: str = ""
    limit: int = 50

    def __post_init__(self) -> None:
        for key in ("since", "until"):
            if given := getattr(self, key):
                object.__setattr__(self, key, _moment(key, given))


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

    def append(self, event: Event) -> None:
        """Add `event`; again with the same id changes nothing; raise `NotFound` if there is no such release."""

    def events(self, name: str | None = None, kind: str | None = None) -> list[Event]:
        """Return events in the order of their times, each id once; `published` events are among them."""

    def yanked(self, name: str) -> Mapping[str, str]:
        """Return the versions of a package that are yanked now, each with the reason."""

    def search(self, query: Query) -> list[Release]:
        """Return releases that fit `query`, the best or the latest first, of each package the last that fits."""

    def close(self) -> None:
        """Let go of the backend; the registry cannot be used afterwards."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def published(release: Release) -> Event:
    """Return the event of a publication; its id follows from the release, so that all who announce it say the same."""
    id = str(uuid5(_PUBLISHED, f"{release.name}@{release.version}@{release.digest}"))
    at = release.published_at or now()
    return Event("published", release.name, release.version, data={"digest": release.digest}, id=id, at=at)


def _moment(key: str, given: str) -> str:
    """Return a day or a time as registries write them, so that texts compare as times do."""
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", given):
            return date.fromisoformat(given).isoformat()
        time = datetime.fromisoformat(given) if "T" in given or " " in given else None
    except ValueError:
        time = None
    if time is None:
        raise BadInput(f"{key} {given!r} is no date", hint=f"--{key} 2026-01-31")
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def now() -> str:
    """Return the time, ISO 8601 in UTC with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
