"""Channels as units use them: Arrow tables of one schema, sent once and read in order by every reader."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from kyrios._house.errors import nearest
from kyrios._house.ids import uuid7
from kyrios.channel.port import Channels
from kyrios.errors import BadInput, ChannelFull

if TYPE_CHECKING:
    import pyarrow as pa

_FOREVER = 10.0 * 365 * 86_400  # seconds
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Message:
    """One table of a channel, and where it stands in it."""

    position: int
    table: pa.Table


class Channel:
    """A mailbox of tables, see `kyrios.open_channel`."""

    def __init__(
        self, channels: Channels, name: str, columns: Mapping[str, str] | None = None, capacity: int = 1000
    ) -> None:
        from kyrios.tables import arrow_type, known_types

        if capacity < 1:
            raise BadInput(f"the capacity must be a whole number from 1, not {capacity}")
        for column, kind in (columns or {}).items():
            if arrow_type(kind) is None:
                raise BadInput(f"column {column!r} has no type {kind!r}", hint=nearest(kind, known_types()))
        self.name, self.columns, self.capacity = _named("channel", name), columns, capacity
        self._channels = channels

    def send(self, table: pa.Table, *, id: str | None = None, timeout: float | None = None) -> int:
        """Send `table` and return its position; wait while the mailbox is full.

        Parameters
        ----------
        id
            The sender's own: sending again with it, as after a lost connection, sends nothing twice while the message
            is kept. None makes one.
        timeout
            Seconds to wait for room; None waits as long as it takes.

        Raises
        ------
        BadInput
            If the table has not the channel's columns; nothing is sent then.
        ChannelFull
            If there is no room in time.
        """
        from kyrios.tables import to_bytes

        self._check(table)
        wait = _FOREVER if timeout is None else timeout
        position = self._channels.send(self.name, id or uuid7(), to_bytes(table), self.capacity, wait)
        if position is None:
            raise ChannelFull(self.name, self.capacity)
        return position

    def reader(self, name: str) -> Reader:
        """Return the reader `name`, where it has committed last; a new one begins with the oldest kept message."""
        return Reader(self._channels, self.name, _named("reader", name))

    def close(self) -> None:
        """Close it here; messages and readers stay."""
        self._channels.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, table: pa.Table) -> None:
        from kyrios.tables import arrow_type

        if self.columns is None:
            return
        found = {field.name: field.type for field in table.schema}
        if list(found) != list(self.columns):
            wanted, has = ", ".join(self.columns), ", ".join(found) or "none"
            raise BadInput(f"channel {self.name} carries the columns {wanted}, not {has}")
        for column, kind in self.columns.items():
            if found[column] != arrow_type(kind):
                raise BadInput(f"column {column!r} of channel {self.name} must be {kind}, not {found[column]}")


class Reader:
    """One reader of a channel; every reader gets every message, in order.

    What it has not committed comes again when it is opened anew: it commits what it has dealt with for good.
    """

    def __init__(self, channels: Channels, channel: str, name: str) -> None:
        self._channels, self.channel, self.name = channels, channel, name
        self.position = channels.subscribe(channel, name)  #: Of the message that was received last.

    def receive(self, *, timeout: float | None = None, after: int | None = None) -> Message | None:
        """Return the next message, or None if there is none in time.

        Parameters
        ----------
        timeout
            Seconds to wait; None waits as long as it takes.
        after
            Go on behind this position instead, such as that of a checkpoint.
        """
        from kyrios.tables import from_bytes

        if after is not None:
            self.position = after
        found = self._channels.receive(self.channel, self.position, _FOREVER if timeout is None else timeout)
        if found is None:
            return None
        self.position = found[0]
        return Message(found[0], from_bytes(found[1]))

    def commit(self, position: int | None = None) -> None:
        """Say that all up to `position` is dealt with for good; None is what was received last."""
        self._channels.commit(self.channel, self.name, self.position if position is None else position)

    def leave(self) -> None:
        """Be no reader any more: nothing waits for it from now on."""
        self._channels.unsubscribe(self.channel, self.name)


def _named(kind: str, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise BadInput(f"a {kind} cannot be called {name!r}", hint="letters, digits and _ . - only")
    return name
