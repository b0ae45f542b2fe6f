"""One mailbox in memory: what the adapters ``memory`` and ``ray`` keep of a channel."""

from __future__ import annotations

import threading
from collections import OrderedDict
from time import monotonic


class Mailbox:
    """Messages by position, and how far each reader is; any thread may call."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._messages: OrderedDict[int, tuple[str, bytes]] = OrderedDict()
        self._positions: dict[str, int] = {}  # of kept messages by id
        self._readers: dict[str, int] = {}
        self._last = 0
        self._forgotten = 0  # all up to here is

    def send(self, id: str, data: bytes, capacity: int, wait: float) -> int | None:
        """Add a message, see `Channels.send`."""
        until = monotonic() + wait
        with self._changed:
            while id not in self._positions and self._last - self._forgotten >= capacity:
                if (left := until - monotonic()) <= 0:
                    return None
                self._changed.wait(min(left, 60.0))
            if id in self._positions:
                return self._positions[id]
            self._last += 1
            self._messages[self._last] = (id, data)
            self._positions[id] = self._last
            self._changed.notify_all()
            return self._last

    def subscribe(self, reader: str) -> int:
        """Keep messages for `reader`; return where it stands."""
        with self._changed:
            return self._readers.setdefault(reader, self._forgotten)

    def unsubscribe(self, reader: str) -> None:
        """Keep nothing for `reader` any more."""
        with self._changed:
            if self._readers.pop(reader, None) is not None and self._readers:
                self._forget()

    def receive(self, after: int, wait: float) -> tuple[int, bytes] | None:
        """Return the first kept message behind `after`, see `Channels.receive`."""
        until = monotonic() + wait
        with self._changed:
            while self._last <= max(after, self._forgotten):
                if (left := until - monotonic()) <= 0:
                    return None
                self._changed.wait(min(left, 60.0))
            position = max(after, self._forgotten) + 1
            return position, self._messages[position][1]

    def commit(self, reader: str, position: int) -> None:
        """Move `reader` on to `position`, see `Channels.commit`."""
        with self._changed:
            if reader in self._readers:
                self._readers[reader] = max(self._readers[reader], min(position, self._last))
                self._forget()

    def _forget(self) -> None:
        done = min(self._readers.values())
        while self._forgotten < done:
            self._forgotten += 1
            id, _ = self._messages.pop(self._forgotten)
            del self._positions[id]
        self._changed.notify_all()
