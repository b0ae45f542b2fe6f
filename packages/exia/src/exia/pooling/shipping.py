"""Objects between two processes: small ones through a socket, large arrays through shared memory."""

from __future__ import annotations

import os
import pickle
import socket
import struct
import tempfile
from typing import Any

#: Bytes from which on a buffer goes through shared memory.
LARGE = 64 * 1024
_HEAD = struct.Struct(">I")
_PART = struct.Struct(">?Q")
_MOST = 1 << 30  # one system call moves less than 2 GiB


class Channel:
    """One end of a conversation in which the two sides speak in turn.

    Both ends belong to one user and one machine, and unpickle what the other sends.
    """

    #: The most bytes that one message may have.
    most = 1 << 62

    def __init__(self, sock: socket.socket, reads: int, writes: int) -> None:
        self.sock = sock  #: Its time-out is how long `receive` waits for the next bytes.
        self._reads = reads
        self._writes = writes

    def send(self, value: object) -> None:
        """Send `value`; raise what pickling it raises before anything is sent."""
        parts = self._pack(value)
        plan, inline, at = [_HEAD.pack(len(parts))], [], 0
        for part in parts:
            large = part.nbytes > LARGE
            plan.append(_PART.pack(large, part.nbytes))
            if large:
                self._put(part, at)
                at += part.nbytes
            else:
                inline.append(part)
        self.sock.sendall(b"".join([*plan, *inline]))

    def receive(self) -> Any:
        """Return what the other end sent; raise `EOFError` if it is gone."""
        (count,) = _HEAD.unpack(self._exactly(_HEAD.size))
        plan = [_PART.unpack(part) for part in _cut(self._exactly(self._allowed(count * _PART.size)))]
        self._allowed(sum(size for _, size in plan))
        parts, at = [], 0
        for large, size in plan:
            if large:
                # A copy, so that what was received stays as it is while the next message comes.
                parts.append(self._get(size, at))
                at += size
            else:
                parts.append(self._exactly(size))
        return self._unpack(parts)

    def _pack(self, value: object) -> list[memoryview]:
        """Return `value` as a body and the buffers that go with it."""
        outside: list[pickle.PickleBuffer] = []
        body = pickle.dumps(value, protocol=5, buffer_callback=outside.append)
        return [memoryview(body), *(buffer.raw() for buffer in outside)]

    def _unpack(self, parts: list[bytearray]) -> Any:
        """Return what `_pack` was given."""
        return pickle.loads(parts[0], buffers=parts[1:])

    def _allowed(self, size: int) -> int:
        if size > self.most:
            raise EOFError(f"a message of {size} bytes is longer than {self.most}")
        return size

    def close(self) -> None:
        """Hang up."""
        self.sock.close()
        for descriptor in (self._reads, self._writes):
            os.close(descriptor)

    def _exactly(self, size: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            n = self._next(view)
            if not n:
                raise EOFError
            view = view[n:]
        return data

    def _next(self, view: memoryview) -> int:
        """Read some bytes into `view` and return how many; 0 if the other end is gone."""
        return self.sock.recv_into(view)

    def _put(self, part: memoryview, at: int) -> None:
        while part:
            n = os.pwrite(self._writes, part[:_MOST], at)
            part, at = part[n:], at + n

    def _get(self, size: int, at: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            n = os.preadv(self._reads, [view[:_MOST]], at)
            if not n:
                raise EOFError
            view, at = view[n:], at + n
        return data


def _cut(plan: bytearray) -> list[bytearray]:
    return [plan[at : at + _PART.size] for at in range(0, len(plan), _PART.size)]


def shared_file() -> int:
    """Return the descriptor of a file in memory, or on disk where the system has none such."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("exia")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
