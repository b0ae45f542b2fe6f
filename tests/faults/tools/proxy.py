"""A TCP proxy that breaks the line on purpose, the same way for the same seed."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

#: Bytes that pass before a fault; a pair is drawn from, ends included, once per connection.
After = int | tuple[int, int] | None

_T = TypeVar("_T")
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with 0 s: close() sends RST, not FIN


@dataclass(frozen=True)
class Line:
    """What one direction of a connection does to the bytes that pass.

    Parameters
    ----------
    latency, jitter
        Seconds that each piece waits, and the most that chance adds.
    rate
        Bytes per second at most.
    cut, reset, blackhole
        Bytes that pass before the connection is closed (FIN), is reset (RST), or stays open while
        all later bytes of this direction vanish.
    twice
        Whether each piece passes a second time, as where something between the two ends repeats itself.
    """

    latency: float = 0.0
    jitter: float = 0.0
    rate: float | None = None
    cut: After = None
    reset: After = None
    blackhole: After = None
    twice: bool = False


CLEAR = Line()


@dataclass
class _Connection:
    """The two ends of a connection, and whether it has been cut."""

    ends: list[asyncio.StreamWriter]
    cut: bool = False


@dataclass
class Seen:
    """What has passed so far: connections, bytes each way, and faults by kind."""

    connections: int = 0
    to_server: int = 0
    to_client: int = 0
    cut: int = 0
    reset: int = 0
    blackhole: int = 0
    twice: int = 0


class FaultProxy:
    """Stand between a client and ``host:port``; runs in a thread of its own.

    >>> with FaultProxy("127.0.0.1", 6379, seed=7) as proxy:  # doctest: +SKIP
    ...     client = redis.Redis(port=proxy.port)
    ...     proxy.fault(to_client=Line(reset=(0, 200)))

    A fault holds for connections opened after it was set; `sever` ends those that are open. Each
    connection draws from ``(seed, its number, direction)``, so a client that connects in a fixed
    order meets the same faults in each run.
    """

    def __init__(self, host: str, port: int, *, seed: int = 0) -> None:
        self.target = (host, port)
        self.seed = seed
        self.host = "127.0.0.1"
        self.port = 0
        self.seen = Seen()
        self._to_server = self._to_client = CLEAR
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)

    def __enter__(self) -> FaultProxy:
        # Bound but never listening: keeps the port ours while new connections are refused.
        self._holder = self._bound(0)
        self.port = self._holder.getsockname()[1]
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._holder.close()

    def fault(self, *, to_server: Line = CLEAR, to_client: Line = CLEAR) -> None:
        """Break the connections that are opened from now on."""
        self._to_server, self._to_client = to_server, to_client

    def refuse(self) -> None:
        """Refuse new connections (ECONNREFUSED) until `heal`; open ones stay."""
        self._call(self._close_listener())

    def heal(self) -> None:
        """Let new connections through unharmed."""
        self.fault()
        if self._server is None:
            self._call(self._listen())

    def sever(self) -> None:
        """Reset every open connection now."""
        self._call(self._reset_all())

    def _call(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    def _bound(self, port: int) -> socket.socket:
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((self.host, port))
        return held

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, sock=self._bound(self.port))

    async def _close_listener(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _reset_all(self) -> None:
        for writer in list(self._writers):
            _reset(writer)
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _stop(self) -> None:
        await self._close_listener()
        me, told = asyncio.current_task(), set[asyncio.Task[None]]()
        # A connection that is just being accepted must begin before it can be ended in order.
        while others := asyncio.all_tasks() - {me}:
            for task in self._open - told:
                task.cancel()
            told |= self._open
            await asyncio.wait(others, timeout=0.05)
        for _ in range(3):  # let the transports that were closed last say goodbye to their sockets
            await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen.connections += 1
        number = self.seen.connections
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        both = _Connection([writer])
        self._writers.add(writer)
        ended = False
        try:
            there, back = await asyncio.open_connection(*self.target)
            both.ends.append(back)
            self._writers.add(back)
            draw = random.Random(f"{self.seed}/{number}/to_server")
            draw_back = random.Random(f"{self.seed}/{number}/to_client")
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, back, self._to_server, draw, "to_server", both))
                pumps.create_task(self._pump(there, writer, self._to_client, draw_back, "to_client", both))
            ended = True
        except (OSError, ExceptionGroup, asyncio.CancelledError):
            pass  # the line is broken, by us or by an end of it: both ends learn of it below
        finally:
            # All at once and before any wait: whoever is cancelled here has still closed both.
            for end in both.ends:
                self._writers.discard(end)
                if ended:
                    end.close()
                else:
                    _reset(end)
            await asyncio.gather(*(end.wait_closed() for end in both.ends), return_exceptions=True)
            self._open.discard(task)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        line: Line,
        draw: random.Random,
        direction: str,
        both: _Connection,
    ) -> None:
        faults: list[tuple[int, str]] = sorted(
            (_drawn(after, draw), kind)
            for kind, after in (("cut", line.cut), ("reset", line.reset), ("blackhole", line.blackhole))
            if after is not None
        )
        limit, kind = faults[0] if faults else (None, "")
        passed = 0
        if limit == 0 and kind != "blackhole":
            await self._break(kind, both, source)
            return
        while data := await source.read(65536):
            room = len(data) if limit is None else min(len(data), limit - passed)
            for piece in _pieces(data[:room], line.rate):
                await asyncio.sleep(_wait(line, len(piece), draw))
                if both.cut:
                    break
                sink.write(piece)
                await sink.drain()
                if line.twice:
                    self.seen.twice += 1
                    sink.write(piece)
                    await sink.drain()
            passed += room
            setattr(self.seen, direction, getattr(self.seen, direction) + room)
            if limit is not None and passed >= limit:
                if kind == "blackhole":
                    self.seen.blackhole += 1
                    while await source.read(65536):
                        pass
                else:
                    await self._break(kind, both, source)
                return
        if not both.cut:
            sink.write_eof()

    async def _break(self, kind: str, both: _Connection, source: asyncio.StreamReader) -> None:
        setattr(self.seen, kind, getattr(self.seen, kind) + 1)
        if kind == "reset":
            for end in both.ends:
                _reset(end)
            return
        both.cut = True
        for end in both.ends:
            end.write_eof()
        # Closing with bytes unread would be a reset; they are read, until the peer has closed too.
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                while await source.read(65536):
                    pass


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()


def _drawn(after: int | tuple[int, int], draw: random.Random) -> int:
    return draw.randint(*after) if isinstance(after, tuple) else after


def _pieces(data: bytes, rate: float | None) -> list[bytes]:
    # A tenth of a second's worth at a time, so that a slow line trickles as a real one does.
    size = max(1, int(rate / 10)) if rate else max(1, len(data))
    return [data[i : i + size] for i in range(0, len(data), size)]


def _wait(line: Line, size: int, draw: random.Random) -> float:
    return line.latency + draw.uniform(0, line.jitter) + (size / line.rate if line.rate else 0.0)
