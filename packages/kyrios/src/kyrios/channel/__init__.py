"""Typed channels between long-running units, opened by name; where they lie is a URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from kyrios._house.backends import open_backend
from kyrios._house.config import load_config
from kyrios.channel.port import Channels
from kyrios.channel.typed import Channel, Message, Reader
from kyrios.settings import SETTINGS

__all__ = ["Channel", "Channels", "Message", "Reader", "open_channel"]


def open_channel(
    name: str, columns: Mapping[str, str] | None = None, *, capacity: int = 1000, url: str | None = None
) -> Channel:
    """Open the channel `name`; whoever names it in the same place has the same one.

    Parameters
    ----------
    columns
        Column to Arrow type of the tables that it carries; None lets any table through.
    capacity
        Messages that may wait for the slowest reader before whoever sends has to.
    url
        Such as ``"redis://127.0.0.1:6379/0"``, ``"ray:"`` or ``"memory:"``; None is the setting ``channel``.

    Raises
    ------
    BadInput
        If the name, a type or the capacity makes no sense.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from kyrios import open_channel
    >>> with open_channel("prices", {"n": "int64"}, url="memory:example") as prices:
    ...     risk = prices.reader("risk")
    ...     position = prices.send(pa.table({"n": [7]}))
    ...     message = risk.receive(timeout=1)
    ...     risk.commit(message.position)
    >>> message.table.to_pydict()
    {'n': [7]}
    """
    address = load_config(SETTINGS, {"channel": url}).text("channel")
    return Channel(cast(Channels, open_backend("channel", address)), name, columns, capacity)
