"""The port ``monitor``: where events and samples are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Protocol, runtime_checkable

from exia.errors import BadInput

#: An event or sample with the field names of ECS, nested; ``event.id`` is its own for ever.
Document = Mapping[str, Any]


_MOST = 10_000


@dataclass(frozen=True)
class Refused:
    """A document that the store will never take, and why."""

    document: Document
    reason: str


@runtime_checkable
class MonitorStore(Protocol):
    """Keeps documents by day (UTC) of their ``@timestamp``."""

    def write(self, documents: Sequence[Document]) -> list[Refused]:
        """Keep `documents`, durable on return; one whose ``event.id`` is known already changes nothing.

        Returns
        -------
        list of Refused
            Those that it will never take; the others are kept.

        Raises
        ------
        BackendUnavailable
            If it does not answer; some may be kept, and all can be written again.
        """

    def query(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        where: Mapping[str, str] | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Return the newest documents, `limit` at most, oldest first.

        Parameters
        ----------
        since, until
            Bounds of ``@timestamp`` with a time zone; `since` is included, `until` is not.
        where
            Dotted field names and the text of the value that each must have, such as
            ``{"event.dataset": "exia.pool"}``.
        limit
            10,000 at most.
        """

    def days(self) -> list[date]:
        """Return the days of which there are documents, oldest first."""

    def drop(self, day: date) -> None:
        """Forget the documents of `day`; nothing happens if there are none."""

    def ping(self) -> str:
        """Return what answers, such as its version."""

    def close(self) -> None:
        """Let go of connections and files."""


def day_of(document: Document) -> date:
    """Return the day (UTC) that `document` belongs to."""
    return date.fromisoformat(document["@timestamp"][:10])


def field(document: Mapping[str, Any], name: str) -> Any:
    """Return the field of this dotted name, or None."""
    value: Any = document
    for word in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(word)
    return value


def checked_limit(limit: int) -> int:
    """Return `limit`, or raise `BadInput` if it is no number of documents."""
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= _MOST:
        raise BadInput(f"limit must be between 1 and {_MOST:,}, not {limit!r}")
    return limit


def bound(at: datetime | None) -> str:
    """Return `at` as the ``@timestamp`` of a document; raise `BadInput` if it has no time zone."""
    if at is None:
        return ""
    if at.tzinfo is None:
        raise BadInput(f"{at.isoformat()} has no time zone", hint="give it one: datetime.now(UTC)")
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
