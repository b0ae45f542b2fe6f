"""``memory:``: channels between the threads of this process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from kyrios._house.backends import BackendURL
from kyrios.channel.mailbox import Mailbox
from kyrios.channel.port import Channels

_places: dict[tuple[str, str], Mailbox] = {}
_lock = threading.Lock()


class MemoryChannel:
    """Mailboxes of this process; ``memory:place`` keeps those of one place apart from others."""

    def __init__(self, url: BackendURL) -> None:
        self._place = url.path

    def send(self, channel: str, id: str, data: bytes, capacity: int, wait: float) -> int | None:
        """Add a message and return its position."""
        return self._box(channel).send(id, data, capacity, wait)

    def subscribe(self, channel: str, reader: str) -> int:
        """Keep messages for `reader`; return where it stands."""
        return self._box(channel).subscribe(reader)

    def unsubscribe(self, channel: str, reader: str) -> None:
        """Keep nothing for `reader` any more."""
        self._box(channel).unsubscribe(reader)

    def receive(self, channel: str, after: int, wait: float) -> tuple[int, bytes] | None:
        """Return the first kept message behind `after`."""
        return self._box(channel).receive(after, wait)

    def commit(self, channel: str, reader: str, position: int) -> None:
        """Say that `reader` is done with all up to `position`."""
        self._box(channel).commit(reader, position)

    def close(self) -> None:
        """Do nothing: the mailboxes live as long as the process."""

    def _box(self, channel: str) -> Mailbox:
        with _lock:
            return _places.setdefault((self._place, channel), Mailbox())


if TYPE_CHECKING:
    _fits: type[Channels] = MemoryChannel
