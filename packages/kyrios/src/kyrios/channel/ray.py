"""``ray:``, ``ray://host:10001``: a channel is an actor of a Ray cluster, which lives as long as the cluster does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from kyrios._house.backends import BackendURL
from kyrios.channel.mailbox import Mailbox
from kyrios.channel.port import Channels
from kyrios.engine.ray import connected  # before Ray itself: it says how Ray begins

import ray  # isort: skip
from kyrios.errors import BackendUnavailable

_BLOCK = 0.5  # seconds that one question to the actor may wait, so that a reader that is gone leaves soon
_AT_ONCE = 256  # calls that an actor has in hand; those that wait take a thread each


class RayChannel:
    """Actors by name, one for each channel."""

    def __init__(self, url: BackendURL) -> None:
        self._shown = str(url)
        connected(f"ray://{url.host}:{url.port or 10001}" if url.host else "", 2)
        self._lifetime = "detached" if url.host else None  # a node of this process ends with it anyway
        self._boxes: dict[str, Any] = {}

    def send(self, channel: str, id: str, data: bytes, capacity: int, wait: float) -> int | None:
        """Add a message and return its position."""
        until = monotonic() + wait
        while True:
            left = max(0.0, until - monotonic())
            position: int | None = self._ask(channel, "send", id, data, capacity, min(left, _BLOCK))
            if position is not None or left <= _BLOCK:
                return position

    def subscribe(self, channel: str, reader: str) -> int:
        """Keep messages for `reader`; return where it stands."""
        return int(self._ask(channel, "subscribe", reader))

    def unsubscribe(self, channel: str, reader: str) -> None:
        """Keep nothing for `reader` any more."""
        self._ask(channel, "unsubscribe", reader)

    def receive(self, channel: str, after: int, wait: float) -> tuple[int, bytes] | None:
        """Return the first kept message behind `after`."""
        until = monotonic() + wait
        while True:
            left = max(0.0, until - monotonic())
            found: tuple[int, bytes] | None = self._ask(channel, "receive", after, min(left, _BLOCK))
            if found is not None or left <= _BLOCK:
                return found

    def commit(self, channel: str, reader: str, position: int) -> None:
        """Say that `reader` is done with all up to `position`."""
        self._ask(channel, "commit", reader, position)

    def close(self) -> None:
        """Let go of the actors; they live on."""
        self._boxes.clear()

    def _ask(self, channel: str, verb: str, *words: Any) -> Any:
        with self._translated():
            if channel not in self._boxes:
                options = {"name": f"kyrios-channel-{channel}", "namespace": "kyrios", "get_if_exists": True,
                           "lifetime": self._lifetime, "max_concurrency": _AT_ONCE}  # fmt: skip
                self._boxes[channel] = ray.remote(num_cpus=0)(Mailbox).options(**options).remote()
            return ray.get(getattr(self._boxes[channel], verb).remote(*words))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (ray.exceptions.RayError, ConnectionError) as exc:
            first = str(exc).splitlines()[0]
            raise BackendUnavailable(f"{self._shown}: {type(exc).__name__}: {first}", hint="kyrios doctor") from exc


if TYPE_CHECKING:
    _fits: type[Channels] = RayChannel
