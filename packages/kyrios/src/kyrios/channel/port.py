"""Where the messages of channels lie: bytes by channel and position, kept until every reader is done with them."""

from __future__ import annotations

from typing import Protocol


class Channels(Protocol):
    """Mailboxes by name; positions count from 1 and rise by one with each message."""

    def send(self, channel: str, id: str, data: bytes, capacity: int, wait: float) -> int | None:
        """Add a message and return its position; None if it is full for `wait` seconds.

        It is full while `capacity` messages wait for the slowest reader, or for the first one. A message whose `id`
        is kept already is not added again; its position is returned.
        """

    def subscribe(self, channel: str, reader: str) -> int:
        """Keep messages for `reader` from now on, beginning with the oldest that is kept; return where it stands."""

    def unsubscribe(self, channel: str, reader: str) -> None:
        """Keep nothing for `reader` any more."""

    def receive(self, channel: str, after: int, wait: float) -> tuple[int, bytes] | None:
        """Return the first kept message behind the position `after`; None if there is none for `wait` seconds."""

    def commit(self, channel: str, reader: str, position: int) -> None:
        """Say that `reader` is done with all up to `position`; what every reader is done with is forgotten."""

    def close(self) -> None:
        """Give the backend back; messages stay where they are."""
