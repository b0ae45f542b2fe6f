"""``redis://host:6379/0``: a channel is a stream of a Redis; it is as durable as this Redis is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import redis

from kyrios._house.backends import BackendURL
from kyrios.channel.port import Channels
from kyrios.errors import BackendUnavailable, BadInput

_BLOCK = 1.0  # seconds that one question to the server may wait
_LOOK = 0.005  # seconds between two looks whether there is room, at first

# What is decided by what is there must be one step: a script is. The position is the first number of an entry's id.
_SEND = """
local known = redis.call('hget', KEYS[3], ARGV[1])
if known then return tonumber(known) end
local last = tonumber(redis.call('hget', KEYS[2], 'last') or '0')
local forgotten = tonumber(redis.call('hget', KEYS[2], 'forgotten') or '0')
if last - forgotten >= tonumber(ARGV[3]) then return 0 end
last = last + 1
redis.call('xadd', KEYS[1], string.format('%d-0', last), 'i', ARGV[1], 'd', ARGV[2])
redis.call('hset', KEYS[3], ARGV[1], last)
redis.call('hset', KEYS[2], 'last', last)
return last
"""
_SUBSCRIBE = """
local known = redis.call('hget', KEYS[4], ARGV[1])
if known then return tonumber(known) end
local forgotten = tonumber(redis.call('hget', KEYS[2], 'forgotten') or '0')
redis.call('hset', KEYS[4], ARGV[1], forgotten)
return forgotten
"""
_FORGET = """
local done = nil
for _, position in ipairs(redis.call('hvals', KEYS[4])) do
  if not done or tonumber(position) < done then done = tonumber(position) end
end
if not done then return 0 end
while true do
  local entries = redis.call('xrange', KEYS[1], '-', string.format('%d-0', done), 'count', 500)
  if #entries == 0 then break end
  for _, entry in ipairs(entries) do
    redis.call('hdel', KEYS[3], entry[2][2])
    redis.call('xdel', KEYS[1], entry[1])
  end
end
if done > tonumber(redis.call('hget', KEYS[2], 'forgotten') or '0') then
  redis.call('hset', KEYS[2], 'forgotten', done)
end
return done
"""
_COMMIT = (
    """
local known = redis.call('hget', KEYS[4], ARGV[1])
if not known then return 0 end
local last = tonumber(redis.call('hget', KEYS[2], 'last') or '0')
local position = math.min(tonumber(ARGV[2]), last)
if position <= tonumber(known) then return 0 end
redis.call('hset', KEYS[4], ARGV[1], position)
"""
    + _FORGET
)
_UNSUBSCRIBE = "redis.call('hdel', KEYS[4], ARGV[1])\n" + _FORGET


class RedisChannel:
    """Streams of one database; their keys begin with ``kyrios:channel:``."""

    def __init__(self, url: BackendURL) -> None:
        database = url.path.strip("/") or "0"
        if not database.isdecimal():
            raise BadInput(f"{url} names no database", hint="redis://127.0.0.1:6379/0")
        self._server: Any = redis.Redis(
            host=url.host or "127.0.0.1", port=url.port or 6379, db=int(database),
            username=url.user or None, password=url.password or None,
            socket_timeout=_BLOCK + 9, socket_connect_timeout=5,
        )  # fmt: skip
        self._shown = str(url)
        scripts = {"send": _SEND, "subscribe": _SUBSCRIBE, "commit": _COMMIT, "unsubscribe": _UNSUBSCRIBE}
        self._scripts = {name: self._server.register_script(text) for name, text in scripts.items()}

    def send(self, channel: str, id: str, data: bytes, capacity: int, wait: float) -> int | None:
        """Add a message and return its position."""
        until, pause = monotonic() + wait, _LOOK
        while True:
            if position := self._call("send", channel, id, data, capacity):
                return position
            if (left := until - monotonic()) <= 0:
                return None
            sleep(min(left, pause))
            pause = min(2 * pause, 0.1)

    def subscribe(self, channel: str, reader: str) -> int:
        """Keep messages for `reader`; return where it stands."""
        return self._call("subscribe", channel, reader)

    def unsubscribe(self, channel: str, reader: str) -> None:
        """Keep nothing for `reader` any more."""
        self._call("unsubscribe", channel, reader)

    def receive(self, channel: str, after: int, wait: float) -> tuple[int, bytes] | None:
        """Return the first kept message behind `after`."""
        until, stream = monotonic() + wait, _keys(channel)[0]
        while True:
            left = until - monotonic()
            # A block of 0 ms would wait for ever.
            block = max(1, int(min(left, _BLOCK) * 1000)) if left > 0 else None
            with self._translated():
                found = self._server.xread({stream: f"{after}-0"}, count=1, block=block)
            if found:
                entries = found[0][1] if isinstance(found, list) else next(iter(found.values()))[0]
                number, fields = entries[0]
                return int(number.partition(b"-")[0]), fields[b"d"]
            if until - monotonic() <= 0:
                return None

    def commit(self, channel: str, reader: str, position: int) -> None:
        """Say that `reader` is done with all up to `position`."""
        self._call("commit", channel, reader, position)

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def _call(self, script: str, channel: str, *words: Any) -> int:
        with self._translated():
            return int(self._scripts[script](keys=_keys(channel), args=words))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as exc:
            raise BackendUnavailable(f"{self._shown}: {exc}", hint="kyrios doctor") from exc


def _keys(channel: str) -> list[str]:
    # In braces, so that a cluster keeps the four in one place.
    return [f"kyrios:channel:{{{channel}}}:{part}" for part in ("stream", "counts", "ids", "readers")]


if TYPE_CHECKING:
    _fits: type[Channels] = RedisChannel
